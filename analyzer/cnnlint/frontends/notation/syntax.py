"""Parse the notation to words with positions, steps, repeats and joins; see docs/notation.md."""

from __future__ import annotations

import re

from msgspec import Struct

from cnnlint.errors import ModelError

_START = re.compile(r"\s*INPUT\b", re.IGNORECASE)


class NotationError(ModelError):
    """A text in the notation is malformed; `str()` names the column.

    Args:
        cause: What is wrong, in a clause.
        text: The whole text.
        at: Index of the character with the error.
        remedy: What to write instead.
    """

    def __init__(self, cause: str, *, text: str, at: int, remedy: str | None = None) -> None:
        line = text.count("\n", 0, at)
        self.column = at - (text.rfind("\n", 0, at) + 1) + 1
        place = f"line {line + 1}, column {self.column}" if "\n" in text else f"column {self.column}"
        super().__init__(f"{place}: {cause}", remedy=remedy)
        self.text = text
        self.at = at

    @property
    def pointer(self) -> str:
        """The line with the error, and below it a caret at the column."""
        start = self.text.rfind("\n", 0, self.at) + 1
        return f"{self.text[start:].splitlines()[0] if self.text[start:] else ''}\n{' ' * (self.column - 1)}^"


class Word(Struct, frozen=True):
    """A run of characters without a space.

    Attributes:
        text: As written.
        at: Index of its first character.
    """

    text: str
    at: int


class StepSyntax(Struct, frozen=True):
    """One layer.

    Attributes:
        kind: In capitals: "CONV".
        at: Index of the kind's first character.
        words: What follows the kind.
        name: The name after the @; None for a name made of the kind and a number.
    """

    kind: str
    at: int
    words: tuple[Word, ...] = ()
    name: Word | None = None


class RepeatSyntax(Struct, frozen=True):
    """A sequence that is repeated, each time with its own weights."""

    body: tuple[Item, ...]
    times: int


class JoinSyntax(Struct, frozen=True):
    """Branches of one tensor that are joined; an empty branch is the identity.

    Attributes:
        kind: "RES", "ADD", "CAT" or "GATE".
        at: Index of the kind's first character.
        branches: As written, at least one.
        name: The name after the @.
    """

    kind: str
    at: int
    branches: tuple[tuple[Item, ...], ...]
    name: Word | None = None


Item = StepSyntax | RepeatSyntax | JoinSyntax


class NetworkSyntax(Struct, frozen=True):
    """A whole text.

    Attributes:
        text: As the user wrote it, for messages.
        input: The INPUT step.
        body: What follows it.
    """

    text: str
    input: StepSyntax
    body: tuple[Item, ...]


def is_notation(text: str) -> bool:
    """Return whether `text` is notation, rather than a path or ONNX text."""
    return _START.match(text) is not None


JOINS = frozenset({"RES", "ADD", "CAT", "GATE"})

DEEPEST = 64
"""Most nested brackets; real networks need about five."""

MOST_DIGITS = 5
"""Most digits of the number of repeats."""

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<arrow>->|→)|(?P<mark>[\[\]|*])|(?P<name>@[\w./]+)|(?P<word>[^\W_][\w.×,]*)|(?P<other>.)"
)


def parse(text: str) -> NetworkSyntax:
    """Return the syntax of `text`.

    Raises:
        NotationError: It does not follow the grammar.
    """
    parser = _Parser(text)
    first = parser.step()
    if first.kind != "INPUT":
        raise parser.error("a network starts with its input", first.at, "INPUT 3x32x32 -> ...")
    body = parser.sequence() if parser.take("->") else ()
    if not parser.ended:
        raise parser.error(f"expected -> but found {parser.seen!r}", parser.at)
    return NetworkSyntax(text, first, body)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.index = 0
        self.depth = 0
        self.tokens = list[tuple[str, Word]]()
        for match in _TOKEN.finditer(text):
            group = match.lastgroup or "other"
            if group == "other":
                raise self.error(f"{match.group()!r} has no meaning here", match.start())
            if group != "space":
                value = "->" if group == "arrow" else match.group()
                self.tokens.append((group, Word(value, match.start())))

    def error(self, cause: str, at: int, remedy: str | None = None) -> NotationError:
        return NotationError(cause, text=self.text, at=at, remedy=remedy)

    @property
    def ended(self) -> bool:
        return self.index == len(self.tokens)

    @property
    def group(self) -> str:
        return "end" if self.ended else self.tokens[self.index][0]

    @property
    def seen(self) -> str:
        return "the end" if self.ended else self.tokens[self.index][1].text

    @property
    def at(self) -> int:
        return len(self.text.rstrip()) if self.ended else self.tokens[self.index][1].at

    def take(self, mark: str) -> bool:
        found = self.group in ("arrow", "mark") and self.seen == mark
        self.index += found
        return found

    def word(self) -> Word:
        word = self.tokens[self.index][1]
        self.index += 1
        return word

    def sequence(self) -> tuple[Item, ...]:
        items = [self.item()]
        while self.take("->"):
            items.append(self.item())
        return tuple(items)

    def item(self) -> Item:
        at = self.at
        if self.take("["):
            body, *others = self.nested(at)
            if others:
                raise self.error("branches need a join", at, "RES[...], ADD[...], CAT[...] or GATE[...]")
            if not body:
                raise self.error("the brackets are empty", at)
            return RepeatSyntax(body, self.times())
        step = self.step()
        if step.kind not in JOINS:
            if self.take("*"):
                raise self.error("only brackets can be repeated", step.at, f"[{step.kind} ...]*N")
            return step
        if step.words or step.name or not self.take("["):
            raise self.error(f"{step.kind} joins branches", step.at, f"{step.kind}[... | ...]")
        branches = self.nested(step.at)
        times = self.times()
        join = JoinSyntax(step.kind, step.at, branches, self.name())
        return join if times == 1 else RepeatSyntax((join,), times)

    def nested(self, at: int) -> tuple[tuple[Item, ...], ...]:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"brackets are nested deeper than {DEEPEST}", at)
        branches = [self.branch()]
        while self.take("|"):
            branches.append(self.branch())
        if self.ended:
            raise self.error("the bracket is never closed", at)
        if not self.take("]"):
            raise self.error(f"expected ] but found {self.seen!r}", self.at)
        self.depth -= 1
        return tuple(branches)

    def branch(self) -> tuple[Item, ...]:
        if self.seen in ("|", "]"):
            return ()
        if self.group == "word" and self.seen.upper() == "ID":
            self.index += 1
            return ()
        return self.sequence()

    def times(self) -> int:
        if not self.take("*"):
            return 1
        if not self.seen.isdecimal() or self.group != "word" or not self.seen.strip("0"):
            raise self.error(f"expected a number of repeats but found {self.seen!r}", self.at, "[...]*2")
        word = self.word()
        if len(word.text) > MOST_DIGITS:
            raise self.error(f"no network repeats anything {word.text} times", word.at)
        return int(word.text)

    def step(self) -> StepSyntax:
        if self.group != "word":
            raise self.error(f"expected a step such as CONV but found {self.seen!r}", self.at)
        kind = self.word()
        words = list[Word]()
        while self.group == "word":
            words.append(self.word())
        return StepSyntax(kind.text.upper(), kind.at, tuple(words), self.name())

    def name(self) -> Word | None:
        if self.group != "name":
            return None
        word = self.word()
        return Word(word.text[1:], word.at)

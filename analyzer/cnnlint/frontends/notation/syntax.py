"""What a text in the notation is made of: words with their places, steps, repeats and joins."""

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
        at: Index of the character that is meant.
        remedy: What would be right.
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
        """The line that is meant, and below it a caret at the column."""
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


class Step(Struct, frozen=True):
    """One layer.

    Attributes:
        kind: In capitals: "CONV".
        at: Index of the kind's first character.
        words: What follows the kind.
        name: What follows the @; None if the layer is to be named by its kind and number.
    """

    kind: str
    at: int
    words: tuple[Word, ...] = ()
    name: Word | None = None


class Repeat(Struct, frozen=True):
    """A sequence that stands several times, each with weights of its own."""

    body: tuple[Item, ...]
    times: int


class Join(Struct, frozen=True):
    """Branches that start from one tensor and are joined; an empty one is the identity.

    Attributes:
        kind: "RES", "ADD", "CAT" or "GATE".
        at: Index of the kind's first character.
        branches: As written, at least one.
        name: What follows the @.
    """

    kind: str
    at: int
    branches: tuple[tuple[Item, ...], ...]
    name: Word | None = None


Item = Step | Repeat | Join


class Network(Struct, frozen=True):
    """A whole text.

    Attributes:
        text: As the user wrote it, for messages.
        input: The INPUT step.
        body: What follows it.
    """

    text: str
    input: Step
    body: tuple[Item, ...]


def is_notation(text: str) -> bool:
    """Return whether `text` is meant as notation and not as a path or as ONNX text."""
    return _START.match(text) is not None

"""What comments in the user's code ask to have ignored, and which lines they speak for.

`# cnnlint: ignore[FC001, BN002] reason` stands on a line of the code that makes layers. What is a comment is Python's
tokenizer to say, and which calls go on over which lines its parser. A comment on a line that makes layers speaks for
that line alone; one further down, on a line that such a call goes on over, for that call, the innermost if there are
several; and one elsewhere in a statement for all lines of the statement that make layers. So each element of a long
list has its own, and a call that a formatter has spread may have it at either end.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import warnings
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.definitions.recording import TAB
from cnnlint.results import Frame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

LARGEST = 1 << 20
"""Bytes of a Python file that is read."""

OURS = re.compile(r"#[#:]*\s*cnnlint\s*:")
"""How what is meant for cnnlint begins."""

FORM = re.compile(r"#[#:]*\s*cnnlint\s*:\s*ignore\s*\[(?P<selectors>[^\]]*)\]\s*(?:[:–—-]\s*)?(?P<reason>.*)")

REMARK = re.compile(r"(?:^|(?<=\s))#(?!\d)")
"""Where one of several remarks in a comment begins, as before `# noqa`; "#12" is the number of an issue."""

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError)
"""What Python's tokenizer and parser raise; a UnicodeDecodeError is a ValueError."""

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

BESIDE = frozenset({tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER})
"""Tokens that stand between statements too."""


class Comment(Struct, frozen=True, kw_only=True):
    """A remark in a comment that is meant for cnnlint.

    Attributes:
        line: Counted from 1.
        begin: The character at which it begins in the line.
        end: The character before which it ends.
        selectors: What is to be ignored; () if it does not have the form.
        reason: Why, with the date to which it holds; "" if it does not say.
    """

    line: int
    begin: int
    end: int
    selectors: tuple[str, ...]
    reason: str


class Code:
    """A Python file as the interpreter reads it, or the beginning of one that it cannot read.

    Args:
        text: What is in the file.
    """

    def __init__(self, text: str) -> None:
        # as the interpreter counts lines: form feeds and the separators of Unicode end none
        self.lines = io.StringIO(text, newline=None).readlines()

    @classmethod
    def read(cls, path: str) -> Code:
        """Return the file at `path`; an empty one if it cannot be read, or is too large."""
        try:
            if os.path.getsize(path) > LARGEST:
                return cls("")
            text = decoded(Path(path).read_bytes())[0]
        except (OSError, *UNREADABLE):
            return cls("")
        return cls(text)

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree; None if there is none."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own about the user's code, which it gives when that runs
            try:
                return ast.parse("".join(self.lines))
            except UNREADABLE:
                return None

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        """The tokens, to the first place at which there is none."""
        found = list[tokenize.TokenInfo]()
        with suppress(*UNREADABLE):
            found.extend(tokenize.generate_tokens(iter(self.lines).__next__))
        return found

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        """Those that are meant for cnnlint."""
        if not any("cnnlint" in line for line in self.lines):  # most files are not looked at further
            return ()
        comments = (token for token in self.tokens if token.type == tokenize.COMMENT)
        return tuple(found for token in comments for found in _meant_for_us(token))

    @cached_property
    def ends(self) -> Mapping[int, int]:
        """The character at which the comment of a line begins, by the line."""
        return {token.start[0]: token.start[1] for token in self.tokens if token.type == tokenize.COMMENT}

    def holds(self, line: int, text: str) -> bool:
        """Return whether `line` has the code of the line `text`, whatever comments either has."""
        here, there = self.lines[line - 1].strip(), text.strip()
        if here == there:
            return True
        bare = self.lines[line - 1][: self.ends.get(line)].strip()
        return bool(bare) and there.startswith(bare) and there[len(bare) :].lstrip()[:1] in ("", "#")

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the syntax tree, outer ones before inner ones."""
        return () if self.tree is None else tuple(ast.walk(self.tree))

    @cached_property
    def calls(self) -> Mapping[int, list[ast.Call]]:
        """The calls that begin on a line, by the line."""
        found = dict[int, list[ast.Call]]()
        for node in self.nodes:
            if isinstance(node, ast.Call):
                found.setdefault(node.lineno, []).append(node)
        return found

    @cached_property
    def goes_to(self) -> Mapping[int, int]:
        """The last line of the calls that may be said to be on a line, by that line."""
        last = dict[int, int]()
        for call in (call for calls in self.calls.values() for call in calls):
            # of a chain of methods that is spread over lines, the interpreter names the line of the method
            for line in (call.lineno, call.func.end_lineno or call.lineno):
                last[line] = max(last.get(line, line), call.end_lineno or line)
        return last

    @cached_property
    def statements(self) -> Mapping[int, tuple[int, int]]:
        """The first and the last line of the statement, or of the header of a compound one, by each of its lines."""
        found, first = dict[int, tuple[int, int]](), 0
        for token in self.tokens:
            if token.type == tokenize.NEWLINE:
                first = first or token.start[0]
                found.update(dict.fromkeys(range(first, token.start[0] + 1), (first, token.start[0])))
                first = 0
            elif not first and token.type not in BESIDE:
                first = token.start[0]
        return found

    def spoken_for(self, line: int, made: Collection[int]) -> frozenset[int]:
        """Return the lines that a comment on `line` speaks for, of those that make layers."""
        if line in made:
            return frozenset({line})
        around = [first for first in made if first < line <= self.goes_to.get(first, first)]
        if around:
            return frozenset({max(around)})
        first, last = self.statements.get(line, (line, line))
        return frozenset(each for each in made if first <= each <= last)

    def scope(self, line: int) -> str:
        """Return the qualified name of the function that a line stands in; "" outside of any."""
        return ".".join(name for first, last, name in self._scopes if first <= line <= last)

    @cached_property
    def _scopes(self) -> list[tuple[int, int, str]]:
        """The first line, the last and the name of each function and class, outer ones before inner ones."""
        return [
            (node.lineno, node.end_lineno or node.lineno, node.name) for node in self.nodes if isinstance(node, SCOPES)
        ]


def decoded(content: bytes) -> tuple[str, str]:
    """Return the text of a Python file, and its encoding, which a cookie or a mark of the byte order may name.

    Raises:
        SyntaxError: There is no such encoding.
        ValueError: The file is in another one.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding), encoding


def _meant_for_us(token: tokenize.TokenInfo) -> Iterator[Comment]:
    text, (line, column) = token.string, token.start
    begins = [found.start() for found in REMARK.finditer(text)]
    for begin, after in zip(begins, [*begins[1:], len(text)], strict=True):
        remark = text[begin:after].rstrip()
        if OURS.match(remark) is None:
            continue
        found = FORM.fullmatch(remark)
        selectors = [] if found is None else [each.strip() for each in found["selectors"].split(",")]
        yield Comment(
            line=line,
            begin=column + begin,
            end=column + begin + len(remark),
            selectors=tuple(filter(None, selectors)),
            reason="" if found is None else found["reason"].strip(),
        )


class Wish(Struct, frozen=True, kw_only=True):
    """A comment in the code of a network.

    Attributes:
        comment: What it says.
        frame: Where it stands.
        lines: The lines that it speaks for and that made layers of the network: "train.py:42".
        is_apart: Whether it stands on a line of its own between statements, where it speaks for nothing.
    """

    comment: Comment
    frame: Frame
    lines: tuple[str, ...]
    is_apart: bool


def wishes(frames: Iterable[Frame]) -> tuple[Wish, ...]:
    """Return what the files that made a network ask to have ignored.

    Args:
        frames: The lines of all layers, and of what called these.
    """
    made = dict[str, set[int]]()
    for frame in frames:
        made.setdefault(frame.file, set()).add(frame.line)
    return tuple(wish for file in sorted(made) for wish in _in_file(file, Code.read(file), made[file]))


def _in_file(file: str, code: Code, made: Collection[int]) -> Iterator[Wish]:
    for comment in code.comments:
        text = code.lines[comment.line - 1].rstrip("\n")
        begin, end = (len(text[:place].expandtabs(TAB)) for place in (comment.begin, comment.end))
        yield Wish(
            comment=comment,
            frame=Frame(
                file=file,
                line=comment.line,
                function=code.scope(comment.line) or "<module>",
                text=text.expandtabs(TAB),
                begin=begin,
                end=end,
            ),
            lines=tuple(f"{file}:{line}" for line in sorted(code.spoken_for(comment.line, made))),
            is_apart=code.tree is not None and comment.line not in code.statements,
        )

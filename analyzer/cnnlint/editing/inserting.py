"""Ignores written into the code that makes a network, each where `definitions.comments` reads that it is for a line.

A comment is added at the end of a line, or one that is there already is extended; nothing else of a file changes, and
what has been made of it is held against what it was before it is written.
"""

from __future__ import annotations

import ast
import io
import os
import shutil
import tempfile
import tokenize
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.definitions.comments import UNREADABLE, Code, decoded
from cnnlint.definitions.recording import TAB
from cnnlint.engine.budget import BudgetRule
from cnnlint.engine.housekeeping import HousekeepingRule
from cnnlint.engine.ignoring import parse_reason
from cnnlint.engine.registry import load_rules
from cnnlint.engine.rule import TargetRule
from cnnlint.errors import ConfigError
from cnnlint.results import Frame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from cnnlint.engine.drawing import Drawing
    from cnnlint.engine.rule import Rule
    from cnnlint.results import Finding, LintReport

BEGIN, END = ("FSTRING_START", "TSTRING_START"), ("FSTRING_END", "TSTRING_END")
"""Tokens at which a string with code in it begins and ends, from Python 3.12 on."""


class Insertion(Struct, frozen=True):
    """A change within a line.

    Attributes:
        line: Counted from 1.
        begin: The first character that is replaced.
        end: The character before which what is replaced ends.
        text: What comes in its place.
    """

    line: int
    begin: int
    end: int
    text: str


def check(reason: str) -> str:
    """Return a reason as it is written.

    Raises:
        ConfigError: A comment cannot hold it, or its date is none.
    """
    reason = reason.strip()
    example = "say in a line why, as in --add-ignore 'the weights are those of 2015 (until 2027-01)'"
    try:
        said = parse_reason(reason)[0]
    except ValueError as error:
        raise ConfigError(f"--add-ignore: {error}", remedy=example) from error
    if not said or [each.reason for each in Code(_remark(["FC001"], reason)).comments] != [reason]:
        raise ConfigError(f"--add-ignore: {reason!r} is no reason that a comment can hold", remedy=example)
    return reason


def insertion(code: Code, line: int, made: Collection[int], selectors: Sequence[str], reason: str) -> Insertion | None:
    """Return what ignores rules on a line that makes layers, and on no other; None if it is there, or has no room.

    Args:
        code: The file.
        line: Where layers are made.
        made: All such lines of the file.
        selectors: Codes of the rules.
        reason: Why.
    """
    place = _place(code, line, {*made, line})
    return None if place is None else _in_line(code, place, selectors, reason)


def _place(code: Code, line: int, made: Collection[int]) -> int | None:
    """Return the line whose comment speaks for `line` alone; None if none has room for one.

    It is `line` itself if that can be, else one that the call, or else the statement, goes on over, the last first; but
    where there is an ignore already, there.
    """
    first, last = code.statements.get(line, (line, line))
    over = range(line + 1, code.goes_to.get(line, line) + 1)
    candidates = [line, *reversed(over), *(each for each in range(last, first - 1, -1) if each not in over)]
    taken = {comment.line for comment in code.comments}
    candidates.sort(key=lambda each: each not in taken)
    closed = {*_without_room(code)}
    return next(
        (each for each in candidates if each not in closed and code.spoken_for(each, made) == frozenset({line})), None
    )


def _in_line(code: Code, line: int, selectors: Sequence[str], reason: str) -> Insertion | None:
    present = [comment for comment in code.comments if comment.line == line]
    held = {selector for each in present if each.reason == reason for selector in each.selectors}
    lacking = [selector for selector in selectors if selector not in held]
    if not lacking:
        return None
    for comment in present:
        of_old = comment.reason == reason or (not comment.reason and not {*lacking}.isdisjoint(comment.selectors))
        if comment.selectors and of_old:
            codes = list(dict.fromkeys((*comment.selectors, *lacking)))
            return Insertion(line, comment.begin, comment.end, _remark(codes, reason))
    text = code.lines[line - 1].rstrip("\n")
    return Insertion(line, len(text.rstrip(" \t")), len(text), f"  {_remark(lacking, reason)}")


def _remark(selectors: Sequence[str], reason: str) -> str:
    return f"# cnnlint: ignore[{', '.join(selectors)}] {reason}"


def _without_room(code: Code) -> Iterator[int]:
    """Yield the lines at whose end no comment can be: a string, or the line itself, goes on after it."""
    opened = list[int]()
    for token in code.tokens:
        kind = tokenize.tok_name[token.type]
        if kind in BEGIN:
            opened.append(token.start[0])
        elif kind in END and opened:
            yield from range(opened.pop(), token.end[0])
        elif token.type == tokenize.STRING:
            yield from range(token.start[0], token.end[0])
    for line, text in enumerate(code.lines, 1):
        if text.rstrip("\n").endswith("\\") and line not in code.ends:
            yield line


def changed(code: Code, text: str, insertions: Iterable[Insertion]) -> str | None:
    """Return the text of a file with comments put in; None if that would change anything else.

    Args:
        code: The file.
        text: What is in it, with the ends of its lines.
        insertions: At most one for a line.
    """
    lines = io.StringIO(text, newline="").readlines()
    for each in insertions:
        line = lines[each.line - 1]
        lines[each.line - 1] = f"{line[: each.begin]}{each.text}{line[each.end :]}"
    after = "".join(lines)
    then = Code(after)
    same = code.tree is not None and then.tree is not None and _is_same(code.tree, then.tree)
    return after if same and len(then.lines) == len(code.lines) else None


def _is_same(before: ast.Module, after: ast.Module) -> bool:
    return ast.dump(before, include_attributes=True) == ast.dump(after, include_attributes=True)


class Written(Struct, frozen=True, kw_only=True):
    """What became of ignores that were to be written.

    Attributes:
        lines: What was written, by place: "train.py:42".
        refused: Why not, by place.
        files: How many files were changed.
        elsewhere: How many findings stand on no line of code.
    """

    lines: dict[str, str]
    refused: dict[str, str]
    files: int
    elsewhere: int


def write(report: LintReport, drawings: Iterable[Drawing], reason: str) -> Written:
    """Write an ignore of each finding into the code, on the line that made its layer.

    Args:
        report: The findings.
        drawings: The networks, with the lines of all layers.
        reason: Why.

    Raises:
        ConfigError: A file cannot be written; those before it have been.
    """
    made = dict[str, set[int]]()
    for frame in (frame for drawing in drawings for node in drawing.nodes for frame in node.frames):
        made.setdefault(frame.file, set()).add(frame.line)
    wanted = dict[str, dict[Frame, set[str]]]()
    elsewhere = 0
    for finding in _ignorable(report):
        frames = {place.frames[0] for place in finding.places if place.frames}
        elsewhere += not frames
        for frame in frames:
            wanted.setdefault(frame.file, {}).setdefault(frame, set()).add(finding.code)
    lines, refused, files = dict[str, str](), dict[str, str](), 0
    for file, frames in sorted(wanted.items()):
        put = _in_file(file, frames, made.get(file, set()), reason, refused)
        lines |= put
        files += bool(put)
    return Written(lines=lines, refused=refused, files=files, elsewhere=elsewhere)


def _ignorable(report: LintReport) -> Iterator[Finding]:
    return (finding for model in report.shown().models for finding in model.findings if is_for_code(finding.code))


def is_for_code(code: str) -> bool:
    """Return whether a comment hides what a rule finds: no budget, and not what cnnlint says of its own work."""
    rule = _known().get(code)
    return rule is None or not issubclass(rule, (BudgetRule, TargetRule, HousekeepingRule))


@cache
def _known() -> Mapping[str, type[Rule]]:
    return load_rules().by_code


def _in_file(
    file: str, frames: Mapping[Frame, Collection[str]], made: Collection[int], reason: str, refused: dict[str, str]
) -> dict[str, str]:
    path = os.path.realpath(file)
    try:
        with open(path, "rb") as opened:
            content = opened.read()
        text, encoding = decoded(content)
        if text.encode(encoding) != content:
            raise ValueError("not what it was read from")
    except (OSError, *UNREADABLE):
        refused.update((frame.where, "the file cannot be read") for frame in frames)
        return {}
    code = Code(text)
    by_line = dict[int, set[str]]()
    for frame, codes in frames.items():
        here = code.lines[frame.line - 1].rstrip("\n").expandtabs(TAB) if frame.line <= len(code.lines) else ""
        if here == frame.text.rstrip("\n"):
            by_line.setdefault(frame.line, set()).update(codes)
        else:
            refused[frame.where] = "the line has changed since it was run"
    put = dict[int, Insertion]()
    for line, codes in by_line.items():
        place = _place(code, line, {*made, *by_line})
        if place is None:
            refused[f"{file}:{line}"] = "no comment can stand there"
        elif (found := _in_line(code, place, sorted(codes), reason)) is not None:
            put[line] = found
    after = changed(code, text, put.values()) if put else None
    if after is None:
        refused.update((f"{file}:{line}", "a comment would change the code") for line in put)
        return {}
    try:
        _replace(path, after.encode(encoding))
    except UnicodeEncodeError as error:
        raise ConfigError(f"its encoding, {encoding}, cannot hold the reason", path=file) from error
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=file) from error
    return {f"{file}:{each.line}": each.text.strip() for each in put.values()}


def _replace(path: str, content: bytes) -> None:
    """Put `content` in the place of a file; readers see the old file or the new one."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path), prefix=".cnnlint-") as beginning:
        part = os.path.join(beginning, os.path.basename(path))
        with open(part, "xb") as fresh:
            fresh.write(content)
        shutil.copymode(path, part)
        os.replace(part, path)

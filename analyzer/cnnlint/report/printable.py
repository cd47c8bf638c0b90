r"""What a model calls its layers, made safe to print: names come from files that anybody may have written.

Three readers of a report obey what stands in it. A terminal obeys escape sequences and changes of direction; whoever
reads by lines takes a line break in a name for the end of a line; and a CI service takes some text in a log for a
command: GitHub `::error::` at the start of a line, after blanks, and `##[group]` anywhere in it, Azure `##vso[...]`
anywhere in a line, GitLab `section_start:...` before an escape sequence (actions/runner, ActionCommand.cs;
azure-pipelines-agent, Command.cs). .NET compares text by culture, where characters without a width count for nothing,
so that these are spelled out as well.

Names and sentences are made printable before a report is laid out. What starts a line is known only afterward, when
tables are filled and sentences wrapped: each format looks at its finished text once more, and spells what it has to
change in a way that its own readers undo.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

Report = TypeVar("Report", bound=msgspec.Struct)

UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls of terminals, line breaks
    "\u2028\u2029"  # line and paragraph separators
    # Unicode's Default_Ignorable_Code_Point: signs without a width, changes of direction
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff"  # halves of surrogate pairs
    "]"
)
"""What is not shown as it is."""

COLOR = r"\x1b\[[0-9;]*m"
"""What starts and ends a color of ours; to whom a service shows its log it is nothing."""

AT_START = re.compile(rf"^((?:[^\S\n]|{COLOR})*)(:(?=(?:{COLOR})*:)|s(?=ection_(?:start|end):))", re.MULTILINE)
"""The first sign of what is a command at the start of a line."""

ANYWHERE = re.compile(r"()(#(?=#(?:vso)?\[))", re.IGNORECASE)
"""The first sign of what is a command wherever it stands in a line."""

CODE = "suggestion"
"""The one field that has several lines."""

WITH_LINES = re.compile(rf'"{CODE}":"(?:[^"\\]|\\.)*"')
"""That field in JSON; within a string its quotes are escaped, and nothing looks like it."""

ESCAPED = re.compile(r"\\(.)")
"""What JSON escapes, one after the other."""

HARMLESS = frozenset({'"', "\\"})
"""What it escapes that is safe to print."""

Spelling = Callable[[str], str]


def spelled(character: str) -> str:
    r"""Return a character as text shows it: "\x1b"."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def in_json(character: str) -> str:
    r"""Return a character as a JSON string may hold it, "\u001b", which is read as the same."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def in_markup(character: str) -> str:
    """Return a character as XML and HTML may hold it, "&#27;", which is read as the same."""
    return f"&#{ord(character)};"


def printable(text: str) -> str:
    r"""Return `text` with what is not safe to print spelled out: "\x1b"."""
    return UNSAFE.sub(lambda found: spelled(found[0]), text)


def visible(text: str, spelling: Spelling) -> str:
    """Return the lines of a report with what is not safe to print in a spelling that its readers undo."""
    return UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else spelling(found[0]), text)


def without_commands(text: str, spelling: Spelling = spelled, *, own: bool = False) -> str:
    """Return lines for a log in which a CI service finds no commands, but those that are our `own` start lines."""
    if "##" in text:
        text = ANYWHERE.sub(lambda found: found[1] + spelling(found[2]), text)
    if not own and ("::" in text or "section_" in text or "\x1b" in text):
        text = AT_START.sub(lambda found: found[1] + spelling(found[2]), text)
    return text


def printable_report(report: Report) -> Report:
    """Return `report` with every name and sentence safe to print; as it is in the usual case.

    All of it is looked at as one JSON text first: a report of a deep network has a million fields.
    """
    try:
        written = msgspec.json.encode(report).decode()
    except (ValueError, OverflowError):  # halves of surrogate pairs, numbers of any size
        written = "\\r"
    if _is_safe(written):
        return report
    plain: Any = msgspec.to_builtins(report)
    cleaned: Any = _cleaned(plain)
    return report if cleaned == plain else msgspec.convert(cleaned, type(report))


def _is_safe(written: str) -> bool:
    """Return whether the strings of a JSON text are safe; it escapes what ASCII holds that is not, but for DEL."""
    if "\x7f" in written if written.isascii() else UNSAFE.search(written):
        return False
    if "\\" not in written:
        return True
    others = WITH_LINES.sub("", written)
    return HARMLESS.issuperset(ESCAPED.findall(others)) and (HARMLESS | {"n"}).issuperset(ESCAPED.findall(written))


def encodable(value: object) -> object:
    """Return `value` with halves of surrogate pairs, which paths may hold and JSON may not, spelled out."""
    return _cleaned(msgspec.to_builtins(value), only_surrogates=True)


def _cleaned(node: object, field: str = "", *, only_surrogates: bool = False) -> object:
    match node:
        case str():
            if only_surrogates:
                return node.encode("utf-8", "backslashreplace").decode()
            if field == CODE:
                return "\n".join(printable(line) for line in node.split("\n"))
            return printable(node) if UNSAFE.search(node) else node
        case dict():
            entries = cast("dict[str, object]", node)
            return {
                str(_cleaned(key, only_surrogates=only_surrogates)): _cleaned(
                    value, key, only_surrogates=only_surrogates
                )
                for key, value in entries.items()
            }
        case list() | tuple():
            items = cast("list[object]", node)
            return [_cleaned(item, field, only_surrogates=only_surrogates) for item in items]
        case _:
            return node

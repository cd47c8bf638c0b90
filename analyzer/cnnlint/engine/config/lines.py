"""The lines on which the keys of a TOML file stand, for messages and `--show-settings`."""

from __future__ import annotations

import re

KEY = r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
HEADER = r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?"
PART = r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'"""

KeyPath = tuple[str | int, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, of every table and key in `text`; keys inside inline tables have none.

    A key's path holds the table's names, and the index where it is a table of an array.
    """
    lines = dict[KeyPath, int]()
    arrays = dict[KeyPath, int]()
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.fullmatch(HEADER, line):
            table = _indexed(_parts(header[2]), arrays, opens_item=header[1] == "[[")
            lines.setdefault(table, number)
        elif found := re.match(KEY, line):
            path = (*table, *_parts(found[1]))
            for length in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """Return the line of `path`, or of the nearest key around it."""
    for length in range(len(path), 0, -1):
        if (number := lines.get(path[:length])) is not None:
            return number
    return None


def _parts(written: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(PART, written))


def _indexed(names: KeyPath, arrays: dict[KeyPath, int], *, opens_item: bool) -> KeyPath:
    path: KeyPath = ()
    for position, name in enumerate(names):
        path = (*path, name)
        if opens_item and position == len(names) - 1:
            arrays[path] = arrays.get(path, -1) + 1
        if path in arrays:
            path = (*path, arrays[path])
    return path

"""What a model calls its layers, made safe to print: names come from files that anybody may have written.

A terminal obeys escape sequences, wherever they come from; a line break in a name would forge a line of the report.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec

from cnnlint.results import LintReport, SummaryReport

Report = TypeVar("Report", LintReport, SummaryReport)

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls of terminals, line breaks, changes of direction, and halves of surrogate pairs."""

CODE = "suggestion"
"""The one field that has several lines."""


def printable(text: str) -> str:
    r"""Return `text` with what is not safe to print spelled out: "\x1b"."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_report(report: Report) -> Report:
    """Return `report` with every name and sentence safe to print; as it is in the usual case."""
    plain: Any = msgspec.to_builtins(report)
    cleaned: Any = _cleaned(plain)
    return report if cleaned == plain else msgspec.convert(cleaned, type(report))


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

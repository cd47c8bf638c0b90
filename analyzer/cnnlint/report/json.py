"""The report for programs: versioned JSON with every number exact."""

from __future__ import annotations

import msgspec

from cnnlint.report.printable import encodable, in_json, visible, without_commands
from cnnlint.report.view import View
from cnnlint.results import LintReport, SummaryReport


def render(report: LintReport | SummaryReport, view: View) -> str:
    """Return `report` as JSON; numbers that are not finite become null."""
    return encode(report, view)


def encode(value: object, view: View) -> str:
    """Return `value` as JSON on one line, or indented when a person looks at it."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(encodable(value))
    if view.terminal:
        encoded = msgspec.json.format(encoded, indent=2)
    return without_commands(visible(encoded.decode(), in_json), in_json) + "\n"

"""The report for programs: versioned JSON with every number exact."""

from __future__ import annotations

import msgspec

from cnnlint.report.view import View
from cnnlint.results import LintReport, SummaryReport


def render(report: LintReport | SummaryReport, view: View) -> str:
    """Return `report` as JSON, indented when a person looks at it; numbers that are not finite become null."""
    encoded = msgspec.json.encode(report)
    if view.terminal:
        encoded = msgspec.json.format(encoded, indent=2)
    return encoded.decode() + "\n"

"""Annotations of a GitHub Actions run.

GitHub shows at most ten errors, ten warnings and ten notices of a step; the rest is in the log. The Markdown report
belongs beside them, in $GITHUB_STEP_SUMMARY.
"""

from __future__ import annotations

from cnnlint.finding import Severity
from cnnlint.report.anchors import findings, relative, sentence
from cnnlint.report.printable import printable_report
from cnnlint.report.tally import tally
from cnnlint.report.view import View
from cnnlint.results import LintReport

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: LintReport, view: View) -> str:
    """Return a workflow command for each unreadable model and each finding, the gravest first."""
    report = printable_report(report)
    lines = [
        f"::error file={_property(relative(model.path))},title=cnnlint::{_text(model.error)}"
        for model in report.models
        if model.error is not None
    ]
    ordered = sorted(findings(report), key=lambda found: -found[1].severity.rank)
    for model, finding in ordered:
        place = f"file={_property(relative(model.path))},line=1"
        title = _property(f"{finding.code} {finding.name}")
        advice = f"\n{finding.suggestion}" if finding.suggestion else ""
        lines.append(f"::{COMMANDS[finding.severity]} {place},title={title}::{_text(sentence(finding) + advice)}")
    lines.append(tally(report, View()))
    return "".join(f"{line}\n" for line in lines)


def _text(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _text(value).replace(":", "%3A").replace(",", "%2C")

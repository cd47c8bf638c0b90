"""Annotations of a GitHub Actions run.

GitHub shows at most ten errors, ten warnings and ten notices of a step; the rest is in the log. The Markdown report
belongs beside them, in $GITHUB_STEP_SUMMARY.
"""

from __future__ import annotations

from cnnlint.report.lines import file_of, on_lines
from cnnlint.report.parts import in_repository, sentence, shortcomings, site_of, summary_line
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import View
from cnnlint.results import LintReport, Severity

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: LintReport, view: View) -> str:
    """Return a workflow command for each unreadable model and each finding, the gravest first."""
    report = printable_report(report)
    lines = [
        f"::error file={_property(in_repository(file_of(model.path)))},title=cnnlint::{_text(sentence)}"
        for model in report.models
        for sentence in shortcomings(model)
    ]
    ordered = sorted(on_lines(report), key=lambda found: -found[1].severity.rank)
    for model, finding in ordered:
        file, line = site_of(model, finding)
        place = f"file={_property(file)},line={line}"
        title = _property(f"{finding.code} {finding.name}")
        advice = f"\n{finding.suggestion}" if finding.suggestion else ""
        lines.append(f"::{COMMANDS[finding.severity]} {place},title={title}::{_text(sentence(finding) + advice)}")
    lines.append(summary_line(report, view.plain()))
    return without_commands("".join(f"{line}\n" for line in lines), own=True)


def _text(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _text(value).replace(":", "%3A").replace(",", "%2C")

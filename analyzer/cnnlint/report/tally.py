"""The last line of a report: how many findings of each severity, and what was left out."""

from __future__ import annotations

from collections import Counter

from cnnlint.graph.quantity import count
from cnnlint.report.quantities import several
from cnnlint.report.view import View
from cnnlint.results import LintReport, Severity

NOUNS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "info"}


def tally(report: LintReport, view: View) -> str:
    """Return "2 models: 1 error, 3 warnings, 1 info (2 suppressed)"."""
    read = [model for model in report.models if model.error is None]
    unread = len(report.models) - len(read)
    counts = Counter(finding.severity for model in read for finding in model.findings)
    parts = [
        view.paint(
            f"{count(number)} info" if severity is Severity.INFO else several(number, NOUNS[severity]), severity.value
        )
        for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO)
        if (number := counts[severity])
    ]
    lost = view.paint(f"{several(unread, 'model')} could not be read", "error")
    if not read:
        return lost if unread else "no models"
    text = f"{several(len(read), 'model')}: " + (", ".join(parts) if parts else view.paint("no findings", "good"))
    broken = sum(not budget.passed for model in read for budget in model.budgets)
    kept = sum(budget.passed for model in read for budget in model.budgets)
    if kept or broken:
        held = f"{kept} of {several(kept + broken, 'budget')} kept"
        text += f"; {view.paint(held, 'error') if broken else held}"
    if suppressed := sum(model.suppressed for model in read):
        text += view.paint(f" ({count(suppressed)} suppressed)", "faint")
    if incomplete := sum(bool(model.incomplete) for model in read):
        partly = f"{several(incomplete, 'model')} not linted in full"
        text += f"; {view.paint(partly, 'error')}"
    if unread:
        text += f"; {lost}"
    return text

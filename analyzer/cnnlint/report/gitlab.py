"""GitLab's Code Quality report: a JSON list with a path, a severity and a unique fingerprint for each finding."""

from __future__ import annotations

from cnnlint.report.json import encode
from cnnlint.report.parts import FindingHashes, findings, in_repository, sentence, shortcomings
from cnnlint.report.view import View
from cnnlint.results import LintReport, Severity, digest

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(report: LintReport, view: View) -> str:
    """Return an issue for each finding, and a blocking one for each model that could not be read."""
    hashes = FindingHashes()
    issues = [
        _issue(
            f"{finding.code} {finding.name}",
            sentence(finding),
            SEVERITIES[finding.severity],
            model.path,
            hashes.of(model, finding),
        )
        for model, finding in findings(report)
    ]
    issues += [
        _issue(
            "cnnlint",
            shortcoming,
            "blocker",
            model.path,
            digest(f"{in_repository(model.path)}{number or ''}", size=64)[:32],
        )
        for model in report.models
        for number, shortcoming in enumerate(shortcomings(model))
    ]
    return encode(issues, view)


def _issue(check: str, description: str, severity: str, path: str, fingerprint: str) -> dict[str, object]:
    return {
        "check_name": check,
        "description": description,
        "severity": severity,
        "fingerprint": fingerprint,
        "location": {"path": in_repository(path), "lines": {"begin": 1}},
    }

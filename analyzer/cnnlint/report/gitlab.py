"""GitLab's Code Quality report: a JSON list with a path, a severity and a unique fingerprint for each finding."""

from __future__ import annotations

from cnnlint.report.json import encode
from cnnlint.report.lines import file_of, on_lines
from cnnlint.report.parts import FindingHashes, in_repository, sentence, shortcomings, site_of
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
            site_of(model, finding),
            hashes.of(model, finding),
        )
        for model, finding in on_lines(report)
    ]
    issues += [
        _issue(
            "cnnlint",
            shortcoming,
            "blocker",
            (in_repository(file_of(model.path)), 1),
            digest(f"{in_repository(model.path)}{number or ''}", size=64)[:32],
        )
        for model in report.models
        for number, shortcoming in enumerate(shortcomings(model))
    ]
    return encode(issues, view)


def _issue(check: str, description: str, severity: str, site: tuple[str, int], fingerprint: str) -> dict[str, object]:
    return {
        "check_name": check,
        "description": description,
        "severity": severity,
        "fingerprint": fingerprint,
        "location": {"path": site[0], "lines": {"begin": site[1]}},
    }

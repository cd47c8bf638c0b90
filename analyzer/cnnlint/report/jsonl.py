"""A line of JSON for each finding, for log pipelines and `jq`."""

from __future__ import annotations

import msgspec

from cnnlint.report.json import encode
from cnnlint.report.parts import findings
from cnnlint.report.view import View
from cnnlint.results import LintReport


def render(report: LintReport, view: View) -> str:
    """Return one object a line: a finding with its model's path, {"path", "error"} or {"path", "incomplete"}."""
    entries: list[object] = [
        {"path": model.path, **msgspec.structs.asdict(finding)} for model, finding in findings(report)
    ]
    entries += [{"path": model.path, "error": model.error} for model in report.models if model.error is not None]
    entries += [{"path": model.path, "incomplete": model.incomplete} for model in report.models if model.incomplete]
    return "".join(encode(entry, View()) for entry in entries)

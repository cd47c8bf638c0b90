"""Reports: one module per format, imported when the format is asked for.

A format is a module with `render(report: LintReport, view: View) -> str`; the text ends with a line break.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnlint.report.view import View
    from cnnlint.results import LintReport

FORMATS = {
    "text": "cnnlint.report.text",
    "concise": "cnnlint.report.concise",
    "json": "cnnlint.report.json",
    "jsonl": "cnnlint.report.jsonl",
    "markdown": "cnnlint.report.markdown",
    "github": "cnnlint.report.github",
    "gitlab": "cnnlint.report.gitlab",
    "junit": "cnnlint.report.junit",
    "sarif": "cnnlint.report.sarif",
    "html": "cnnlint.report.html",
}
"""The module that renders each format."""


def render(report: LintReport, form: str, view: View) -> str:
    """Return `report` in the format `form`, one of FORMATS."""
    return import_module(FORMATS[form]).render(report, view)

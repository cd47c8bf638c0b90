"""Reports: one module per format, imported when the format is asked for.

A format is a module with `render(report: LintReport, view: View) -> str`; the text ends with a line break.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.errors import FAULTS, CnnlintError, guarded
from cnnlint.results import LintReport, SummaryReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnnlint.report.view import View

Report = TypeVar("Report", LintReport, SummaryReport)

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

DRAWN = frozenset({"html"})
"""Formats that draw the networks, and so are given `View.drawings`."""


class Rendered(Struct, Generic[Report], frozen=True):
    """A report as text.

    Attributes:
        text: In the format asked for.
        report: What the text shows: a model that could not be rendered has its `error` set and nothing else.
        faults: What went wrong with the models that could not be rendered.
    """

    text: str
    report: Report
    faults: tuple[CnnlintError, ...] = ()


def render(report: LintReport, form: str, view: View) -> str:
    """Return `report` in the format `form`, one of FORMATS; a model that cannot be rendered is an error in it."""
    return render_each(report, form, view).text


def render_each(report: LintReport, form: str, view: View) -> Rendered[LintReport]:
    """Return `report` in the format `form`, one of FORMATS, and the models that could not be rendered."""
    module = import_module(FORMATS[form])
    return rendered(report, lambda part: module.render(part.shown(), replace(view, exit_code=part.exit_code)))


def rendered(report: Report, write: Callable[[Report], str]) -> Rendered[Report]:
    """Return what `write` makes of `report`; a model that it fails on becomes one that could not be read.

    Only when the report as a whole fails is each model tried by itself, so that the usual case costs nothing.

    Raises:
        Exception: It fails on the report, and on none of the models.
    """
    try:
        return Rendered(write(report), report)
    except FAULTS:
        models, faults = list[object](), list[CnnlintError]()
        for model in report.models:
            outcome = guarded(model.path, lambda model=model: write(replace(report, models=(model,))))
            if isinstance(outcome, CnnlintError):
                faults.append(outcome)
                model = type(model)(path=model.path, format=None, error=str(outcome))  # noqa: PLW2901 - its stand-in
            models.append(model)
        if not faults:
            raise
    sound = replace(report, models=tuple(models))
    return Rendered(write(sound), sound, tuple(faults))

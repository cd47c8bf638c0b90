"""`cnnlint summary`: layers, shapes, parameters and MACs, and how each is computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from msgspec.structs import replace

from cnnlint.cli.discovery import discover
from cnnlint.cli.mistyped import OneOf
from cnnlint.cli.options import color_option, file_options, input_dims, run_limits, setting_options, verbose_option
from cnnlint.cli.progress import progress
from cnnlint.cli.streams import ColorChoice, complain, complain_of, view_of_stdout, write
from cnnlint.engine.config.nearest import Documents
from cnnlint.report import rendered
from cnnlint.report.view import View
from cnnlint.results import SummaryReport

if TYPE_CHECKING:
    from cnnlint.engine.drawing import Drawing
    from cnnlint.errors import CnnlintError
    from cnnlint.results import ModelSummary


@click.command("summary")
@click.argument("paths", nargs=-1, required=True, metavar="MODEL...", type=click.Path())
@click.option("--explain", is_flag=True, help="Show the formulas of parameters, shapes and MACs.")
@click.option("--plot", is_flag=True, help="Draw activation memory over the layers, and costs by stage.")
@click.option("--latency", is_flag=True, help="Time each layer under onnxruntime on this machine.")
@click.option("--format", "form", type=OneOf(("text", "json", "html")), default="text", show_default=True)
@setting_options("inputs", "run_timeout", "run_memory")
@file_options
@color_option
@verbose_option()
def command(
    *,
    paths: tuple[str, ...],
    explain: bool,
    plot: bool,
    latency: bool,
    form: Literal["text", "json", "html"],
    inputs: tuple[str, ...],
    run_timeout: float | None,
    run_memory: str | None,
    config: Path | None,
    isolated: bool,
    color: ColorChoice,
    verbose: bool,
) -> int:
    """Show the layers of models, what they cost, and the pattern of the network.

    Of a configuration only what it excludes matters here.
    """
    if plot and form != "text":
        raise click.UsageError(f"--plot draws in the terminal; --format {form} has its numbers without it")
    from cnnlint.api.linting import summary_of
    from cnnlint.worker.workers import Workers

    found = discover(paths, Documents(config, isolated=isolated), by_name=False)
    for error in found.errors:
        complain(str(error))
    if found.skipped:
        complain(found.skipped, "note")
    dims = input_dims(inputs)
    drawings: dict[str, Drawing] | None = {} if form == "html" else None
    workers = Workers(run_limits(run_timeout, run_memory)) if latency else None
    outcomes = list["tuple[ModelSummary, CnnlintError | None]"]()
    try:
        with progress(found.models) as next_turn:
            for model in found.models:
                next_turn(model)
                outcomes.append(summary_of(model, dims, drawings, workers))
    finally:
        if workers is not None:
            workers.close()
    report = SummaryReport(models=tuple(summary for summary, _ in outcomes))
    view = replace(view_of_stdout(color), drawings=drawings or {})
    result = rendered(report, lambda part: _text(part, view, form, explain=explain, plot=plot))
    faults = [*(error for _, error in outcomes if error is not None), *result.faults]
    for fault in faults:
        complain_of(fault, verbose=verbose)
    write(result.text)
    return 2 if found.errors or faults else 0


def _text(report: SummaryReport, view: View, form: str, *, explain: bool, plot: bool) -> str:
    if form == "json":
        from cnnlint.report.json import render as render_json

        return render_json(report, view)
    if form == "html":
        from cnnlint.report.html import render_summary

        return render_summary(report, view)
    if not any(model.error is None for model in report.models):
        return ""
    from cnnlint.report.summary_text import render as render_text

    return render_text(report, view, explain=explain, plot=plot)

"""`cnnlint summary`: layers, shapes, parameters, MACs, and how each follows."""

from __future__ import annotations

from typing import Literal

import click

from cnnlint.cli.discovery import models
from cnnlint.cli.flags import input_dims
from cnnlint.cli.options import color_option, inputs_option
from cnnlint.cli.streams import ColorChoice, complain, view_of_stdout, write


@click.command("summary")
@click.argument("paths", nargs=-1, required=True, metavar="MODEL...", type=click.Path())
@click.option("--explain", is_flag=True, help="Show the formulas behind parameters, shapes and MACs.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@inputs_option
@color_option
def command(
    *, paths: tuple[str, ...], explain: bool, form: Literal["text", "json"], inputs: tuple[str, ...], color: ColorChoice
) -> int:
    """Show the layers of models, what they cost, and the pattern of the network."""
    from cnnlint.api import summarize

    found, missing = models(paths)
    for error in missing:
        complain(str(error))
    report = summarize(found, inputs=input_dims(inputs))
    for model in report.models:
        if model.error is not None:
            complain(model.error)
    view = view_of_stdout(color)
    if form == "json":
        from cnnlint.report.json import render as render_json

        write(render_json(report, view))
    elif any(model.error is None for model in report.models):
        from cnnlint.report.summary_text import render as render_text

        write(render_text(report, view, explain=explain))
    return 2 if missing or any(model.error is not None for model in report.models) else 0

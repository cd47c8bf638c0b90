"""`cnnlint diff`: layers, costs and findings of two models side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from cnnlint.cli.options import about, color_option, config_options, input_shapes, setting_options, verbose_option
from cnnlint.cli.streams import ColorChoice, view_of_stdout, write_report
from cnnlint.engine.budget import QUANTITIES

GROWING = [name.replace("_", "-") for name, quantity in QUANTITIES.items() if quantity.unit != "share"]
"""Quantities whose growth can be limited, as the command line spells them."""


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--max-growth",
    "growth",
    multiple=True,
    metavar="params=2%",
    help=f"The most that B may grow over A, in percent or as an amount: one of {', '.join(GROWING)}; may be repeated.",
)
@click.option("--all", "every", is_flag=True, help="List all layers that differ, renamed ones too.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@setting_options("inputs")
@config_options
@color_option
@verbose_option()
@about("before", "after")
def command(
    *,
    before: str,
    after: str,
    growth: tuple[str, ...],
    every: bool,
    form: Literal["text", "json"],
    inputs: tuple[str, ...],
    config: Path | None,
    isolated: bool,
    color: ColorChoice,
    allow_config_code: tuple[Path, ...],
    ignore_config_code: bool,
    **_: object,
) -> int:
    """Show what differs between the models A and B: layers, parameters, MACs, memory, findings.

    Neither model is run. Exit codes: 0 done, 1 B grew more than --max-growth allows, 2 a model cannot be read.
    """
    from cnnlint.comparison.diff import diff, growth_limit
    from cnnlint.comparison.diff_report import render

    limits = tuple(growth_limit(written) for written in growth)
    report = diff(
        before,
        after,
        limits=limits,
        inputs=input_shapes(inputs),
        config=config,
        isolated=isolated,
        allow_config_code=allow_config_code,
        ignore_config_code=ignore_config_code,
    )
    view = view_of_stdout(color)
    write_report(report, form, view, lambda: render(report, view, every=every))
    return report.exit_code

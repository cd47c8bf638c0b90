"""`cnnlint compare`: whether two models compute the same, and where they first differ."""

from __future__ import annotations

from typing import Literal

import click

from cnnlint.cli.mistyped import Number, OneOf, Whole
from cnnlint.cli.options import about, color_option, input_dims, setting_options, verbose_option
from cnnlint.cli.progress import waiting
from cnnlint.cli.streams import ColorChoice, view_of_stdout, write_report


@click.command("compare")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--tolerance", type=Number(min=0), help="Largest error to accept, relative to a tensor's largest value.")
@click.option("--seed", type=Whole(min=0), help="Seed of the inputs.")
@click.option("--no-layers", is_flag=True, help="Compare outputs only.")
@click.option("--all", "every", is_flag=True, help="Show layers after the first one that differs too.")
@click.option("--format", "form", type=OneOf(("text", "json")), default="text", show_default=True)
@setting_options("inputs")
@setting_options("run_timeout", "run_memory")
@color_option
@click.option("-q", "--quiet", is_flag=True, help="Show outputs only.")
@verbose_option()
@about("before", "after")
def command(
    *,
    before: str,
    after: str,
    tolerance: float | None,
    seed: int | None,
    no_layers: bool,
    every: bool,
    form: Literal["text", "json"],
    inputs: tuple[str, ...],
    run_timeout: float | None,
    run_memory: str | None,
    color: ColorChoice,
    quiet: bool,
    **_: object,
) -> int:
    """Run the models A and B on the same seeded inputs and show where they first differ.

    Each is a Keras model (run by Keras), an ONNX model (run by onnxruntime, graph optimizations off) or a SavedModel
    (run by TensorFlow). Exit codes: 0 equal up to rounding, 1 different, 2 cannot be compared.
    """
    from cnnlint.api.operations import compare
    from cnnlint.operations.compare import render
    from cnnlint.runtime.probe import SEED

    with waiting(f"{before} and {after}"):
        report = compare(
            before,
            after,
            inputs=input_dims(inputs),
            tolerance=tolerance,
            seed=SEED if seed is None else seed,
            layers=not no_layers,
            run_timeout=run_timeout,
            run_memory=run_memory,
        )
    view = view_of_stdout(color, quiet=quiet)
    write_report(report, form, view, lambda: render(report, view, every=every))
    return report.exit_code

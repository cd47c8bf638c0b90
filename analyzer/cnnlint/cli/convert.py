"""`cnnlint convert`: a Keras model to ONNX, verified, then linted."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from cnnlint.cli.mistyped import OneOf, Whole
from cnnlint.cli.options import about, color_option, config_options, setting_options, verbose_option
from cnnlint.cli.progress import waiting
from cnnlint.cli.streams import ColorChoice, complain, view_of_stdout, write_report


@click.command("convert")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="FILE", help="ONNX file to write; an existing one is replaced.")
@click.option(
    "--opset", type=Whole(min=1), metavar="N", help="Version of ONNX's operator set.  [default: tf2onnx's choice]"
)
@click.option("--force", is_flag=True, help="Write the result even if it does not compute the same as the model.")
@click.option("--format", "form", type=OneOf(("text", "json")), default="text", show_default=True)
@config_options
@setting_options("run_timeout", "run_memory")
@color_option
@click.option("-q", "--quiet", is_flag=True, help="Print only problems.")
@verbose_option()
@about("model")
def command(
    *,
    model: str,
    output: str,
    opset: int | None,
    force: bool,
    form: Literal["text", "json"],
    config: Path | None,
    isolated: bool,
    run_timeout: float | None,
    run_memory: str | None,
    color: ColorChoice,
    quiet: bool,
    allow_config_code: tuple[Path, ...],
    ignore_config_code: bool,
    **_: object,
) -> int:
    """Convert MODEL (.keras, .h5 or a SavedModel) to ONNX, verify that both compute the same, and lint the result.

    The result is written only if it is verified. Exit codes: 0 done, 1 they differ or the result has findings at or
    above `fail-on`, 2 the model could not be converted.
    """
    from cnnlint.api.operations import conversion_text, convert

    with waiting(model):
        report = convert(
            model,
            output,
            opset=opset,
            force=force,
            config=config,
            isolated=isolated,
            run_timeout=run_timeout,
            run_memory=run_memory,
            allow_config_code=allow_config_code,
            ignore_config_code=ignore_config_code,
        )
    if not report.written:
        complain(f"{output} was not written: it does not compute the same as {model} (--force writes it anyway)")
    view = view_of_stdout(color, quiet=quiet)
    write_report(report, form, view, lambda: conversion_text(report, view))
    if report.lint is not None and (problem := report.lint.error or "; ".join(report.lint.incomplete)):
        complain(problem)
    return report.exit_code

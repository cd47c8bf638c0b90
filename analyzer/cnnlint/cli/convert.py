"""`cnnlint convert`: a Keras model to ONNX, verified, then linted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from msgspec.structs import replace

from cnnlint.cli.options import about, color_option, config_options, run_limits, setting_options, verbose_option
from cnnlint.cli.streams import ColorChoice, check_output, complain, view_of_stdout, write_report
from cnnlint.errors import ConfigError
from cnnlint.frontends import KERAS_SUFFIXES
from cnnlint.worker.workers import Workers

if TYPE_CHECKING:
    from cnnlint.comparison.conversion import ConversionReport
    from cnnlint.report.view import View


@click.command("convert")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="FILE", help="ONNX file to write; an existing one is replaced.")
@click.option("--opset", type=int, metavar="N", help="Version of ONNX's operator set.  [default: tf2onnx's choice]")
@click.option("--force", is_flag=True, help="Write the result even if it does not compute the same as the model.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
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
    _refuse(model, output)
    from cnnlint.comparison.conversion import ConversionReport, ConvertRequest
    from cnnlint.conversion.writing import replacing
    from cnnlint.engine.config.schema import Flags
    from cnnlint.linter import Linter

    flags = Flags(allow_config_code=allow_config_code, ignore_config_code=ignore_config_code)
    # mistakes in the configuration are reported before the conversion starts
    linter = Linter(flags, config=config, isolated=isolated, models=(output,))
    workers = Workers(run_limits(run_timeout, run_memory))
    with closing(linter), replacing(output) as place:
        request = ConvertRequest(path=model, output=output, fresh=place.fresh, opset=opset)
        report = workers.call("tensorflow", "cnnlint.comparison.conversion:convert", request, ConversionReport)
        workers.close()
        if report.parity.equal or force:
            place.publish()
            report = replace(report, written=True, lint=linter.lint(output))
        else:
            complain(f"{output} was not written: it does not compute the same as {model} (--force writes it anyway)")
    view = view_of_stdout(color, quiet=quiet)
    write_report(report, form, view, lambda: _text(report, view))
    if report.lint is not None and report.lint.error is not None:
        complain(report.lint.error)
        return 2
    if report.lint is not None and report.lint.incomplete:
        complain("; ".join(report.lint.incomplete))
        return 2
    return 0 if report.parity.equal and report.lint is not None and not report.lint.fails() else 1


def _text(report: ConversionReport, view: View) -> str:
    from cnnlint.comparison.conversion import render
    from cnnlint.report.text import render as render_lint
    from cnnlint.results import LintReport

    text = "" if view.quiet and report.parity.equal else render(report, view)
    return text if report.lint is None else text + render_lint(LintReport(models=(report.lint,)), view)


def _refuse(model: str, output: str) -> None:
    """Raise ConfigError for an output path that must be a mistake."""
    if output.lower().endswith(KERAS_SUFFIXES):
        raise ConfigError("this is not the name of an ONNX file", path=output, remedy="write -o model.onnx")
    check_output(output, model)

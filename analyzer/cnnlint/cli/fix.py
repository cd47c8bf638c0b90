"""`cnnlint fix`: the rewrites of rules, applied to an ONNX model and verified."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import click
from msgspec.structs import replace

from cnnlint.cli.options import (
    about,
    color_option,
    config_options,
    input_shapes,
    run_limits,
    setting_options,
    verbose_option,
)
from cnnlint.cli.streams import ColorChoice, check_output, complain, view_of_stdout, write_report
from cnnlint.conversion.writing import replacing
from cnnlint.errors import ConfigError
from cnnlint.worker.workers import Workers


@click.command("fix")
@click.argument("model")
@click.option("-o", "--output", metavar="FILE", help="File to write; an existing one is replaced.")
@click.option("--diff", "difference", is_flag=True, help="Write nothing; show what would change, with the numbers.")
@click.option("--select", multiple=True, metavar="CODES", help="Apply the rewrites of these rules only.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@setting_options("inputs")
@config_options
@setting_options("run_timeout", "run_memory")
@color_option
@verbose_option()
@about("model")
def command(
    *,
    model: str,
    output: str | None,
    difference: bool,
    select: tuple[str, ...],
    form: Literal["text", "json"],
    inputs: tuple[str, ...],
    config: Path | None,
    isolated: bool,
    run_timeout: float | None,
    run_memory: str | None,
    color: ColorChoice,
    allow_config_code: tuple[Path, ...],
    ignore_config_code: bool,
    **_: object,
) -> int:
    """Rewrite the ONNX model MODEL where rules can, and write it if it is verified to compute the same.

    Exit codes: 0 written or nothing to rewrite, 1 --diff shows a rewrite or it is not verified, 2 an error.
    """
    _refuse(model, output, difference=difference)
    from cnnlint.fixing.fix import FixRequest
    from cnnlint.fixing.report import FixReport, render

    workers = Workers(run_limits(run_timeout, run_memory))
    request = FixRequest(
        path=model,
        select=tuple(code.strip() for entry in select for code in entry.split(",") if code.strip()),
        inputs=input_shapes(inputs),
        config=None if config is None else str(config),
        isolated=isolated,
        allow_config_code=tuple(map(str, allow_config_code)),
        ignore_config_code=ignore_config_code,
    )
    with replacing(output) if output else nullcontext() as place:
        request = replace(request, fresh=place.fresh if place else "")
        report = workers.call("onnxruntime", "cnnlint.fixing.fix:fix", request, FixReport)
        workers.close()
        report = replace(report, output=output or "")
        if place is not None and report.is_verified:
            place.publish()
            report = replace(report, written=True)
    if output and report.applied and not report.written:
        complain(f"{output} was not written: the rewritten model does not compute the same as {model}")
    view = view_of_stdout(color)
    write_report(report, form, view, lambda: render(report, view, difference=difference))
    return 0 if report.written or not report.applied else 1


def _refuse(model: str, output: str | None, *, difference: bool) -> None:
    """Raise ConfigError unless exactly one of an output file and `--diff` is given."""
    if difference and output:
        raise ConfigError("--diff writes nothing, so it cannot be combined with -o", remedy="give one of them")
    if not difference and not output:
        raise ConfigError("no output file is given", remedy="give -o FILE, or --diff for a preview")
    if output:
        check_output(output, model)

"""`cnnlint fix`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from msgspec import Struct
from msgspec.structs import replace

from cnnlint.cli.discovery import discover
from cnnlint.cli.mistyped import OneOf, Whole
from cnnlint.cli.options import (
    color_option,
    config_options,
    input_shapes,
    run_limits,
    setting_options,
    verbose_option,
)
from cnnlint.cli.progress import progress
from cnnlint.cli.streams import ColorChoice, complain, complain_of, view_of_stdout, write_report
from cnnlint.conversion.writing import check_output
from cnnlint.engine.config.nearest import Documents
from cnnlint.errors import CnnlintError, ConfigError, boundary
from cnnlint.worker.workers import Workers

if TYPE_CHECKING:
    from cnnlint.operations.fix_report import FixReport


@click.command("fix")
@click.argument("paths", metavar="MODEL...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="PATH", help="File to write, or folder for several models.")
@click.option("--in-place", is_flag=True, help="Replace each model by its rewritten form once that is verified.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if anything would be rewritten.")
@click.option("--diff", "difference", is_flag=True, help="As --check, and show what would change in the network.")
@click.option("--select", multiple=True, metavar="CODES", help="Apply the rewrites of these rules only.")
@click.option("--any-size", is_flag=True, help="Have the model take images of any size; apply no other rewrite.")
@click.option(
    "--keep-rank", is_flag=True, help="With --any-size, average scores over positions: outputs keep their shapes."
)
@click.option(
    "--opset",
    type=Whole(min=1),
    metavar="VERSION",
    help="Also bring the model to this version of ONNX's operator set.",
)
@click.option("--format", "form", type=OneOf(("text", "json")), default="text", show_default=True)
@setting_options("inputs")
@config_options
@setting_options("run_timeout", "run_memory")
@color_option
@verbose_option("Name every place; show the traceback of an error inside cnnlint.")
def command(
    *,
    paths: tuple[str, ...],
    output: str | None,
    in_place: bool,
    check: bool,
    difference: bool,
    select: tuple[str, ...],
    any_size: bool,
    keep_rank: bool,
    opset: int | None,
    form: Literal["text", "json"],
    inputs: tuple[str, ...],
    config: Path | None,
    isolated: bool,
    run_timeout: float | None,
    run_memory: str | None,
    color: ColorChoice,
    verbose: bool,
    allow_config_code: tuple[Path, ...],
    ignore_config_code: bool,
) -> int:
    """Rewrite each ONNX model MODEL where rules can, and write it if it is verified to compute the same.

    Exit codes: 0 written or nothing to rewrite, 1 something would be rewritten (--check and --diff), 2 not done.
    """
    if any_size and select:
        raise ConfigError("--any-size cannot be combined with --select", remedy="apply the rewrites of rules before it")
    if keep_rank and not any_size:
        raise ConfigError("--keep-rank is about --any-size", remedy="give both")
    if any_size and opset is not None:
        raise ConfigError("--any-size cannot be combined with --opset", remedy="give one after the other")
    discovery = discover(paths, Documents(config, isolated=isolated))
    found = discovery.models
    target = _Target(output or "", in_place, several=len(found) > 1 or any(map(os.path.isdir, paths)))
    target.refuse(dry=check or difference, found=found)
    for error in discovery.errors:
        complain_of(error, verbose=verbose)
    from cnnlint.api.operations import fixed
    from cnnlint.operations.fix import FixRequest
    from cnnlint.operations.fix_report import render

    workers = Workers(run_limits(run_timeout, run_memory))
    request = FixRequest(
        path="",
        select=tuple(code.strip() for entry in select for code in entry.split(",") if code.strip()),
        inputs=input_shapes(inputs),
        config=None if config is None else str(config),
        isolated=isolated,
        allow_config_code=tuple(map(str, allow_config_code)),
        ignore_config_code=ignore_config_code,
        any_size=any_size,
        keep_rank=keep_rank,
        opset=opset,
    )
    view = view_of_stdout(color, verbose=verbose)
    outcomes = list["FixReport | CnnlintError"]()
    with closing(workers), progress(found) as next_turn:
        for path in found:
            next_turn(path)
            try:
                with boundary(path):
                    outcomes.append(fixed(workers, replace(request, path=path), target.of(path)))
            except CnnlintError as error:
                outcomes.append(error)
    reports, codes = list["FixReport"](), [2] * bool(discovery.errors)
    for path, outcome in zip(found, outcomes, strict=True):
        if isinstance(outcome, CnnlintError):
            complain_of(outcome, verbose=verbose)
            codes.append(2)
            continue
        if outcome.is_changed and not outcome.is_verified:
            called = outcome.output or path
            complain(f"{called} was not written: the rewritten model does not compute the same as {path}")
        reports.append(outcome)
        codes.append(outcome.exit_code)
    if form == "json":
        for report in reports if len(found) < 2 else [reports]:
            write_report(report, form, view, str)
    else:
        text = "\n".join(render(report, view, difference=difference) for report in reports)
        write_report(None, form, view, lambda: text)
    return max(codes, default=0)


class _Target(Struct, frozen=True):
    """Where rewritten models go.

    Attributes:
        output: A file, or a folder for several models; "" if none is given.
        in_place: Whether each takes the place of the model that it was.
        several: Whether there may be several models.
    """

    output: str
    in_place: bool
    several: bool

    @property
    def given(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.output) or self.in_place

    def of(self, path: str) -> str:
        """Return the file to write for a model; "" for none."""
        if self.in_place:
            return path
        folder = self.several or os.path.isdir(self.output)
        return os.path.join(self.output, os.path.basename(path)) if self.output and folder else self.output

    def refuse(self, *, dry: bool, found: Sequence[str]) -> None:
        """Raise ConfigError unless exactly one of a file, `--in-place`, and `--check` or `--diff` is given."""
        if dry and self.given:
            raise ConfigError("--check and --diff write nothing, so they cannot be combined with -o or --in-place")
        if self.output and self.in_place:
            raise ConfigError("-o cannot be combined with --in-place", remedy="give one of them")
        if not dry and not self.given:
            raise ConfigError("no output file is given", remedy="give -o FILE, or --in-place, or --diff for a preview")
        if not self.output:
            return
        outputs = [self.of(path) for path in found]
        if len(set(outputs)) < len(outputs):
            raise ConfigError(
                "two of the models have the same file name, and would be written to one file", path=self.output
            )
        if self.several:
            try:
                os.makedirs(self.output, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"the folder cannot be made: {error.strerror}", path=self.output) from error
        for path, output in zip(found, outputs, strict=True):
            check_output(output, path)

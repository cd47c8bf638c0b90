"""`cnnlint diff`: layers, costs and findings of two models side by side."""

from __future__ import annotations

import os
import posixpath
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import click

from cnnlint import frontends
from cnnlint.cli.discovery import SUFFIXES, discover
from cnnlint.cli.mistyped import OneOf
from cnnlint.cli.options import about, color_option, config_options, input_shapes, setting_options, verbose_option
from cnnlint.cli.progress import waiting
from cnnlint.cli.streams import ColorChoice, complain, view_of_stdout, write_report
from cnnlint.engine.budget import QUANTITIES
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.schema import Flags
from cnnlint.errors import ModelError, meant_path
from cnnlint.linting.models import path_of

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
@click.option("--fail-on-new", is_flag=True, help="Exit with 1 if B has findings that A does not have.")
@click.option("--all", "every", is_flag=True, help="List all layers that differ, renamed ones too.")
@click.option("--format", "form", type=OneOf(("text", "json", "markdown")), default="text", show_default=True)
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
    fail_on_new: bool,
    every: bool,
    form: Literal["text", "json", "markdown"],
    inputs: tuple[str, ...],
    config: Path | None,
    isolated: bool,
    color: ColorChoice,
    allow_config_code: tuple[Path, ...],
    ignore_config_code: bool,
    **_: object,
) -> int:
    """Show what differs between A and B, two models or folders of them: layers, parameters, MACs, memory, findings.

    Either may be in a git revision, git:REVISION:PATH; git:REVISION alone is what the revision has at the other's path.
    Models of folders are matched by their paths in them. Nothing is run. Exit codes: 0 done, 1 B grew more than
    --max-growth allows or, with --fail-on-new, has new findings, 2 a model cannot be read.
    """
    from cnnlint.operations.diff import diff, diff_folders, growth_limit
    from cnnlint.operations.diff_report import DiffReport, render, render_folders

    limits = tuple(growth_limit(written) for written in growth)
    given: dict[str, Any] = {
        "limits": limits,
        "inputs": input_shapes(inputs),
        "config": config,
        "isolated": isolated,
        "allow_config_code": allow_config_code,
        "ignore_config_code": ignore_config_code,
    }
    old, new = _at(before, after), _at(after, before)
    documents = Documents(config, isolated=isolated)
    found = _models_of(old, documents), _models_of(new, documents)
    match found:
        case None, None:
            with waiting(f"{path_of(old)} and {path_of(new)}"):
                report = diff(old, new, **given)
        case dict() as left, dict() as right:
            pairs = [(left.get(path, ""), right.get(path, "")) for path in sorted({*left, *right})]
            if not pairs:
                raise ModelError("there is no model in either folder", path=f"{path_of(old)} and {path_of(new)}")
            with waiting(f"{path_of(old)} and {path_of(new)}"):
                report = diff_folders(path_of(old), path_of(new), pairs, **given)
        case _:
            folder, model = (old, new) if found[1] is None else (new, old)
            if not frontends.is_address(model) and not os.path.lexists(model):
                raise _absent(model)
            raise ModelError(f"is a folder, and {path_of(model)} is none", path=path_of(folder))
    view = view_of_stdout(color)

    def text() -> str:
        if form == "markdown":
            from cnnlint.operations.diff_markdown import render as render_markdown

            return render_markdown(report, view)
        return (
            render(report, view, every=every)
            if isinstance(report, DiffReport)
            else render_folders(report, view, every=every)
        )

    for model in () if isinstance(report, DiffReport) else report.models:
        if model.error is not None:
            complain(model.error)
    write_report(report, form, view, text)
    return max(report.exit_code, 1 if fail_on_new and report.new else 0)


def _absent(path: str) -> ModelError:
    """Return the error for a path that is not there; a revision may have been meant."""
    from cnnlint.frontends import git

    remedy = meant_path(path)
    with suppress(ModelError):
        git.check(git.parse(f"{git.PREFIX}{path}"))
        remedy = f"did you mean {git.PREFIX}{path}?"
    return ModelError("there is no such file or folder", path=path, remedy=remedy)


def _at(path: str, other: str) -> str:
    """Return `path`; of a revision alone what it has where `other` is."""
    if not frontends.is_revision(path) or ":" in path.removeprefix("git:"):
        return path
    from cnnlint.frontends import git

    if not frontends.is_address(other):
        return git.address_of(path, other)
    return str(git.parse(path).beside(git.parse(other).path)) if frontends.is_revision(other) else path


def _models_of(path: str, documents: Documents) -> dict[str, str] | None:
    """Return the models in a folder, by their paths relative to it; None if `path` is no folder of models.

    Of a revision that has no such folder they are none: it was added later, or is gone.
    """
    if frontends.is_revision(path):
        from cnnlint.frontends import git

        address = git.parse(path)
        git.check(address)
        if not git.exists(address):
            return {} if os.path.splitext(address.path)[1].lower() not in SUFFIXES else None
        if not git.is_folder(address):
            return None
        found = discover((path,), documents, Flags()).models
        folder = {posixpath.relpath(git.parse(model).path, address.path or "."): model for model in found}
    elif os.path.isdir(path):
        found = discover((path,), documents, Flags()).models
        folder = {os.path.relpath(model, path).replace(os.sep, "/"): model for model in found}
    else:
        return None
    return None if [*folder] == ["."] else folder

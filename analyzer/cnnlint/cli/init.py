"""`cnnlint init`: a configuration to start with, from what the models are today."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from cnnlint.cli.discovery import discover
from cnnlint.cli.options import verbose_option
from cnnlint.cli.run import run
from cnnlint.cli.streams import complain, write
from cnnlint.engine.budget import QUANTITIES
from cnnlint.engine.config.load import read_document
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.config.settings import matches
from cnnlint.errors import ConfigError
from cnnlint.frontends import is_address
from cnnlint.graph.quantity import Unit, count
from cnnlint.linting.linter import Baselines
from cnnlint.report.printable import printable
from cnnlint.report.view import several
from cnnlint.results import ModelReport

CONFIGURATION = Path("cnnlint.toml")
BASELINE = Path("cnnlint-baseline.json")

BUDGETED = ("params", "macs", "weight_bytes", "peak_activation_bytes")
"""What a starter limits: what a model costs to ship and to run."""

MEASURED = {"params": "parameters"}
"""The fields of a report that have another name than the quantity."""

UNITS: tuple[tuple[int, str], ...] = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


@click.command("init")
@click.argument("paths", nargs=-1, metavar="[MODEL...]", type=click.Path())
@click.option("--static", is_flag=True, help="Look at models without running them, now and in later runs.")
@verbose_option()
def command(*, paths: tuple[str, ...], static: bool, verbose: bool) -> int:
    """Write a cnnlint.toml to start with: budgets at today's numbers plus 10%, and a baseline of today's findings.

    Models are looked for in the working directory, or in the files, folders and patterns MODEL. Existing files are
    never overwritten.
    """
    _refuse()
    found = discover(paths or (".",))
    for error in found.errors:
        complain(str(error))
    if not found.models:
        return 2
    root = Path.cwd()
    for model in found.models:
        if is_address(model) or os.path.relpath(model, root).startswith(".."):
            raise ConfigError("does not lie below the working directory, for whose models init writes", path=model)
    baselines = Baselines(BASELINE)
    flags = Flags(static=True if static else None)
    report = run(found.models, flags, isolated=True, baselines=baselines, skip_weights_only=True, traced=verbose)
    read = [model for model in report.models if model.error is None]
    if not read:
        return 2
    skipped = sorted({*found.models} - {model.path for model in report.models})
    budgets = tuple(_budgets(read, root))
    text = "\n".join([*_head(skipped, static=static), *budgets])
    known = sum(baseline.write() for baseline in baselines)
    try:
        with CONFIGURATION.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=str(CONFIGURATION)) from error
    write(f"{CONFIGURATION}: {several(len(budgets), 'budget')} for {several(len(read), 'model')}\n")
    write(f"{BASELINE}: {several(known, 'known place')}, of which later runs say nothing\n")
    whole = not found.errors and len(read) == len(report.models)
    rest = "" if whole else "mend or exclude what could not be read, "
    again = shlex.join(["cnnlint", *(paths or ".")])
    write(f"next: {rest}commit both files; `{again}` then passes, and tells what is new\n")
    return 0 if whole else 2


def _refuse() -> None:
    """Make sure that nothing is overwritten, or no longer read since a new file goes before it.

    Raises:
        ConfigError: There is a configuration or a baseline here.
    """
    for path in (CONFIGURATION, BASELINE):
        if os.path.lexists(path):
            raise ConfigError("is there already, and init overwrites nothing", path=str(path))
    project = Path("pyproject.toml")
    if project.is_file() and read_document(project, required=False) is not None:
        raise ConfigError("has a [tool.cnnlint] table already, and init overwrites nothing", path=str(project))


def _head(skipped: Sequence[str], *, static: bool) -> Iterator[str]:
    yield "# Findings of before are in this file: runs report what is new, and --ratchet removes what is gone."
    yield f"baseline = {_quoted(str(BASELINE))}"
    if skipped:
        yield "# These hold weights and no network."
        yield f"exclude = [{', '.join(map(_quoted, map(_posix, skipped)))}]"
    if static:
        yield "static = true"
    yield ""


def _budgets(models: Sequence[ModelReport], root: Path) -> Iterator[str]:
    """Yield a `[[budgets]]` table for each folder and kind of file, at the largest of today's numbers plus 10%."""
    for glob in sorted({_glob(model.path) for model in models}):
        meant = [model for model in models if matches(glob, model.path, root)]
        lines = [line for quantity in BUDGETED for line in _limit(quantity, meant)]
        if any(not line.startswith("#") for line in lines):
            yield "\n".join(["[[budgets]]", f"models = {_quoted(glob)}", *lines, ""])


def _glob(path: str) -> str:
    folder, name = os.path.split(_posix(path))
    suffix = os.path.splitext(name)[1]
    # a SavedModel is a folder, and others beside it may be anything
    pattern = name if os.path.isdir(path) or not suffix else f"*{suffix}"
    return f"{folder or '.'}/{pattern}"


def _posix(path: str) -> str:
    return os.path.relpath(path).replace(os.sep, "/")


def _limit(quantity: str, models: Sequence[ModelReport]) -> Iterator[str]:
    key = quantity.replace("_", "-")
    amounts = [(getattr(model, MEASURED.get(quantity, quantity)), _posix(model.path)) for model in models]
    unknown = next((path for amount, path in amounts if amount is None), None)
    if unknown is not None:  # a budget on it would fail
        yield f"# no {key}, which are not known of {printable(unknown)}: `cnnlint {printable(unknown)}` says why"
        return
    most, path = max(amounts)
    text = f"{key} = {_quoted(rounded_up(most, QUANTITIES[quantity].unit))}"
    yield f"{text:<34}  # today {count(most)}, of {printable(path)}"


def rounded_up(amount: int, unit: Unit) -> str:
    """Return an amount plus 10% with three digits, rounded up: "28.6 k" of 25,914, "153 MB" of 138,357,544 bytes."""
    wanted = -(-amount * 11 // 10)
    factor, prefix = next(((factor, prefix) for factor, prefix in UNITS if wanted >= factor), (1, ""))
    whole = len(str(wanted // factor))
    decimals = max(0, 3 - whole) if factor > 1 else 0
    hundredths = -(-wanted * 10**decimals // factor)
    digits = f"{hundredths / 10**decimals:.{decimals}f}" if decimals else str(hundredths)
    ending = f"{prefix}B" if unit == "bytes" else prefix
    return f"{digits} {ending}".rstrip()


def _quoted(text: str) -> str:
    """Return a string of TOML, which is one of JSON but for one character."""
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""Lint the models that a command line names, with progress, errors and timing on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from glob import glob, has_magic
from pathlib import Path
from time import perf_counter

from cnnlint.cli.streams import complain, complain_of
from cnnlint.engine.config.schema import Flags
from cnnlint.errors import CnnlintError, ModelError, WeightsOnlyError
from cnnlint.report.view import several
from cnnlint.results import LintReport, ModelReport

SUFFIXES = (".onnx", ".keras", ".h5", ".hdf5")
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})


def models(paths: Sequence[str]) -> tuple[list[str], list[ModelError]]:
    """Return the models that `paths` name, each once and in order, and an error for each path without a model.

    A folder names every model below it (hidden folders and virtual environments left out), a SavedModel folder
    itself, and a pattern every match; a file or URL is taken as it is, whatever its name.
    """
    found = dict[str, str]()
    errors = list[ModelError]()
    for path in paths:
        try:
            for model in _stand_for(path):
                key = model if "://" in model else os.path.realpath(model)
                found.setdefault(key, model)
        except ModelError as error:
            errors.append(error)
    return list(found.values()), errors


def _stand_for(path: str) -> Iterator[str]:
    if "://" in path:
        yield path
    elif os.path.isdir(path):
        yield from _in_folder(path)
    elif os.path.lexists(path):
        yield os.path.dirname(path) or "." if os.path.basename(path) in SAVED_MODEL else path
    elif has_magic(path):
        yield from _fitting(path)
    else:
        raise ModelError("there is no such file or folder", path=path)


def _in_folder(folder: str) -> Iterator[str]:
    any_found = False
    for model in _walk(folder):
        any_found = True
        yield model
    if not any_found:
        raise ModelError(f"no model in this folder or below it ({', '.join(SUFFIXES)}, SavedModel)", path=folder)


def _walk(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        if any(name in files for name in SAVED_MODEL):
            folders.clear()
            yield os.path.normpath(where)
            continue
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in SKIPPED_FOLDERS
            and not os.path.exists(os.path.join(where, name, "pyvenv.cfg"))
        )
        yield from (
            os.path.normpath(os.path.join(where, name)) for name in sorted(files) if name.lower().endswith(SUFFIXES)
        )


def _fitting(pattern: str) -> Iterator[str]:
    matches = sorted(glob(pattern, recursive=True))
    any_found = False
    for match in matches:
        if os.path.isdir(match):
            if any(os.path.isfile(os.path.join(match, name)) for name in SAVED_MODEL):
                any_found = True
                yield match
        elif match.lower().endswith(SUFFIXES):
            any_found = True
            yield match
    if not any_found:
        raise ModelError("this pattern matches no model", path=pattern)


def run(
    models: Sequence[str],
    flags: Flags,
    *,
    config: Path | None = None,
    isolated: bool = False,
    near_misses: bool = False,
    skip_weights_only: bool = False,
    timed: bool = False,
    traced: bool = False,
) -> LintReport:
    """Lint `models`, and report on standard error those that could not be read.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    from cnnlint.linter import Linter
    from cnnlint.models import path_of

    started = perf_counter()
    linter = Linter(flags, config=config, isolated=isolated, models=models, near_misses=near_misses)
    reports = list[ModelReport]()
    with closing(linter), progress(models) as next_turn:
        for model in models:
            next_turn(path_of(model))
            reports.append(linter.lint(model))
    if skip_weights_only:
        reports = [report for report in reports if not _is_skipped(report)]
    for report in reports:
        if report.error is not None:
            complain_of(linter.errors.get(report.path) or ModelError(report.error), verbose=traced)
    for sentence in dict.fromkeys(sentence for report in reports for sentence in report.incomplete):
        complain(sentence)
    if timed:
        complain(f"{several(len(models), 'model')} in {perf_counter() - started:.2f} s", "note")
    return LintReport(models=linter.settled(reports))


def _is_skipped(report: ModelReport) -> bool:
    """Return whether the file holds only weights, after a note on standard error.

    A report keeps the text of an error and not its class, so the few unreadable files are opened again.
    """
    if report.error is None:
        return False
    from cnnlint.frontends import load

    try:
        load(report.path)
    except WeightsOnlyError as error:
        complain(f"{report.path} is skipped: it {error.cause}", "note")
        return True
    except CnnlintError:
        return False
    return False


PATIENCE = 1.0
"""Seconds before the bar is shown: for short runs it would only flicker."""


@contextmanager
def progress(models: Sequence[str]) -> Generator[Callable[[str], None]]:
    """Yield a function to call with each model before it is linted; it shows a progress bar.

    A thread shows the bar after a second, even while the first model is still being linted. Without a terminal on
    standard error nothing is shown.
    """
    if not sys.stderr.isatty() or not models:
        yield lambda _: None
        return
    import threading

    from cnnlint.report.printable import printable

    turn = ["", 0]
    done = threading.Event()

    def show() -> None:
        if done.wait(PATIENCE):
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task("", total=len(models))
            while not done.wait(0.1):
                shown.update(task, description=str(turn[0]), completed=int(turn[1]) - 1)

    def next_turn(model: str) -> None:
        turn[:] = [printable(model), int(turn[1]) + 1]

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield next_turn
    finally:
        done.set()
        thread.join()

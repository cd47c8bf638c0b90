"""Lint the models that a command line names, with errors and timing on standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from cnnlint.cli.progress import progress
from cnnlint.cli.streams import complain, complain_of, quote
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.schema import Flags
from cnnlint.errors import CnnlintError, ModelError, WeightsOnlyError
from cnnlint.report.view import several
from cnnlint.results import LintReport, ModelReport

if TYPE_CHECKING:
    from cnnlint.definitions.target import Definition
    from cnnlint.engine.drawing import Drawing
    from cnnlint.linting.linter import Baselines


def run(
    models: Sequence[str],
    flags: Flags,
    *,
    config: Path | None = None,
    isolated: bool = False,
    documents: Documents | None = None,
    near_misses: bool = False,
    skip_weights_only: bool = False,
    baselines: Baselines | None = None,
    timed: bool = False,
    traced: bool = False,
    drawings: dict[str, Drawing] | None = None,
    definitions: Mapping[str, Definition] | None = None,
) -> LintReport:
    """Lint `models`, and report on standard error those that could not be read.

    With `drawings`, what reports draw of each model is put there, by path. `definitions` are as for `Linter`.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    from cnnlint.linting.linter import Linter
    from cnnlint.linting.models import path_of
    from cnnlint.linting.parallel import lint_all

    started = perf_counter()
    documents = documents or Documents(config, isolated=isolated)
    processes = None
    if definitions:
        from cnnlint.definitions.processes import Processes

        processes = Processes()
    linter = Linter(
        flags,
        documents=documents,
        models=models,
        near_misses=near_misses,
        baselines=baselines,
        drawings=drawings,
        definitions=definitions,
        run=None if processes is None else processes.run,
    )
    with nullcontext() if processes is None else closing(processes), closing(linter), progress(models) as next_turn:
        reports = lint_all(linter, models, lambda model: next_turn(path_of(model)))
    if skip_weights_only:
        reports = [report for report in reports if not _is_skipped(report)]
    for report in reports:
        if report.error is not None:
            complain_of(linter.errors.get(report.path) or ModelError(report.error), verbose=traced)
    for sentence in dict.fromkeys(sentence for report in reports for sentence in report.incomplete):
        complain(sentence)
    for path, traces in linter.traces.items() if traced else ():
        for trace in traces:
            quote(f"{path}: a rule raised an exception:", trace)
    for path, said in linter.said.items() if traced else ():
        quote(f"{path} printed:", said)
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

"""The run of a lint: models one after the other, with progress, errors and time on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter

from cnnlint.cli.progress import progress
from cnnlint.cli.streams import complain, complain_of
from cnnlint.engine.config.settings import Flags
from cnnlint.errors import CnnlintError, ModelError, WeightsOnlyError
from cnnlint.frontends import load
from cnnlint.linter import Linter
from cnnlint.models import path_of
from cnnlint.report.quantities import several
from cnnlint.results import LintReport, ModelReport


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
    """Lint `models` and say on standard error which could not be read.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    started = perf_counter()
    linter = Linter(flags, config=config, isolated=isolated, models=models, near_misses=near_misses)
    reports = list[ModelReport]()
    with closing(linter), progress(models) as next_turn:
        for model in models:
            next_turn(path_of(model))
            reports.append(linter.lint(model))
    if skip_weights_only:
        reports = [report for report in reports if not _passed_over(report)]
    for report in reports:
        if report.error is not None:
            complain_of(linter.errors.get(report.path) or ModelError(report.error), verbose=traced)
    for sentence in dict.fromkeys(sentence for report in reports for sentence in report.incomplete):
        complain(sentence)
    if timed:
        complain(f"{several(len(models), 'model')} in {perf_counter() - started:.2f} s", "note")
    return LintReport(models=linter.settled(reports))


def _passed_over(report: ModelReport) -> bool:
    """Return whether the file holds only weights; says so on standard error.

    A report keeps an error's words and not its kind, so the few files that could not be read are opened again.
    """
    if report.error is None:
        return False
    try:
        load(report.path)
    except WeightsOnlyError as error:
        complain(f"{report.path} is passed over: it {error.cause}", "note")
        return True
    except CnnlintError:
        return False
    return False

"""The lint of many models: one after the other in this process, or each by the next of several workers.

A worker lints a model as a whole, and runs it itself; its report comes back as plain data, and the reports are joined
in the order of the models. What is not the same with several workers as with one is done over here, by this process
alone: a model that needs more memory than a worker's share, and one whose run ended its worker, which is then linted
with that as the outcome of the run. A worker that is killed, or that a rule ends, costs the model that it had.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from cnnlint.engine.config.arguments import Arguments
from cnnlint.engine.config.schema import Flags
from cnnlint.errors import ABOUT_THE_RUN, KilledError, MemoryLimitError, UnfinishedRunError
from cnnlint.linting.linter import Baselines, Linter
from cnnlint.linting.models import path_of
from cnnlint.results import ModelReport
from cnnlint.worker.limits import processors

if TYPE_CHECKING:
    from cnnlint.engine.drawing import Drawing
    from cnnlint.linting.models import Given
    from cnnlint.worker.crew import Reply
    from cnnlint.worker.protocol import Kind

EACH = 24
"""Models for each process that is started unasked: to start one takes as long as to lint some twenty small models."""


class Setup(Struct, frozen=True, kw_only=True):
    """What a worker lints with, as `Linter` has it.

    Attributes:
        flags: As plain data.
        from_python: Whether a caller from Python says them.
        baseline: Path and content of the one to hold all models to, and whether it holds all that is found; None if
            there is none.
        draws: Whether the networks are drawn.
    """

    flags: Any
    from_python: bool
    config: str | None
    isolated: bool
    models: tuple[str, ...]
    near_misses: bool
    today: date
    has_baselines: bool
    anew: str | None
    baseline: Any
    draws: bool


class Ready(Struct, frozen=True):
    """The answer of a worker that can begin."""


class Task(Struct, frozen=True):
    """A model to lint."""

    model: str


class Linted(Struct, frozen=True, kw_only=True):
    """What a worker says of a model.

    Attributes:
        report: The report.
        error: What was wrong with the model, as `protocol.Failed`; None if it could be linted.
        sighting: What it says of the baseline.
        drawing: The network as it is drawn.
        in_code: The ignores in the code that made it.
        is_short: Whether it needed more memory than it could have.
        traces: The tracebacks of rules that raised an exception.
    """

    report: ModelReport
    error: Any = None
    sighting: Any = None
    drawing: Any = None
    in_code: Any = ()
    is_short: bool = False
    traces: tuple[str, ...] = ()


def lint_all(linter: Linter, models: Sequence[Given], begin: Callable[[Given], None]) -> list[ModelReport]:
    """Return the report of each of `models`.

    Args:
        linter: What lints them; it also learns what the workers find: errors, drawings, sightings of baselines.
        models: The models.
        begin: Is called with each when it is begun, or done by a worker.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    wanted = _wanted(linter, models)
    if wanted == 1:
        return [linter.lint(model) for model in _announced(models, begin)]
    reports = [linter.kept(model) if linter.is_file(model) else None for model in models]
    afar = [index for index, model in enumerate(models) if reports[index] is None and linter.is_file(model)]
    count = min(_wanted(linter, [models[index] for index in afar]), len(afar))
    if count < 2:
        return [report or linter.lint(model) for model, report in zip(_announced(models, begin), reports, strict=True)]
    for index, model in enumerate(models):
        if reports[index] is not None:
            begin(model)
    _Shared(linter, models, reports, begin).lint(afar, count)
    return [cast("ModelReport", report) for report in reports]


def _announced(models: Sequence[Given], begin: Callable[[Given], None]) -> Iterator[Given]:
    for model in models:
        begin(model)
        yield model


def _wanted(linter: Linter, models: Sequence[Given]) -> int:
    """Return how many processes are to lint `models`."""
    if len(models) < 2:
        return 1
    said = linter.plan(path_of(models[0])).settings.jobs
    if said is not None:
        return said
    many = len(models) // EACH
    return 1 if many < 2 else min(many, processors())


class _Shared:
    """A run whose models are linted by several workers."""

    def __init__(
        self, linter: Linter, models: Sequence[Given], reports: list[ModelReport | None], begin: Callable[[Given], None]
    ) -> None:
        self._linter, self._models, self._reports, self._begin = linter, models, reports, begin
        self._alone = list[int]()

    def lint(self, afar: Sequence[int], count: int) -> None:
        """Fill in the reports: of the models `afar` by `count` workers, of the others here."""
        from cnnlint.worker.crew import Crew
        from cnnlint.worker.protocol import Job

        plans = [self._linter.plan(path_of(self._models[index])) for index in afar]
        kind: Kind = "linter" if all(plan.settings.static for plan in plans) else "onnxruntime"
        first = Job(f"{__name__}:prepare", msgspec.to_builtins(self._setup()))
        limits = plans[0].settings.limits
        crew = Crew(kind, count, limits, first=first, handler=f"{__name__}:lint_one", result=Linted)
        waiting = dict[int, "Reply[Linted]"]()
        with closing(crew):
            replies = crew.work([Task(os.fspath(cast("str", self._models[index]))) for index in afar])
            position = {index: place for place, index in enumerate(afar)}
            for index, model in enumerate(self._models):
                if index not in position:
                    if self._reports[index] is None:
                        self._begin(model)
                        self._reports[index] = self._linter.lint(model)
                    continue
                while position[index] not in waiting:
                    reply = next(replies)
                    waiting[reply.index] = reply
                    self._begin(self._models[afar[reply.index]])
                self._reports[index] = self._taken(index, waiting.pop(position[index]))
        for index in self._alone:
            self._reports[index] = self._linter.lint(self._models[index])

    def _taken(self, index: int, reply: Reply[Linted]) -> ModelReport | None:
        """Return the report of a model; None if it is still to be linted, alone."""
        model, outcome = self._models[index], reply.outcome
        if isinstance(outcome, Linted):
            return self._joined(index, outcome)
        if isinstance(outcome, ABOUT_THE_RUN):
            raise outcome
        if isinstance(outcome, MemoryLimitError):
            self._alone.append(index)
            return None
        if isinstance(outcome, UnfinishedRunError) and not isinstance(outcome, KilledError) and reply.in_step:
            return self._linter.lint(model, run=outcome)
        return self._linter.failed(path_of(model), outcome)

    def _joined(self, index: int, linted: Linted) -> ModelReport | None:
        from cnnlint.linting.baseline import Sighting
        from cnnlint.worker.protocol import Failed, as_error

        path = path_of(self._models[index])
        if linted.is_short:
            self._alone.append(index)
            return None
        if linted.sighting is not None:
            sighting = msgspec.convert(linted.sighting, Sighting)
            if sighting.moved:  # another worker may have used up the same entries
                return self._linter.lint(self._models[index])
            self._linter.recall(path, sighting)
        if linted.error is not None:
            self._linter.errors[path] = as_error(msgspec.convert(linted.error, Failed))
        if linted.traces:
            self._linter.traces[path] = linted.traces
        if linted.drawing is not None and self._linter.drawings is not None:
            from cnnlint.engine.drawing import Drawing

            self._linter.drawings[path] = msgspec.convert(linted.drawing, Drawing)
        if linted.in_code:
            from cnnlint.engine.ignoring import Ignore

            self._linter.in_code[path] = msgspec.convert(linted.in_code, tuple[Ignore, ...])
        return linted.report

    def _setup(self) -> Setup:
        linter, baselines = self._linter, self._linter.baselines
        only = None if baselines is None else baselines.only
        return Setup(
            flags=msgspec.to_builtins(linter.flags, enc_hook=str),
            from_python=isinstance(linter.flags, Arguments),
            config=None if linter.documents.config is None else str(linter.documents.config),
            isolated=linter.documents.isolated,
            models=tuple(path_of(model) for model in self._models),
            near_misses=linter.near_misses,
            today=linter.today,
            has_baselines=baselines is not None,
            anew=None if baselines is None or baselines.anew is None else str(baselines.anew),
            baseline=None if only is None else (str(only.path), msgspec.to_builtins(only.content()), only.anew),
            draws=linter.drawings is not None,
        )


_linter: list[Linter] = []
"""What this process lints with, if it is a worker of a crew."""


def prepare(setup: Setup) -> Ready:
    """Read configurations and rules, for all models to come.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    kind = Arguments if setup.from_python else Flags
    flags: Flags = msgspec.convert(setup.flags, kind, dec_hook=lambda kind, value: kind(value))
    _linter[:] = [
        Linter(
            flags,
            config=None if setup.config is None else Path(setup.config),
            isolated=setup.isolated,
            models=setup.models,
            near_misses=setup.near_misses,
            today=setup.today,
            baselines=_baselines(setup) if setup.has_baselines else None,
            drawings=cast("dict[str, Drawing]", {}) if setup.draws else None,
        )
    ]
    return Ready()


def _baselines(setup: Setup) -> Baselines:
    only = None
    if setup.baseline is not None:
        from cnnlint.linting.baseline import Baseline, Content

        path, content, anew = setup.baseline
        only = Baseline(Path(path), anew=anew, content=msgspec.convert(content, Content))
    return Baselines(None if setup.anew is None else Path(setup.anew), only=only)


def lint_one(task: Task) -> Linted:
    """Lint a model.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    from cnnlint.worker import steps
    from cnnlint.worker.protocol import failure

    steps.begin_unlimited("linting it")
    linter, path = _linter[0], path_of(task.model)
    report = linter.lint(task.model)
    error = linter.errors.pop(path, None)
    sighting = linter.sightings.pop(path, None)
    drawing = None if linter.drawings is None else linter.drawings.pop(path, None)
    return Linted(
        report=report,
        error=None if error is None else msgspec.to_builtins(failure(error)),
        sighting=None if sighting is None else msgspec.to_builtins(sighting),
        drawing=None if drawing is None else msgspec.to_builtins(drawing),
        in_code=msgspec.to_builtins(linter.in_code.pop(path, ())),
        traces=linter.traces.pop(path, ()),
        is_short=isinstance(linter.unfinished.pop(path, None), MemoryLimitError),
    )

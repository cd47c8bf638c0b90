"""The Python interface: load, lint and summarize models, in files or in memory."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import msgspec
from msgspec import structs
from msgspec.structs import replace

from cnnlint.engine.budget import Budget
from cnnlint.engine.config.arguments import Arguments, in_python, naming_arguments
from cnnlint.engine.config.schema import BudgetTable, Flags
from cnnlint.errors import CnnlintError, ConfigError, FindingsError, MissingExtraError, boundary, guarded, installing
from cnnlint.graph.graph import Graph
from cnnlint.linting.linter import Baselines, Linter
from cnnlint.linting.models import Download, Model, RemoteModel, open_model, path_of
from cnnlint.linting.parallel import lint_all
from cnnlint.report import rendered
from cnnlint.results import (
    UNFINISHED,
    FailOn,
    Finding,
    Latency,
    LintReport,
    MinSeverity,
    ModelReport,
    ModelSummary,
    Severity,
    SummaryReport,
)
from cnnlint.worker.workers import Workers

if TYPE_CHECKING:
    from cnnlint.engine.drawing import Drawing
    from cnnlint.linting.models import Given
    from cnnlint.report.view import View

Dims = tuple[int, ...]

COLUMNS = (
    "model", "code", "name", "severity", "confidence", "layers", "message", "suggestion", "saved_parameters",
    "saved_macs", "saved_bytes", "fixable",
)  # fmt: skip
"""Columns of `Report.to_dataframe`."""

NOTEBOOKS = (("IPython", "get_ipython"), ("marimo", "running_in_notebook"))
"""Packages that show what a cell of a notebook gives, each with what tells that it does: others import them too."""

Printed = TypeVar("Printed", LintReport, SummaryReport)


class Shown:
    """What all reports do: show themselves in a notebook, as one line among other values, and become JSON."""

    __slots__ = ()

    def to_json(self) -> str:
        """Return the report as the JSON that `--format json` writes, on one line."""
        from cnnlint.report.json import encode
        from cnnlint.report.view import View

        return encode(self, View()).rstrip("\n")

    def _repr_html_(self) -> str:
        return _preformatted(str(self))


class Report(LintReport, Shown, frozen=True, kw_only=True, dict=True):
    """A lint report, a sequence of `ModelReport`s, printed as `cnnlint MODEL` does and shown in notebooks."""

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[ModelReport]:
        return iter(self.models)

    @overload
    def __getitem__(self, index: int) -> ModelReport: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ModelReport, ...]: ...
    def __getitem__(self, index: int | slice) -> ModelReport | tuple[ModelReport, ...]:
        return self.models[index]

    def index(self, model: ModelReport, *bounds: int) -> int:
        """Return the position of `model`; ValueError if it is not there."""
        return self.models.index(model, *bounds)

    def count(self, model: ModelReport) -> int:
        """Return how often `model` is there."""
        return self.models.count(model)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all models, in the order of the models."""
        return tuple(finding for model in self.models for finding in model.findings)

    def raise_for_findings(self) -> None:
        """Raise an error unless `exit_code` is 0.

        Raises:
            FindingsError: Findings fail the run, or a model could not be linted in full; it names the first of them.
        """
        if not self.exit_code:
            return
        wrong = list(self._wrong())
        more = f" (and {len(wrong) - 3:,} more)" if len(wrong) > 3 else ""
        raise FindingsError(f"{'; '.join(wrong[:3])}{more}")

    def _wrong(self) -> Iterator[str]:
        for model in self.models:
            if model.error is not None:
                yield model.error
            yield from (f"{model.path}: {sentence}" for sentence in model.incomplete)
            for finding in model.findings:
                if model.is_failing(finding) or finding.code == UNFINISHED:
                    source = next((place.source for place in finding.places if place.source is not None), None)
                    where = model.path if source is None else f"{model.path}: {source}"
                    yield f"{where}: {finding.code} {finding.message}"

    def to_dataframe(self) -> Any:
        """Return a pandas table with a row for each finding: model, rule, layers, message, and what it saves.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise MissingExtraError(
                "a table needs pandas, which is not installed", remedy=installing("pandas")
            ) from error
        rows = [
            (
                model.path,
                finding.code,
                finding.name,
                str(finding.severity),
                str(finding.confidence),
                ", ".join(finding.layers),
                finding.message,
                finding.suggestion,
                *(getattr(finding.savings, name, 0) for name in ("parameters", "macs", "bytes")),
                finding.fixable,
            )
            for model in self.models
            for finding in model.findings
        ]
        return pandas.DataFrame(rows, columns=list(COLUMNS))

    def __str__(self) -> str:
        from cnnlint.report.text import render
        from cnnlint.report.view import View

        return _printed(self, lambda part: render(part.shown(), View()))

    def __repr__(self) -> str:
        findings = sum(len(model.findings) for model in self.models)
        return f"<cnnlint.Report: models {len(self.models)}, findings {findings}>"

    def _repr_html_(self) -> str:
        from cnnlint.report.html.notebook import render

        view = _view(self)
        return rendered(self, lambda part: render(part.shown(), replace(view, exit_code=part.exit_code))).text


cast("Any", Sequence).register(Report)


class Summary(SummaryReport, Shown, frozen=True, kw_only=True, dict=True):
    """A summary that prints as `cnnlint summary MODEL` does, and shows itself in a notebook."""

    def __str__(self) -> str:
        from cnnlint.report.summary_text import render
        from cnnlint.report.view import View

        return _printed(self, lambda part: render(part, View()))

    def __repr__(self) -> str:
        return f"<cnnlint.Summary: models {len(self.models)}>"

    def _repr_html_(self) -> str:
        from cnnlint.report.html.notebook import render_summary

        view = _view(self)
        return rendered(self, lambda part: render_summary(part, view)).text


@naming_arguments()
def load(model: Given, *, inputs: Mapping[str, Dims] | None = None) -> Graph:
    """Read a model as the graph that rules see.

    Args:
        model: The path of an `.onnx`, `.keras` or `.h5` file or of a SavedModel folder; an `onnx.ModelProto`; a built
            `keras.Model`; or "train.py:make_model", whose code is run.
        inputs: Shapes by input name, in the model's own order of axes, where it leaves dims open.

    Raises:
        ModelError: It cannot be read as a model.
    """
    with boundary(path_of(model)):
        return open_model(model).graph(inputs)


@naming_arguments()
def lint(
    model: Given | Iterable[Given],
    *,
    config: str | os.PathLike[str] | None = None,
    isolated: bool = False,
    static: bool | None = None,
    pedantic: bool | None = None,
    preview: bool | None = None,
    select: Iterable[str] | None = None,
    extend_select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    severity: Mapping[str, str] | None = None,
    fail_on: FailOn | None = None,
    min_severity: MinSeverity | None = None,
    budget: Budget | None = None,
    for_: Iterable[str] = (),
    inputs: Mapping[str, Dims] | None = None,
    run_timeout: float | None = None,
    run_memory: str | int | None = None,
    jobs: int | None = None,
    rules: Mapping[str, Mapping[str, Any]] | None = None,
    rule_files: Iterable[str | os.PathLike[str]] = (),
    model_ignores: bool | None = None,
    near_misses: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    allow_config_code: Iterable[str | os.PathLike[str]] = (),
    ignore_config_code: bool = False,
    python: str | os.PathLike[str] | None = None,
) -> Report:
    """Lint one or more models; what is None is left to the configuration.

    Args:
        model: As for `load`, or several of them.
        config: The configuration file to take instead of the one nearest to each model.
        isolated: Take no configuration file.
        static: Leave out what needs onnxruntime; False runs Keras models too, converted to ONNX.
        pedantic: Run rules that are a matter of opinion too.
        preview: Run rules in preview too: new ones, which may still change.
        select: Codes, names or families of rules to run instead of the default ones.
        extend_select: Rules to run besides.
        ignore: Rules to leave out.
        severity: "info", "warning" or "error" by code, name or family.
        fail_on: The severity from which `LintReport.exit_code` is 1.
        min_severity: The severity from which a finding is printed; the report holds all of them.
        budget: What the models may cost, besides the budgets of the configuration.
        for_: Releases of runtimes that ONNX files must run on: ["onnxruntime==1.17"].
        inputs: Shapes by input name, where a model leaves dims open.
        run_timeout: Seconds for one load or run under onnxruntime; 0 for any number.
        run_memory: Bytes that running a model may take, or "8GB".
        jobs: Processes that lint side by side; by default one for each processor, where there are many models.
        rules: Options by rule and name: {"FC001": {"min-share": 0.3}}.
        rule_files: Python files with rules of your own.
        model_ignores: Honor what an ONNX model's metadata says should be ignored.
        near_misses: Keep why rules stayed silent.
        cache_dir: Keep results in this folder, and do not open a model file again that has not changed.
        baseline: Report only what is not in this file, which `cnnlint --write-baseline` writes; "" for none.
        allow_config_code: Configurations found next to a model and not from the working directory, or their folders,
            whose `rule-files` may be run.
        ignore_config_code: Do without the `rule-files` of others; else a report that lacks them is `incomplete`.
        python: The interpreter, or the environment, that runs the code of a definition.

    Returns:
        A report per model; one that cannot be read has its `error` set, and the others are linted all the same.

    Raises:
        ConfigError: The configuration or an argument is wrong.
        RuleError: A plugin or a file of rules is.
    """
    models = _several(model)
    flags = Arguments(
        select=None if select is None else words(select),
        extend_select=words(extend_select),
        ignore=words(ignore),
        severity={selector: _severity(level) for selector, level in (severity or {}).items()},
        fail_on=fail_on,
        min_severity=min_severity,
        pedantic=pedantic,
        preview=preview,
        static=static,
        run_timeout=run_timeout,
        run_memory=run_memory,
        jobs=jobs,
        cache_dir=None if cache_dir is None else Path(cache_dir),
        baseline=None if baseline is None else os.fspath(baseline),
        inputs={name: "x".join(map(str, dims)) for name, dims in (inputs or {}).items()},
        model_ignores=model_ignores,
        for_=words(for_),
        budgets=() if budget is None else (BudgetTable(**structs.asdict(budget)),),
        rule_files=tuple(map(str, paths(rule_files))),
        allow_config_code=paths(allow_config_code),
        ignore_config_code=ignore_config_code,
        python=None if python is None else os.fspath(python),
        rules={name: dict(options) for name, options in (rules or {}).items()},
    )
    with boundary(None):
        return _linted(models, flags, config=config, isolated=isolated, near_misses=near_misses)


def _linted(
    models: tuple[Given, ...],
    flags: Flags,
    *,
    config: str | os.PathLike[str] | None,
    isolated: bool,
    near_misses: bool,
) -> Report:
    drawings = _drawings()
    linter = Linter(
        flags,
        drawings=drawings,
        config=None if config is None else Path(config),
        isolated=isolated,
        models=[path_of(each) for each in models],
        near_misses=near_misses,
        baselines=Baselines(),
    )
    try:
        report = Report(models=tuple(map(_in_python, linter.settled(lint_all(linter, models, lambda _: None)))))
    finally:
        linter.close()
    return _with_drawings(report, drawings)


def _in_python(model: ModelReport) -> ModelReport:
    """Return a report whose error, notes and findings name arguments, and not options."""
    return replace(
        model,
        findings=tuple(map(_finding_in_python, model.findings)),
        error=model.error and in_python(model.error),
        notes=tuple(map(in_python, model.notes)),
        incomplete=tuple(map(in_python, model.incomplete)),
    )


def _finding_in_python(finding: Finding) -> Finding:
    if all("--" not in text for text in (finding.message, finding.suggestion)):
        return finding
    places = tuple(replace(place, message=in_python(place.message)) for place in finding.places)
    message, suggestion = in_python(finding.message), in_python(finding.suggestion)
    return replace(finding, message=message, suggestion=suggestion, places=places)


check = lint
"""The same as `lint`, under the name that other linters have for it."""


def summarize(
    model: Given | Iterable[Given], *, inputs: Mapping[str, Dims] | None = None, latency: bool = False
) -> Summary:
    """Return layers, shapes, parameters and MACs of one or more models, and how each number follows.

    Args:
        model: As for `load`, or several of them.
        inputs: Shapes by input name, where a model leaves dims open.
        latency: Run the models under onnxruntime, and tell how long each layer takes on this machine.

    Returns:
        A summary per model; one that cannot be read has its `error` set, one that cannot be run a note.
    """
    drawings = _drawings()
    workers = Workers() if latency else None
    try:
        models = tuple(summary_of(each, inputs, drawings, workers)[0] for each in _several(model))
    finally:
        if workers is not None:
            workers.close()
    summary = Summary(models=models)
    return _with_drawings(summary, drawings)


def summary_of(
    model: Given,
    inputs: Mapping[str, Dims] | None,
    drawings: dict[str, Drawing] | None = None,
    workers: Workers | None = None,
) -> tuple[ModelSummary, CnnlintError | None]:
    """Return the summary of one model, and what went wrong with it, which stands in its `error` or its `notes` too.

    Args:
        model: As for `load`.
        inputs: Shapes by input name.
        drawings: Where what reports draw of the model is put, by its path.
        workers: Those that run the model, to see how long its layers take; None if it is not to be run.
    """
    path = path_of(model)
    outcome = guarded(path, lambda: _summary_of(model, path, inputs, drawings, workers))
    if isinstance(outcome, CnnlintError):
        return ModelSummary(path=path, format=None, error=str(outcome)), outcome
    return outcome


def _summary_of(
    model: Given,
    path: str,
    inputs: Mapping[str, Dims] | None,
    drawings: dict[str, Drawing] | None,
    workers: Workers | None,
) -> tuple[ModelSummary, CnnlintError | None]:
    opened = open_model(model, workers)
    graph = opened.graph(inputs)
    summary = _summary(graph, path, drawings)
    if workers is None:
        return summary, None
    latency = guarded(path, lambda: _latency(opened, graph, inputs, workers))
    if isinstance(latency, CnnlintError):
        note = f"it was not timed: {latency.cause}"
        return structs.replace(summary, notes=(*summary.notes, note)), latency
    return structs.replace(summary, latency=latency), None


def _latency(model: Model, graph: Graph, inputs: Mapping[str, Dims] | None, workers: Workers) -> Latency:
    from cnnlint.runtime.latency import LatencyRequest, for_layers_of

    with Download(model) if isinstance(model, RemoteModel) else model as here:
        request = LatencyRequest(program=os.path.abspath(here.program), path=model.path, inputs=dict(inputs or {}))
        latency = workers.call("onnxruntime", "cnnlint.runtime.latency:measure", request, Latency)
    return for_layers_of(graph, latency)


def _summary(graph: Graph, path: str, drawings: dict[str, Drawing] | None) -> ModelSummary:
    if drawings is not None:
        from cnnlint.analysis.context import Context
        from cnnlint.engine.drawing import draw

        drawings[path] = draw(Context(graph))
        return drawings[path].summary
    from cnnlint.engine.summary import summarize as summarize_graph

    return summarize_graph(graph)


Drawn = TypeVar("Drawn", Report, Summary)


def _drawings() -> dict[str, Drawing] | None:
    """Return where to put drawings if a notebook may show them; a script is not made to wait for them."""
    asked = (getattr(sys.modules.get(package), function, None) for package, function in NOTEBOOKS)
    return {} if any(ask is not None and ask() for ask in asked) else None


def _with_drawings(report: Drawn, drawings: dict[str, Drawing] | None) -> Drawn:
    """Return `report`, which keeps its drawings beside its fields: they are no part of what it says.

    Models in memory that nothing tells apart have none.
    """
    times = Counter(model.path for model in report.models)
    vars(report)["drawings"] = {path: drawn for path, drawn in (drawings or {}).items() if times[path] == 1}
    return report


def _view(report: Report | Summary) -> View:
    from cnnlint.report.view import View

    return View(drawings=vars(report).get("drawings", {}))


def _printed(report: Printed, write: Callable[[Printed], str]) -> str:
    """Return a report as text, what could not be read first."""
    from cnnlint.report.printable import printable, without_commands

    result = rendered(report, write)
    errors = "".join(f"error: {printable(model.error)}\n" for model in result.report.models if model.error is not None)
    return (without_commands(errors) + result.text).rstrip("\n")


def _preformatted(text: str) -> str:
    from html import escape

    return f'<pre style="line-height: 1.2; white-space: pre">{escape(text)}</pre>'


def _several(model: Given | Iterable[Given]) -> tuple[Given, ...]:
    if isinstance(model, (list, tuple, set, frozenset)):
        return tuple(cast("Iterable[Given]", model))
    return (cast("Given", model),)


def paths(written: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Return one path or several as paths."""
    return (Path(written),) if isinstance(written, (str, os.PathLike)) else tuple(Path(path) for path in written)


def words(selectors: Iterable[str]) -> tuple[str, ...]:
    """Return one selector or several as a tuple."""
    return (selectors,) if isinstance(selectors, str) else tuple(selectors)


def _severity(level: str) -> Severity:
    try:
        return msgspec.convert(level, Severity)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{level!r} is not a severity", remedy="write info, warning or error") from error

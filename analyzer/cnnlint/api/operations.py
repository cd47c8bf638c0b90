"""Compare, diff, convert and fix models from Python, as the commands of these names do."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec import structs
from msgspec.structs import replace

from cnnlint.api.linting import Dims, Shown, paths, words
from cnnlint.conversion.writing import check_output, replacing
from cnnlint.engine.config.arguments import Arguments, naming_arguments
from cnnlint.engine.config.settings import resolve
from cnnlint.errors import CnnlintError, ConfigError, boundary
from cnnlint.frontends.keras import KERAS_SUFFIXES
from cnnlint.linting.linter import Linter
from cnnlint.linting.models import LiveKeras, Model, open_model, path_of
from cnnlint.operations.compare import Comparison, compare_models
from cnnlint.operations.compare import render as render_comparison
from cnnlint.operations.conversion import ConversionReport, ConvertRequest
from cnnlint.operations.conversion import render as render_conversion
from cnnlint.operations.diff import diff as diff_graphs
from cnnlint.operations.diff import growth_limit
from cnnlint.operations.diff_report import DiffReport
from cnnlint.operations.diff_report import render as render_diff
from cnnlint.operations.fix_report import FixReport
from cnnlint.operations.fix_report import render as render_fix
from cnnlint.report.view import View
from cnnlint.results import LintReport
from cnnlint.runtime.probe import SEED
from cnnlint.verification.records import ComparisonReport
from cnnlint.worker.workers import Workers

if TYPE_CHECKING:
    from cnnlint.linting.models import Given
    from cnnlint.operations.fix import FixRequest

PathLike = str | os.PathLike[str]


class Compared(ComparisonReport, Shown, frozen=True, kw_only=True):
    """Two models run on the same inputs; it prints as `cnnlint compare A B` does."""

    def __str__(self) -> str:
        return render_comparison(self, View()).rstrip("\n")

    def __repr__(self) -> str:
        return f"<cnnlint.Compared: {self.before} and {self.after}, equal {self.equal}>"


class Diff(DiffReport, Shown, frozen=True, kw_only=True, dict=True):
    """How two models differ as graphs; it prints as `cnnlint diff A B` does."""

    @property
    def exit_code(self) -> int:
        """1 if the second grew too much or, where that was asked for, has new findings, else 0."""
        return max(super().exit_code, int(bool(self.new) and vars(self).get("fail_on_new", False)))

    def __str__(self) -> str:
        return render_diff(self, View()).rstrip("\n")

    def __repr__(self) -> str:
        found = f"layers {len(self.layers)}, new findings {len(self.new)}"
        return f"<cnnlint.Diff: {self.before} → {self.after}, {found}>"


class Converted(ConversionReport, Shown, frozen=True, kw_only=True):
    """A verified conversion; it prints as `cnnlint convert MODEL -o FILE` does."""

    def __str__(self) -> str:
        return conversion_text(self, View()).rstrip("\n")

    def __repr__(self) -> str:
        return f"<cnnlint.Converted: {self.source} → {self.output}, written {self.written}>"


class Fixed(FixReport, Shown, frozen=True, kw_only=True):
    """A model after the rewrites of rules; it prints as `cnnlint fix MODEL` does."""

    def __str__(self) -> str:
        return render_fix(self, View(), difference=False).rstrip("\n")

    def __repr__(self) -> str:
        return f"<cnnlint.Fixed: {self.path}, rewrites {len(self.applied)}, written {self.written}>"


@naming_arguments()
def compare(
    before: Given,
    after: Given,
    *,
    inputs: Mapping[str, Dims] | None = None,
    tolerance: float | None = None,
    seed: int = SEED,
    layers: bool = True,
    run_timeout: float | None = None,
    run_memory: str | int | None = None,
) -> Compared:
    """Run two models on the same seeded inputs, and say where they first differ.

    Args:
        before: The reference: as for `load`.
        after: The other.
        inputs: Shapes by input name, where a model leaves dims open.
        tolerance: Largest error to accept, relative to a tensor's largest value.
        seed: Seed of the inputs.
        layers: Whether to compare layers besides outputs.
        run_timeout: Seconds for one load or run; 0 for any number. A live `keras.Model` runs here, unlimited.
        run_memory: Bytes that running a model may take, or "8GB".

    Returns:
        A report whose `exit_code` is 1 if the models differ by more than rounding.

    Raises:
        CnnlintError: They cannot be compared.
    """
    with boundary(f"{path_of(before)} and {path_of(after)}"), _workers(run_timeout, run_memory) as workers:
        models = open_model(before, workers), open_model(after, workers)
        with _called(models):
            request = Comparison(
                before=models[0].stored,
                after=models[1].stored,
                inputs=dict(inputs or {}),
                tolerance=tolerance,
                seed=seed,
                layers=layers,
            )
            if any(isinstance(model, LiveKeras) for model in models):
                report = compare_models(*models, request)
            else:
                kind = "tensorflow" if any(model.needs_tensorflow for model in models) else "onnxruntime"
                handler = "cnnlint.operations.compare:compare_paths"
                report = workers.call(kind, handler, request, ComparisonReport)
        return Compared(**structs.asdict(replace(report, before=models[0].path, after=models[1].path)))


@naming_arguments()
def diff(
    before: Given,
    after: Given,
    *,
    max_growth: Mapping[str, str | float] | None = None,
    fail_on_new: bool = False,
    inputs: Mapping[str, Dims] | None = None,
    config: PathLike | None = None,
    isolated: bool = False,
    allow_config_code: Iterable[PathLike] = (),
    ignore_config_code: bool = False,
) -> Diff:
    """Compare layers, costs and static findings of two models, without running either.

    Args:
        before: As for `load`.
        after: The other.
        max_growth: The most that it may grow over `before`, by quantity: {"params": "2%", "file_bytes": "100 kB"}.
        fail_on_new: Whether findings that only `after` has make the `exit_code` 1.
        inputs: Shapes by input name, where a model leaves dims open.
        config: As for `lint`.
        isolated: As for `lint`.
        allow_config_code: As for `lint`.
        ignore_config_code: As for `lint`.

    Returns:
        A report whose `new` are the new findings; its `exit_code` is 1 if a quantity grew by more than is allowed.

    Raises:
        CnnlintError: A model cannot be read, or an argument is wrong.
    """
    with boundary(f"{path_of(before)} and {path_of(after)}"):
        report = diff_graphs(
            before,
            after,
            limits=[growth_limit(f"{name}={amount}") for name, amount in (max_growth or {}).items()],
            inputs=_shapes(inputs),
            config=None if config is None else Path(config),
            isolated=isolated,
            allow_config_code=paths(allow_config_code),
            ignore_config_code=ignore_config_code,
        )
        found = Diff(**structs.asdict(report))
        vars(found)["fail_on_new"] = fail_on_new  # what was asked for is no part of what the models differ in
        return found


@naming_arguments()
def convert(
    model: Given,
    output: PathLike,
    *,
    opset: int | None = None,
    force: bool = False,
    config: PathLike | None = None,
    isolated: bool = False,
    run_timeout: float | None = None,
    run_memory: str | int | None = None,
    allow_config_code: Iterable[PathLike] = (),
    ignore_config_code: bool = False,
) -> Converted:
    """Convert a Keras model or SavedModel to ONNX, write it if both compute the same, and lint the result.

    Args:
        model: A `.keras` or `.h5` file, a SavedModel, or a live `keras.Model` of Keras's own layers.
        output: The ONNX file to write; an existing one is replaced.
        opset: Version of ONNX's operator set; tf2onnx's choice if None.
        force: Write the result even if it does not compute the same.
        config: As for `lint`, for the result.
        isolated: As for `lint`.
        run_timeout: Seconds for one load or run; 0 for any number.
        run_memory: Bytes that converting and running the model may take, or "8GB".
        allow_config_code: As for `lint`.
        ignore_config_code: As for `lint`.

    Returns:
        A report whose `written` says whether the file is there. Its `exit_code` is 1 if the models differ or the result
        has findings at or above `fail-on`.

    Raises:
        CnnlintError: The model could not be converted.
    """
    target = os.fspath(output)
    if target.lower().endswith(KERAS_SUFFIXES):
        raise ConfigError("this is not the name of an ONNX file", path=target, remedy="its name ends in .onnx")
    flags = Arguments(allow_config_code=paths(allow_config_code), ignore_config_code=ignore_config_code)
    with boundary(path_of(model)), _workers(run_timeout, run_memory) as workers:
        check_output(target, path_of(model))
        # mistakes in the configuration are reported before the conversion starts
        linter = Linter(flags, config=None if config is None else Path(config), isolated=isolated, models=(target,))
        given = open_model(model, workers)
        with closing(linter), replacing(target) as place, _called((given,)):
            request = ConvertRequest(path=given.stored, output=target, fresh=place.fresh, opset=opset)
            report = workers.call("tensorflow", "cnnlint.operations.conversion:convert", request, ConversionReport)
            report = replace(report, source=given.path, parity=replace(report.parity, before=given.path))
            workers.close()
            if report.parity.equal or force:
                place.publish()
                report = replace(report, written=True, lint=linter.lint(target))
        return Converted(**structs.asdict(report))


def conversion_text(report: ConversionReport, view: View) -> str:
    """Return how a model was converted and verified, and the lint of the result."""
    from cnnlint.report.text import render

    text = "" if view.quiet and report.parity.equal else render_conversion(report, view)
    return text if report.lint is None else text + render(LintReport(models=(report.lint,)), view)


@naming_arguments()
def fix(
    model: Given,
    output: PathLike | None = None,
    *,
    select: Iterable[str] = (),
    any_size: bool = False,
    keep_rank: bool = False,
    opset: int | None = None,
    inputs: Mapping[str, Dims] | None = None,
    config: PathLike | None = None,
    isolated: bool = False,
    run_timeout: float | None = None,
    run_memory: str | int | None = None,
    allow_config_code: Iterable[PathLike] = (),
    ignore_config_code: bool = False,
) -> Fixed:
    """Rewrite an ONNX model where rules can, and write it if it is verified to compute the same.

    Args:
        model: The path of an ONNX file, or an `onnx.ModelProto`, which stays as it is.
        output: The file to write, which may be that of the model; None for a preview, which writes nothing.
        select: Apply the rewrites of these rules only.
        any_size: Have the model take images of any size, and apply no other rewrite.
        keep_rank: With `any_size`, average scores over positions, so that outputs keep their shapes.
        opset: The version of ONNX's operator set to bring the model to as well.
        inputs: Shapes by input name, where the model leaves dims open.
        config: As for `lint`.
        isolated: As for `lint`.
        run_timeout: Seconds for one load or run; 0 for any number.
        run_memory: Bytes that running the model may take, or "8GB".
        allow_config_code: As for `lint`.
        ignore_config_code: As for `lint`.

    Returns:
        A report whose `exit_code` is 0 if the model was written or there is nothing to rewrite, 1 for a preview of
        rewrites, 2 if the rewritten model does not compute the same.

    Raises:
        CnnlintError: The model cannot be read, run or written, or an argument is wrong.
    """
    from cnnlint.operations.fix import FixRequest

    if any_size and words(select):
        raise ConfigError("any_size cannot be combined with select", remedy="apply the rewrites of rules before it")
    if keep_rank and not any_size:
        raise ConfigError("keep_rank is about any_size", remedy="give both")
    if any_size and opset is not None:
        raise ConfigError("any_size cannot be combined with opset", remedy="give one after the other")
    target = "" if output is None else os.fspath(output)
    with boundary(path_of(model)), _workers(run_timeout, run_memory) as workers:
        if target and os.path.abspath(target) != os.path.abspath(path_of(model)):
            check_output(target, path_of(model))
        given = open_model(model, workers)
        request = FixRequest(
            path=given.stored,
            select=words(select),
            inputs=_shapes(inputs),
            config=None if config is None else str(config),
            isolated=isolated,
            allow_config_code=tuple(map(str, paths(allow_config_code))),
            ignore_config_code=ignore_config_code,
            any_size=any_size,
            keep_rank=keep_rank,
            opset=opset,
        )
        with _called((given,)):
            report = fixed(workers, request, target)
        if given.stored != given.path:
            said = f"{given.path} (fixed)"
            parity = report.parity and replace(report.parity, before=given.path, after=said)
            difference = report.diff and replace(report.diff, before=given.path, after=said)
            report = replace(report, path=given.path, parity=parity, diff=difference)
        return Fixed(**structs.asdict(report))


def fixed(workers: Workers, request: FixRequest, output: str) -> FixReport:
    """Return what became of a model, which is written to `output` if it is verified and that is not ""."""
    with replacing(output) if output else nullcontext() as place:
        request = replace(request, fresh=place.fresh if place else "")
        report = workers.call("onnxruntime", "cnnlint.operations.fix:fix", request, FixReport)
        report = replace(report, output=output)
        if place is not None and report.is_verified:
            place.publish()
            report = replace(report, written=True)
    return report


@contextmanager
def _workers(timeout: float | None, memory: str | int | None) -> Generator[Workers]:
    workers = Workers(resolve(None, Arguments(run_timeout=timeout, run_memory=cast("str | None", memory))).limits)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def _called(models: Iterable[Model]) -> Generator[None]:
    """Have errors about the copy of a model in memory name the model, and never a temporary file."""
    try:
        yield
    except CnnlintError as error:
        for model in models:
            if model.path.startswith("<"):
                stored = model.stored
                error.path = model.path if error.path == stored else error.path
                error.cause = error.cause.replace(stored, model.path)
        raise


def _shapes(inputs: Mapping[str, Dims] | None) -> dict[str, str]:
    return {name: "x".join(map(str, dims)) for name, dims in (inputs or {}).items()}

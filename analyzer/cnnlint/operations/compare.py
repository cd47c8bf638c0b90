"""What `cnnlint compare` does: the worker's job, and the report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from msgspec import Struct

from cnnlint.linting.models import Model, open_model
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View, columns, several
from cnnlint.results import Verification
from cnnlint.runtime.probe import SEED
from cnnlint.verification.records import ComparisonReport, Origin, ValueRow
from cnnlint.verification.verify import compare, size_up

SHOWN_AFTER = 3
"""Layers shown after the first one that differs; everything downstream of it differs too."""


class Comparison(Struct, frozen=True, kw_only=True):
    """Two models to compare, as a worker is asked to.

    Attributes:
        before: Path of the reference model.
        after: Path of the other.
        inputs: Shapes by input name that replace what a model declares.
        tolerance: As for `compare`.
        seed: Seed of the inputs.
        layers: Whether to compare all layers, and not just outputs.
    """

    before: str
    after: str
    inputs: dict[str, tuple[int, ...]] = {}
    tolerance: float | None = None
    seed: int = SEED
    layers: bool = True


def compare_paths(request: Comparison) -> ComparisonReport:
    """Open two models and compare them: see `compare`.

    Raises:
        ModelError: One cannot be read.
        ConfigError: One is remote.
        MissingExtraError: One is a Keras model or a SavedModel, and TensorFlow is not installed.
        ConversionError: One holds code that is not run.
        RuntimeCheckError: One does not run, or inputs cannot be generated.
    """
    return compare_models(open_model(request.before), open_model(request.after), request)


def compare_models(left: Model, right: Model, request: Comparison) -> ComparisonReport:
    """Compare two models in this process: see `compare_paths`, whose errors it raises."""
    before, after = (model.runner(request.inputs) for model in (left, right))
    size_up(before.graph, after.graph)
    return compare(before, after, tolerance=request.tolerance, seed=request.seed, layers=request.layers)


def render(report: ComparisonReport, view: View, *, every: bool = False) -> str:
    """Return the verdict, the outputs, where differences begin, and the layers up to there; all layers if `every`."""
    return without_commands("".join(f"{line}\n" for line in _lines(report, view, every=every)))


def _lines(report: ComparisonReport, view: View, *, every: bool) -> Iterator[str]:
    state = view.paint("equal", "good") if report.equal else view.paint("different", "error")
    before, after = (view.paint(printable(path), "strong") for path in (report.before, report.after))
    yield f"{before} and {after} are {state}"
    for condition in report.conditions:
        yield view.paint(f"  inputs: {printable(condition)}", "faint")
    yield view.paint(f"  tolerance: {report.tolerance:.2g} of the largest magnitude of a tensor", "faint")
    yield from verdict(report.verification, view)
    for sentence in report.interface:
        yield f"  {printable(sentence)}"
    if not report.outputs:
        return
    yield ""
    yield from table(report.outputs, view)
    if not report.equal and not view.quiet:
        yield ""
        yield from origin_lines(report, view)
    if report.layers and not view.quiet:
        yield ""
        rows, hidden = (report.layers, 0) if every else _up_to_origin(report)
        yield from table(rows, view)
        if hidden:
            yield f"… {several(hidden, 'more layer')} (--all shows them)"


def verdict(verification: Verification | None, view: View) -> Iterator[str]:
    """Yield the verdict on two models that were run side by side, as every command words it."""
    if verification is None:
        return
    label = view.paint(verification.label, "good" if verification.equivalent else "error")
    first, *rest = wrap(
        f"{verification.label}: {verification.words}", view.width, subsequent_indent="  ", break_on_hyphens=False
    )
    yield label + first.removeprefix(verification.label)
    yield from rest
    if verification.noise:
        yield from (
            view.paint(line, "faint")
            for line in wrap(verification.noise, view.width, initial_indent="  ", subsequent_indent="  ")
        )


def origin_lines(report: ComparisonReport, view: View) -> Iterator[str]:
    """Yield where differences begin, and what the files say about the cause."""
    if not report.origins:
        yield "No layer that both models have differs: the difference begins in a layer that only one of them has."
        return
    for index, origin in enumerate(report.origins):
        head = "The first difference is at" if index == 0 else "Another one, independent of it, is at"
        yield f"{head} {view.paint(_named(origin), 'strong')}: {_size(origin)}."
        for cause in origin.causes:
            yield from wrap(
                f"- {printable(cause)}",
                view.width,
                initial_indent="  ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )


def table(rows: tuple[ValueRow, ...], view: View) -> Iterator[str]:
    """Yield a line for each tensor, its name first and its errors in columns."""
    head = ("tensor", "kind", "shape", "absolute", "relative", "")
    body = [
        (
            _name(row),
            row.kind,
            "×".join(map(str, row.shape)),
            _number(row.max_abs_error, row),
            _number(row.max_rel_error, row),
            f"{row.verdict}{f' ({printable(row.note)})' if row.note else ''}",
        )
        for row in rows
    ]
    lines = columns([head, *body], right=(3, 4), width=view.across, shrink=0)
    yield view.paint(next(lines), "strong")
    for row, line in zip(rows, lines, strict=True):
        style = "error" if row.verdict == "differs" else "faint" if row.verdict != "equal" else None
        yield view.paint(line, style) if style else line


def _up_to_origin(report: ComparisonReport) -> tuple[tuple[ValueRow, ...], int]:
    first = next((index for index, row in enumerate(report.layers) if row.verdict == "differs"), None)
    if first is None or report.equal:
        return report.layers, 0
    shown = report.layers[: first + 1 + SHOWN_AFTER]
    return shown, len(report.layers) - len(shown)


def _name(row: ValueRow) -> str:
    if row.before and row.after and row.before != row.after:
        return printable(f"{row.before} = {row.after}")
    return (
        printable(row.before or f"{row.after} (second only)") if row.after else printable(f"{row.before} (first only)")
    )


def _named(origin: Origin) -> str:
    name = printable(origin.before)
    return name if origin.after == origin.before else f"{name} ({printable(origin.after)} in the second model)"


def _size(origin: Origin) -> str:
    if origin.max_rel_error is None:
        return "its output cannot be compared"
    return f"its output differs by {origin.max_rel_error:.2g} times its largest magnitude, given the same values"


def _number(value: float | None, row: ValueRow) -> str:
    if value is None:
        return "∞" if row.verdict == "differs" else "-"
    return "0" if value == 0 else f"{value:.2g}"

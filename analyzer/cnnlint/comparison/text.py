"""The report of a comparison for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from cnnlint.comparison.records import ComparisonReport, Origin, ValueRow
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View, columns, several

SHOWN_BEHIND = 3
"""Layers that are shown behind the first one that differs; all that follows from it does too."""


def render(report: ComparisonReport, view: View, *, every: bool = False) -> str:
    """Return the verdict, the outputs, where differences begin, and the layers up to there; all if `every`."""
    return without_commands("".join(f"{line}\n" for line in _lines(report, view, every=every)))


def _lines(report: ComparisonReport, view: View, *, every: bool) -> Iterator[str]:
    verdict = view.paint("equal", "good") if report.equal else view.paint("different", "error")
    before, after = (view.paint(printable(path), "strong") for path in (report.before, report.after))
    yield f"{before} and {after} are {verdict}"
    for condition in report.conditions:
        yield view.paint(f"  inputs: {printable(condition)}", "faint")
    yield view.paint(f"  tolerance: {report.tolerance:.2g} of the largest magnitude of a tensor", "faint")
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


def origin_lines(report: ComparisonReport, view: View) -> Iterator[str]:
    """Yield where the difference begins and why, as far as the files tell."""
    if not report.origins:
        yield "No layer that both models have differs: the difference begins in one that only one of them has."
        return
    for index, origin in enumerate(report.origins):
        head = "The first difference is at" if index == 0 else "Another, which does not follow from it, at"
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
    lines = columns([head, *body], right=(3, 4), width=view.width, shrink=0)
    yield view.paint(next(lines), "strong")
    for row, line in zip(rows, lines, strict=True):
        style = "error" if row.verdict == "differs" else "faint" if row.verdict != "equal" else None
        yield view.paint(line, style) if style else line


def _up_to_origin(report: ComparisonReport) -> tuple[tuple[ValueRow, ...], int]:
    first = next((index for index, row in enumerate(report.layers) if row.verdict == "differs"), None)
    if first is None or report.equal:
        return report.layers, 0
    shown = report.layers[: first + 1 + SHOWN_BEHIND]
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
        return "its output cannot even be compared"
    return f"its output differs by {origin.max_rel_error:.2g} of its largest magnitude, and what it gets does not"


def _number(value: float | None, row: ValueRow) -> str:
    if value is None:
        return "∞" if row.verdict == "differs" else "-"
    return "0" if value == 0 else f"{value:.2g}"

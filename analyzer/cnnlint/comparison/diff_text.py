"""The report of a static diff for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from cnnlint.comparison.diff_records import DiffReport, GrowthResult, LayerDiff, Measure, Status
from cnnlint.graph.quantity import UNKNOWN, brief, count, format_amount, ratio, share
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import Style, View, columns, several
from cnnlint.results import Finding

SHOWN = 40
"""Layers that are listed unless all are asked for."""

MARKS: dict[Status, tuple[str, Style]] = {
    "added": ("+", "good"),
    "removed": ("-", "error"),
    "changed": ("~", "warning"),
    "renamed": ("=", "faint"),
}


def render(report: DiffReport, view: View, *, every: bool = False) -> str:
    """Return costs, layers and findings before and after; all layers, renamed ones too, if `every`."""
    return without_commands("".join(f"{line}\n" for line in _lines(report, view, every=every)))


def _lines(report: DiffReport, view: View, *, every: bool) -> Iterator[str]:
    before, after = (view.paint(printable(path), "strong") for path in (report.before, report.after))
    yield f"{before} → {after}"
    yield ""
    yield from _measures(report.measures, view)
    yield ""
    yield from _layers(report, view, every=every)
    yield ""
    yield from _findings(report, view)
    if report.growth:
        yield ""
        yield from (_growth(result, view) for result in report.growth)


def _measures(measures: tuple[Measure, ...], view: View) -> Iterator[str]:
    rows = [(m.name, _amount(m, m.before), _amount(m, m.after), _change(m)) for m in measures]
    yield from columns([("", "before", "after", "change"), *rows], right=(1, 2, 3), width=view.width, shrink=0)


def _amount(measure: Measure, amount: float | None) -> str:
    return UNKNOWN if amount is None else format_amount(amount, measure.unit)


def _change(measure: Measure) -> str:
    if measure.before is None or measure.after is None:
        return "?"
    growth = measure.after - measure.before
    if not growth:
        return "-"
    return _signed(growth) + (_percent(ratio(growth, measure.before), 1) if measure.before else "")


def _signed(number: float) -> str:
    return f"{'−' if number < 0 else '+'}{count(abs(number))}"


def _grown(number: int | None) -> str:
    return UNKNOWN if number is None else _signed(number)


def _percent(growth: float, digits: int) -> str:
    written = share(abs(growth), digits)
    return f" ({'−' if growth < 0 else '+'}{written})"


def _layers(report: DiffReport, view: View, *, every: bool) -> Iterator[str]:
    counts = [
        f"{sum(layer.status == status for layer in report.layers)} {status}"
        for status in MARKS
        if any(layer.status == status for layer in report.layers)
    ]
    yield f"layers: {', '.join([*counts, f'{report.unchanged} the same'])}"
    listed = [layer for layer in report.layers if every or layer.status != "renamed"]
    shown = listed if every else listed[:SHOWN]
    for layer in shown:
        yield from _layer(layer, view)
    if len(shown) < len(listed):
        yield f"… {several(len(listed) - len(shown), 'more layer')} (--all shows them)"


def _layer(layer: LayerDiff, view: View) -> Iterator[str]:
    mark, style = MARKS[layer.status]
    name = printable(layer.after or layer.before)
    if layer.before and layer.after and layer.before != layer.after:
        name = f"{printable(layer.before)} → {name}"
    costs = [
        "" if layer.parameters == 0 else f"{_grown(layer.parameters)} parameters",
        f"{'+' if layer.macs > 0 else ''}{brief(layer.macs)} MACs" if layer.macs else "",
    ]
    text = "  ".join(part for part in (f"{mark} {name}", printable(layer.label), *costs) if part)
    yield view.paint(f"  {text}", style)
    for change in layer.changes:
        said = f"{change.field.replace('_', ' ')} {change.before} → {change.after}"
        yield from wrap(printable(said), view.width, initial_indent="      ", subsequent_indent="        ")


def _findings(report: DiffReport, view: View) -> Iterator[str]:
    counts = len(report.fixed), len(report.new), len(report.kept)
    if not any(counts):
        yield "findings: none in either model"
        return
    yield f"findings: {counts[0]} gone, {counts[1]} new, {counts[2]} in both"
    for mark, style, findings in (("-", "good", report.fixed), ("+", "error", report.new)):
        for finding in findings:
            yield from _finding(finding, mark, style, view)  # pyright: ignore[reportArgumentType] - literals above


def _finding(finding: Finding, mark: str, style: Style, view: View) -> Iterator[str]:
    head = f"  {mark} {finding.severity}[{finding.code}] {finding.name}"
    first, *rest = wrap(
        f"{head}: {printable(finding.message)}", view.width, subsequent_indent="      ", break_on_hyphens=False
    )
    yield view.paint(first[: len(head)], style) + first[len(head) :]
    yield from rest


def _growth(result: GrowthResult, view: View) -> str:
    name = result.quantity.replace("_", "-")
    if result.growth is None:
        return view.paint(f"over: the growth of {name} is unknown: {printable(result.reason)}", "error")
    relative = "" if result.share is None else _percent(result.share, 2)
    text = f"{name} {_signed(result.growth)}{relative}, allowed {result.limit}"
    return view.paint(f"kept: {text}", "good") if result.passed else view.paint(f"over: {text}", "error")

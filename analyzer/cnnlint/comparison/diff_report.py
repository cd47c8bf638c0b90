"""The records of a static diff, which every format shares, and its report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Literal

from msgspec import Struct

from cnnlint.errors import __version__
from cnnlint.graph.quantity import UNKNOWN, Unit, brief, count, format_amount, ratio, share
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import Style, View, columns, several
from cnnlint.results import SCHEMA, Finding
from cnnlint.verification.differences import Change

Status = Literal["added", "removed", "changed", "renamed"]

SHOWN = 40
"""Most layers that are listed without `--all`."""

MARKS: dict[Status, tuple[str, Style]] = {
    "added": ("+", "good"),
    "removed": ("-", "error"),
    "changed": ("~", "warning"),
    "renamed": ("=", "faint"),
}


class LayerDiff(Struct, frozen=True, kw_only=True):
    """A layer that differs between the models.

    Attributes:
        status: Whether only one model has it, or both do with different settings or just a different name.
        before: Its name in the first model; "" if it is added.
        after: Its name in the second; "" if it is removed.
        kind: "Conv", "Dense", ...; the second model's if both have it.
        label: The kind and the settings that matter: "Conv 3×3 /2".
        changes: The settings that differ.
        parameters: Parameters in the second model minus those in the first; None if unknown.
        macs: The same difference of MACs per sample; None if unknown.
    """

    status: Status
    before: str
    after: str
    kind: str
    label: str
    changes: tuple[Change, ...] = ()
    parameters: int | None
    macs: int | None


class Measure(Struct, frozen=True, kw_only=True):
    """A cost of both models.

    Attributes:
        quantity: "params", "macs", "weight_bytes", "file_bytes", "peak_activation_bytes", "layers".
        name: Its label in reports.
        unit: Unit of the amounts.
        before: None if unknown.
        after: None if unknown.
        reason: Why one is unknown; "" if both are known.
    """

    quantity: str
    name: str
    unit: Unit
    before: int | float | None
    after: int | float | None
    reason: str = ""


class GrowthResult(Struct, frozen=True, kw_only=True):
    """A growth budget, checked for two models.

    Attributes:
        quantity: As in a Measure.
        limit: As the user wrote it: "2%", "100k".
        growth: Increase in the quantity's unit; None if unknown, which fails.
        share: The same relative to the first model; None if unknown, or if the first model's amount is 0.
        passed: Whether it holds.
        reason: Why it is unknown; "" if it is known.
    """

    quantity: str
    limit: str
    growth: int | float | None
    share: float | None
    passed: bool
    reason: str = ""


class DiffReport(Struct, frozen=True, kw_only=True):
    """Two models compared by their graphs.

    Attributes:
        before: Path of the first model.
        after: Path of the second.
        measures: Their costs.
        layers: Layers that differ, in the order of the second model, then those that were removed.
        unchanged: How many layers are the same, including names but not values of weights.
        fixed: Findings that only the first model has.
        new: Findings that only the second model has.
        kept: Findings that both have.
        growth: Growth budgets.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    before: str
    after: str
    measures: tuple[Measure, ...] = ()
    layers: tuple[LayerDiff, ...] = ()
    unchanged: int = 0
    fixed: tuple[Finding, ...] = ()
    new: tuple[Finding, ...] = ()
    kept: tuple[Finding, ...] = ()
    growth: tuple[GrowthResult, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if the second model grew by more than is allowed, else 0."""
        return 0 if all(result.passed for result in self.growth) else 1


def render(report: DiffReport, view: View, *, every: bool = False) -> str:
    """Return costs, layers and findings before and after; every layer, including renamed ones, if `every`."""
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
    yield f"layers: {', '.join([*counts, f'{report.unchanged} the same'])} (values of weights are not compared)"
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
        yield "static findings: none in either model"
        return
    yield f"static findings: {counts[0]} gone, {counts[1]} new, {counts[2]} in both"
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

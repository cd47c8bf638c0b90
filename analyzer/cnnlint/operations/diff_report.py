"""The records of a static diff, which every format shares, and its report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Literal

from msgspec import Struct

from cnnlint.errors import __version__
from cnnlint.graph.quantity import UNKNOWN, Unit, brief, count, format_amount, ratio, share
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import Style, View, columns, several
from cnnlint.results import SCHEMA, BudgetResult, Finding, Per
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
    """Two models compared by their graphs; or the one of them that there is, where folders are compared.

    Attributes:
        before: Path of the first model; "" if it is added.
        after: Path of the second; "" if it is removed.
        measures: Their costs.
        layers: Layers that differ, in the order of the second model, then those that were removed.
        unchanged: How many layers are the same, including names but not values of weights.
        fixed: Findings that only the first model has.
        new: Findings that only the second model has.
        kept: Findings that both have.
        growth: Growth budgets.
        budgets: The budgets of the second model, from the configuration.
        per: What MACs and activations are counted for: one sample, or a run as the model declares it.
        error: Why they could not be compared; None if they could.
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
    budgets: tuple[BudgetResult, ...] = ()
    per: Per = "sample"
    error: str | None = None

    @property
    def is_same(self) -> bool:
        """Whether there is nothing to tell: no layer, cost or finding differs."""
        costs = all(measure.before == measure.after for measure in self.measures)
        return costs and not (self.layers or self.new or self.fixed or self.error)

    @property
    def exit_code(self) -> int:
        """2 if they could not be compared, else 1 if the second grew too much, else 0."""
        return 2 if self.error is not None else int(not all(result.passed for result in self.growth))


class FolderDiff(Struct, frozen=True, kw_only=True):
    """The models of two folders, matched by their paths in them.

    Attributes:
        before: The first folder.
        after: The second.
        models: A report for each path, sorted.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    before: str
    after: str
    models: tuple[DiffReport, ...] = ()

    @property
    def exit_code(self) -> int:
        """The worst of its models'."""
        return max((model.exit_code for model in self.models), default=0)

    @property
    def new(self) -> tuple[Finding, ...]:
        """Findings that only the second folder has."""
        return tuple(finding for model in self.models for finding in model.new)


def tally(models: Sequence[DiffReport]) -> str:
    """Return "3 models: 1 changed, 1 added, 1 the same; findings: 2 new, 1 gone"."""
    read = [model for model in models if model.error is None]
    counts = {
        "not compared": len(models) - len(read),
        "changed": sum(bool(model.before and model.after) and not model.is_same for model in read),
        "added": sum(not model.before for model in read),
        "removed": sum(not model.after for model in read),
        "the same": sum(model.is_same for model in read),
    }
    told = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    new, gone = (
        (sum(len(found) for found in lists) for lists in zip(*((m.new, m.fixed) for m in read), strict=True))
        if read
        else (0, 0)
    )
    return f"{several(len(models), 'model')}: {told}; static findings: {count(new)} new, {count(gone)} gone"


def render_folders(report: FolderDiff, view: View, *, every: bool = False) -> str:
    """Return what `render` does for each model that differs, then those that were added and removed, and the count."""
    parts = [
        render(model, view, every=every)
        for model in report.models
        if model.before and model.after and not model.is_same and model.error is None
    ]
    lines = list[str]()
    for model in report.models:
        if model.error is None and not (model.before and model.after):
            mark, path, style = ("-", model.before, "error") if model.before else ("+", model.after, "good")
            costs = ", ".join(
                f"{_amount(measure, measure.before if model.before else measure.after)} {measure.name}"
                for measure in model.measures
                if measure.quantity in {"params", "macs"}
            )
            lines.append(f"{view.paint(f'{mark} {printable(path)}', style)}  {costs}")  # pyright: ignore[reportArgumentType] - literals above
            lines += _findings(model, view)
    if lines:
        parts.append("".join(f"{line}\n" for line in lines))
    parts.append(f"{printable(report.before)} → {printable(report.after)}: {tally(report.models)}\n")
    return without_commands("\n".join(parts))


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
    rows = [(m.name, _amount(m, m.before), _amount(m, m.after), change_of(m)) for m in measures]
    yield from columns([("", "before", "after", "change"), *rows], right=(1, 2, 3), width=view.across, shrink=0)


def _amount(measure: Measure, amount: float | None) -> str:
    return UNKNOWN if amount is None else format_amount(amount, measure.unit)


def change_of(measure: Measure) -> str:
    """Return by how much a cost has changed; "-" if it has not, "?" if that is unknown."""
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
    return view.paint(growth_line(result), "good" if result.passed else "error")


def growth_line(result: GrowthResult) -> str:
    """Return "over: params +38 (+23.46%), allowed 23%"."""
    name = result.quantity.replace("_", "-")
    if result.growth is None:
        return f"over: the growth of {name} is unknown: {printable(result.reason)}"
    relative = "" if result.share is None else _percent(result.share, 2)
    return f"{'kept' if result.passed else 'over'}: {name} {_signed(result.growth)}{relative}, allowed {result.limit}"

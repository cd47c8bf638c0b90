"""A static diff as Markdown, for a comment on a pull request: costs, budgets, what is new and what is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from cnnlint.engine.telling import relative
from cnnlint.graph.quantity import count, format_amount
from cnnlint.operations.diff_report import DiffReport, FolderDiff, change_of, growth_line, tally
from cnnlint.report.markdown import MOST, SIGNS, cell, code, finding_row
from cnnlint.report.parts import amount, budget_label
from cnnlint.report.printable import printable, printable_report, without_commands
from cnnlint.report.view import View
from cnnlint.results import BudgetResult, Finding, ModelReport, Severity

COSTS = ("params", "macs", "weight_bytes", "peak_activation_bytes")
"""Quantities that have a column; the file's size is told by git itself."""

CELLS = 10
"""Length of a budget's bar."""


def render(report: DiffReport | FolderDiff, view: View) -> str:  # noqa: ARG001 - as all formats
    """Return the count, a row of costs for each model that differs, the bars of budgets, and findings."""
    models = tuple(map(printable_report, report.models if isinstance(report, FolderDiff) else (report,)))
    lines = [
        f"## cnnlint: {code(printable(report.before))} → {code(printable(report.after))}",
        "",
        cell(tally(models)),
        "",
    ]
    differing = [model for model in models if not model.is_same]
    if differing:
        heads = [measure.name for measure in differing[0].measures if measure.quantity in COSTS]
        lines += [f"| | Model | {' | '.join(heads)} | Layers | Findings |"] if heads else ["| | Model |"]
        lines += ["|---|---|" + "--:|" * len(heads) + ("---|---|" if heads else "")]
        lines += [_costs(model, len(heads)) for model in differing[:MOST]]
        lines += _more(len(differing))
    grown = [(model, growth) for model in models for growth in model.growth]
    if grown:
        lines += ["### Growth", ""]
        lines += [
            f"- {'✅' if growth.passed else SIGNS[Severity.ERROR]} {code(_name(model))}: {cell(growth_line(growth))}"
            for model, growth in grown
        ]
        lines.append("")
    budgets = [(model, budget) for model in models for budget in model.budgets]
    if budgets:
        lines += ["### Budgets", "", "| | Model | Budget | | Measured | Limit |", "|---|---|---|---|--:|--:|"]
        lines += [_budget(*entry) for entry in sorted(budgets, key=lambda entry: entry[1].passed)[:MOST]]
        lines += _more(len(budgets))
    lines += _findings("New findings", [(model, found) for model in models for found in model.new])
    lines += _findings("Gone findings", [(model, _bare(found)) for model in models for found in model.fixed])
    return without_commands("\n".join(lines).rstrip() + "\n")


def _name(model: DiffReport) -> str:
    return relative(model.after or model.before)


def _more(total: int) -> list[str]:
    return ["", f"… and {count(total - MOST)} more.", ""] if total > MOST else [""]


def _costs(model: DiffReport, wide: int) -> str:
    """Return the row of a model: what each cost comes to, and by how much it has changed."""
    sign = "🆕" if not model.before else "🗑️" if not model.after else "⚠️" if model.new else "✅"
    if model.error is not None:
        return f"| {SIGNS[Severity.ERROR]} | {code(_name(model))}: {cell(model.error)} |" + " |" * (wide and wide + 2)
    cells = list[str]()
    for measure in (measure for measure in model.measures if measure.quantity in COSTS):
        held = measure.after if model.after else measure.before
        change = change_of(measure)
        amount_ = "?" if held is None else format_amount(held, measure.unit)
        cells.append(cell(amount_) + (f"<br>{cell(change)}" if change not in {"-", "?"} else ""))
    layers = ", ".join(
        f"{sum(layer.status == status for layer in model.layers)} {status}"
        for status in ("added", "removed", "changed", "renamed")
        if any(layer.status == status for layer in model.layers)
    )
    findings = ", ".join(
        f"{count(len(found))} {word}" for word, found in (("new", model.new), ("gone", model.fixed)) if found
    )
    return f"| {sign} | {code(_name(model))} | {' | '.join(cells)} | {layers} | {findings} |"


def _bare(finding: Finding) -> Finding:
    """Return a finding that is gone without what to do about it."""
    return replace(finding, suggestion=None, savings=None, fixable=False)


def _budget(model: DiffReport, budget: BudgetResult) -> str:
    sign = "✅" if budget.passed else SIGNS[Severity.ERROR]
    label = budget_label(budget, model.per)
    measured, limit = cell(amount(budget, budget.measured)), amount(budget, budget.limit)
    return f"| {sign} | {code(_name(model))} | {cell(label)} | {bar(budget)} | {measured} | {limit} |"


def bar(budget: BudgetResult) -> str:
    """Return how much of a budget is used: a bar of ten cells and the share; "" if that is unknown."""
    if budget.measured is None or not budget.limit:
        return ""
    used = budget.measured / budget.limit
    filled = min(CELLS, round(used * CELLS))
    return f"`{'█' * filled}{'░' * (CELLS - filled)}` {used:.0%}"


def _findings(head: str, found: Sequence[tuple[DiffReport, Finding]]) -> Iterator[str]:
    if not found:
        return
    yield from (f"### {head}", "", "| | Model | Rule | Layer | Finding |", "|---|---|---|---|---|")
    for model, finding in found[:MOST]:
        yield finding_row(finding, ModelReport(path=model.after or model.before, format=None))
    yield from _more(len(found))

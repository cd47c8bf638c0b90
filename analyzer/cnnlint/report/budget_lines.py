"""Budgets, one a line: measured, limit, and what is left or over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint.report.quantities import UNKNOWN, brief, count, share, size
from cnnlint.report.view import View
from cnnlint.results import BudgetResult

NAMES = {
    "params": "parameters",
    "macs": "MACs",
    "weight_bytes": "weights",
    "file_bytes": "file",
    "peak_activation_bytes": "peak activations",
    "layers": "layers",
    "layer_share": "largest layer's share",
}


def budget_lines(budgets: Sequence[BudgetResult], view: View) -> Iterator[str]:
    """Yield a heading and a line for each of `budgets`, in columns."""
    rows = [_row(budget) for budget in budgets]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    yield view.paint("budgets", "strong")
    for budget, (name, measured, limit, left) in zip(budgets, rows, strict=True):
        verdict = (
            view.paint("  ok  ", "good")
            if budget.passed
            else view.paint("  over" if _over(budget) else "  ??  ", "error")
        )
        line = f"{verdict} {name:<{widths[0]}}  {measured:>{widths[1]}} of {limit:>{widths[2]}}  {left}".rstrip()
        yield line
        if budget.message and not budget.passed:
            yield f"         {view.paint(budget.message, 'faint')}"


def _over(budget: BudgetResult) -> bool:
    return budget.measured is not None


def _row(budget: BudgetResult) -> tuple[str, str, str, str]:
    name = NAMES.get(budget.quantity, budget.quantity)
    if budget.measured is None or budget.margin is None:
        return name, UNKNOWN, _amount(budget.quantity, budget.limit), budget.reason
    left = _amount(budget.quantity, abs(budget.margin))
    relative = f" ({abs(budget.margin) / budget.limit:.1%})".replace("%", " %") if budget.limit else ""
    margin = f"{left} {'left' if budget.margin >= 0 else 'over'}{relative}"
    return name, _amount(budget.quantity, budget.measured), _amount(budget.quantity, budget.limit), margin


def _amount(quantity: str, number: float) -> str:
    if quantity.endswith("bytes"):
        return size(number)
    if quantity == "layer_share":
        return share(number)
    return brief(number) if quantity == "macs" else count(int(number))

"""Budgets, one a line: measured, limit, and what is left or over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from cnnlint.graph.quantity import UNKNOWN, count, ratio, share
from cnnlint.report.view import View
from cnnlint.results import BudgetResult

NAMES = {
    "params": "parameters",
    "macs": "MACs per sample",
    "weight_bytes": "weight bytes",
    "file_bytes": "file bytes",
    "peak_activation_bytes": "peak activation bytes",
    "layers": "layers",
    "layer_share": "share of one layer",
}


def budget_lines(budgets: Sequence[BudgetResult], view: View) -> Iterator[str]:
    """Yield a heading and a line for each of `budgets`, in columns, every number in full."""
    rows = [_row(budget) for budget in budgets]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    yield view.paint("budgets", "strong")
    for budget, (name, measured, limit, left) in zip(budgets, rows, strict=True):
        verdict = "kept" if budget.passed else "OVER" if budget.measured is not None else "FAIL"
        painted = view.paint(verdict, "good" if budget.passed else "error")
        line = f"{name:<{widths[0]}}  {measured:>{widths[1]}} of {limit:>{widths[2]}}"
        if budget.measured is None and len(line) + len(left) + 10 > view.width:
            yield f"  {painted}  {line}"
            yield from (f"        {part}" for part in wrap(left, view.width - 8))
        else:
            yield f"  {painted}  {line}  {left}".rstrip()
        if budget.message and not budget.passed:
            yield from (f"        {part}" for part in wrap(budget.message, view.width - 8))


def _row(budget: BudgetResult) -> tuple[str, str, str, str]:
    name = NAMES.get(budget.quantity, budget.quantity)
    limit = amount(budget.quantity, budget.limit)
    if budget.measured is None or budget.margin is None:
        return name, UNKNOWN, limit, budget.reason
    side = "left" if budget.margin >= 0 else "over"
    left = f"{amount(budget.quantity, abs(budget.margin))} {side}"
    if budget.quantity != "layer_share" and budget.limit:
        left += f" ({_relative(budget.measured, budget.limit)})"
    return name, amount(budget.quantity, budget.measured), limit, left


def _relative(measured: float, limit: float) -> str:
    if measured > 2 * limit:
        return f"{count(round(ratio(measured, limit), 1))} × the limit"
    return share(ratio(abs(limit - measured), limit))


def amount(quantity: str, number: float) -> str:
    """Return an amount of what a budget limits: "1,234", or "43.5%" of a share."""
    return share(number) if quantity == "layer_share" else count(number)

"""BG001: more parameters, MACs, bytes or layers than the budget allows."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    QUANTITIES,
    Advice,
    Bad,
    BudgetResult,
    BudgetRule,
    Confidence,
    Context,
    Diagnostic,
    Good,
    NearMiss,
    Severity,
    closing_options,
    format_amount,
    measure,
    top_contributors,
)


class OverBudget(BudgetRule, code="BG001", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The network costs more than the budget that was set for it.

    ## Why
    A network that has to fit a device, a download or a latency outgrows it one commit at a time. A budget says
    where the line is, so that crossing it is a decision and not a surprise in production. What cannot be measured
    is over budget, with the reason: a gate that passes when the measurement failed is worse than none.

    ## Instead
    The layers that cost most are named with what they cost: begin with the first. Or raise the limit, in a commit
    that says why. Budgets are set in the configuration (`[[tool.cnnlint.budgets]]`, with `models` for the models
    that they are for, and the keys below) or on the command line (`--max-params 5M`).

    ## When not
    Without a budget the rule says nothing. What a model says about itself in its metadata does not apply here.

    ## References
    - size-limit and Lighthouse CI, which do this for web pages.
    - Sandler et al., "MobileNetV2", CVPR 2018, which reports parameters and MACs as the costs of a network.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield every limit that is broken, by how much, and the three layers that cost most."""
        for result in measure(context, self.limits()):
            if result.passed:
                yield self.skip(reason=f"{_counted(result, context)}, of at most {_amount(result.limit, result)}")
            else:
                yield self._broken(result, context)

    def _broken(self, result: BudgetResult, context: Context) -> Diagnostic:
        quantity = QUANTITIES[result.quantity]
        name = result.quantity
        evidence: dict[str, int | float] = {f"{name}_limit": result.limit}
        because = f" ({result.message})" if result.message else ""
        limit = _amount(result.limit, result)
        if result.measured is None or result.margin is None:
            what = quantity.labeled(context.per)
            message = f"The budget of {limit} for {what} cannot be checked because {result.reason}{because}."
            options = closing_options(context.graph)
            advice = Advice(text=f"Say how large the input is: {options}") if options else None
            return self.finding(message=message, evidence=evidence, subject=name, advice=advice)
        top = top_contributors(context, name)
        evidence |= {name: result.measured, f"{name}_margin": result.margin}
        evidence |= {f"{name} of {layer}": cost for layer, cost in top}
        named = ", ".join(f"{layer} {_amount(cost, result)}" for layer, cost in top)
        over = f"{-100 * result.margin:.1f} points" if quantity.unit == "share" else _amount(-result.margin, result)
        message = (
            f"The network has {_counted(result, context)}, {over} over the budget of {limit}{because}"
            f"{'; most in ' + named if named else ''}."
        )
        return self.finding(message=message, evidence=evidence, subject=name)

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10",
            at=(),
            budgets=({"params": 600, "message": "fits the sensor"},),
        ),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10", at=(), budgets=({"macs": "0.1 M"},)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10", budgets=({"params": 618, "layer-share": "80 %"},)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10"),
    )


def _amount(amount: float | None, result: BudgetResult) -> str:
    return "unknown" if amount is None else format_amount(amount, QUANTITIES[result.quantity].unit)


def _counted(result: BudgetResult, context: Context) -> str:
    return f"{_amount(result.measured, result)} {QUANTITIES[result.quantity].counted(context.per)}"

"""Budgets of growth: by how much a model may be dearer than another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from msgspec import Struct

from cnnlint.comparison.diff_records import GrowthResult, Measure
from cnnlint.engine.budget import QUANTITIES
from cnnlint.errors import ConfigError, closest
from cnnlint.graph.quantity import parse_amount, ratio

GROWING = tuple(name for name, quantity in QUANTITIES.items() if quantity.unit != "share")
"""Quantities that have a growth, in the order in which reports show them."""

PER_CENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


class GrowthLimit(Struct, frozen=True):
    """The most that a quantity may grow by.

    Attributes:
        quantity: One of GROWING.
        written: The amount as the user wrote it.
        share: Relative to the first model; None for an absolute amount.
        amount: In the quantity's own unit, where `share` is None.
    """

    quantity: str
    written: str
    share: Fraction | None
    amount: int | float = 0


def growth_limit(written: str) -> GrowthLimit:
    """Return the limit that "params=2%" or "file-bytes=100kB" stands for.

    Raises:
        ConfigError: There is no such quantity, or the amount cannot be read.
    """
    name, separator, amount = written.partition("=")
    quantity, amount = name.strip().replace("-", "_"), amount.strip()
    names = [known.replace("_", "-") for known in GROWING]
    if not separator or not amount:
        raise ConfigError(f"{written!r} is no limit of growth", remedy="write QUANTITY=AMOUNT, as in params=2%")
    if quantity not in GROWING:
        meant = closest(name, names)
        hint = f"did you mean {meant}?" if meant else f"one of {', '.join(names)}"
        raise ConfigError(f"there is no quantity {name!r} that grows", remedy=hint)
    if matched := PER_CENT.fullmatch(amount):
        return GrowthLimit(quantity, amount, Fraction(matched[1]) / 100)
    if re.fullmatch(r"0?\.\d*[1-9]\d*", amount):
        raise ConfigError(f"{amount} of one is not an amount", remedy=f"write a share with its sign: {name}=2%")
    return GrowthLimit(quantity, amount, None, parse_amount(amount, QUANTITIES[quantity].unit))


def hold(limits: Iterable[GrowthLimit], measures: Iterable[Measure]) -> Iterator[GrowthResult]:
    """Yield whether each of `limits` holds; what is unknown fails, with the reason."""
    known = {measure.quantity: measure for measure in measures}
    for limit in limits:
        measure = known[limit.quantity]
        before, after = measure.before, measure.after
        if before is None or after is None:
            yield GrowthResult(
                quantity=limit.quantity,
                limit=limit.written,
                growth=None,
                share=None,
                passed=False,
                reason=measure.reason,
            )
            continue
        growth = after - before
        most = limit.amount if limit.share is None else limit.share * Fraction(before)
        yield GrowthResult(
            quantity=limit.quantity,
            limit=limit.written,
            growth=growth,
            share=ratio(growth, before) if before else None,
            passed=growth <= most,
        )

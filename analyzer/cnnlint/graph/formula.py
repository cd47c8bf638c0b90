"""Arithmetic that can be both evaluated and shown, so a count and its explanation cannot disagree."""

from __future__ import annotations

from math import prod

from msgspec import Struct

from cnnlint.graph.quantity import count, extent


class Formula(Struct, frozen=True):
    """A sum of products of integers, such as `(16 × 2 × 2 × 3) + 16 = 208`.

    Attributes:
        terms: The factors of each product.
        words: The names of the factors, in the same order: "filters × kernel height × ...".
    """

    terms: tuple[tuple[int, ...], ...]
    words: str = ""

    def times(self, entries: int, words: str) -> Formula:
        """Return the formula multiplied by `entries`; unchanged for 1."""
        if entries == 1:
            return self
        return Formula(tuple((entries, *factors) for factors in self.terms), f"{words} × ({self.words})")

    def shared_by(self, number: int) -> Formula | None:
        """Return the formula divided by `number`, one factor in each term; None if a term has no divisible factor."""
        terms = list[tuple[int, ...]]()
        for factors in self.terms:
            place = next((at for at, factor in enumerate(factors) if factor and factor % number == 0), None)
            if place is None:
                return None
            terms.append((*factors[:place], factors[place] // number, *factors[place + 1 :]))
        return Formula(tuple(terms), self.words)

    @property
    def value(self) -> int:
        """The value of the formula."""
        return sum(prod(factors) for factors in self.terms)

    @property
    def expression(self) -> str:
        """The left-hand side."""
        products = [" × ".join(extent(factor) for factor in factors) for factors in self.terms]
        if len(products) == 1:
            return products[0]
        return " + ".join(
            f"({text})" if len(factors) > 1 else text for text, factors in zip(products, self.terms, strict=True)
        )

    def __str__(self) -> str:
        return f"{self.expression} = {count(self.value)}" if self.terms else "0"

"""Shapes, names and numbered nouns as reports print them; `cnnlint.graph.quantity` writes the numbers."""

from __future__ import annotations

from cnnlint.graph.quantity import count, extent
from cnnlint.graph.tensor import Shape


def extents(shape: Shape | None) -> str:
    """Return a shape such as "64×112×112"; unknown extents are "?", a single number has none."""
    if shape is None:
        return "?"
    return "×".join("?" if dim is None else extent(dim) if isinstance(dim, int) else dim for dim in shape)


def shortened(name: str, most: int) -> str:
    """Return `name` in at most `most` columns; a scope loses its middle, for its ends tell it from others."""
    if len(name) <= most:
        return name
    head = (most - 1) // 3
    return f"{name[:head]}…{name[head + 1 - most :]}"


def several(number: int, noun: str) -> str:
    """Return "1 error" or "3 errors"."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"

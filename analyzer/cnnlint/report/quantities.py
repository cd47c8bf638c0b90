"""Numbers as people read them: counts, bytes, shares, shapes."""

from __future__ import annotations

from cnnlint.graph.tensor import Shape

UNKNOWN = "unknown"


def count(number: int | None) -> str:
    """Return `number` with its thousands set apart: "138,357,544"."""
    return UNKNOWN if number is None else f"{number:,}"


def brief(number: float | None) -> str:
    """Return `number` to three digits with a unit: "15.5 G"."""
    return UNKNOWN if number is None else _scaled(number, ("", " k", " M", " G", " T", " P"))


def size(nbytes: float | None) -> str:
    """Return bytes to three digits with a decimal unit: "553 MB"."""
    return UNKNOWN if nbytes is None else _scaled(nbytes, (" B", " kB", " MB", " GB", " TB", " PB"))


def share(fraction: float) -> str:
    """Return a fraction as per cent: "73.9%"."""
    return f"{fraction:.1%}"


def extents(shape: Shape | None) -> str:
    """Return a shape such as "64×112×112"; unknown extents are "?", a single number has none."""
    if shape is None:
        return "?"
    return "×".join("?" if dim is None else str(dim) for dim in shape)


def shortened(name: str, most: int) -> str:
    """Return `name` in at most `most` columns; a scope loses its middle, for its ends tell it from others."""
    if len(name) <= most:
        return name
    head = (most - 1) // 3
    return f"{name[:head]}…{name[head + 1 - most :]}"


def several(number: int, noun: str) -> str:
    """Return "1 error" or "3 errors"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _scaled(number: float, units: tuple[str, ...]) -> str:
    sign, number = ("−", -number) if number < 0 else ("", number)
    scale = 0
    while scale < len(units) - 1 and float(f"{number:.3g}") >= 1000:
        number, scale = number / 1000, scale + 1
    if scale == 0:
        digits = f"{number:,.0f}"
    else:
        digits = f"{number:.0f}" if number >= 99.95 else f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"
    return f"{sign}{digits}{units[scale]}"

"""How a report is laid out: its width and colors; names, shapes and nouns as it prints them; columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.graph.quantity import count, extent
from cnnlint.graph.tensor import Shape

if TYPE_CHECKING:
    from cnnlint.engine.drawing import Drawing

Style = Literal["error", "warning", "info", "good", "accent", "strong", "faint"]

_SEQUENCES: dict[Style, str] = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "good": "32",
    "accent": "36",
    "strong": "1",
    "faint": "2",
}


class View(Struct, frozen=True, kw_only=True):
    """What a report is rendered for.

    Attributes:
        color: Whether to write ANSI escape sequences.
        width: Columns that a line of prose may take.
        columns: Columns that a line of a table or a plot may take; None for as many.
        verbose: Show every finding, where many of one rule are otherwise summed up.
        quiet: Show findings and budgets that fail, and nothing else.
        terminal: Whether a person looks at it as it comes.
        unicode: Whether blocks and lines can be drawn; else they are drawn in ASCII.
        drawings: What is drawn of the models, by path, in formats that draw.
        exit_code: What the run comes to, findings that are not shown included; None if that is all that is known.
        known: Where findings that are left out as known are.
    """

    color: bool = False
    width: int = 100
    columns: int | None = None
    verbose: bool = False
    quiet: bool = False
    terminal: bool = False
    unicode: bool = True
    drawings: Mapping[str, Drawing] = {}
    exit_code: int | None = None
    known: str = "in the baseline"

    @property
    def across(self) -> int:
        """The columns that a table may take."""
        return self.width if self.columns is None else self.columns

    def plain(self) -> View:
        """Return the view without color."""
        return replace(self, color=False)

    def paint(self, text: str, style: Style) -> str:
        """Return `text` in a style, or as it is without color."""
        return f"\x1b[{_SEQUENCES[style]}m{text}\x1b[0m" if self.color and text else text


def extents(shape: Shape | None) -> str:
    """Return a shape such as "64×112×112"; unknown extents are "?", a single number has none."""
    if shape is None:
        return "?"
    return "×".join("?" if dim is None else extent(dim) if isinstance(dim, int) else dim for dim in shape)


def field(receptive_field: tuple[int, ...] | None) -> str:
    """Return a receptive field as the table shows it: "11", or "11×7" where its axes differ."""
    if receptive_field is None:
        return "-"
    return extent(receptive_field[0]) if len(set(receptive_field)) == 1 else extents(receptive_field)


def axes(rank: int) -> tuple[str, ...]:
    """Return the names of so many spatial axes."""
    return {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}.get(
        rank, tuple(f"axis {axis}" for axis in range(rank))
    )


def shortened(name: str, most: int) -> str:
    """Return `name` in at most `most` columns; a scope loses its middle, since its ends tell it from others."""
    if len(name) <= most:
        return name
    head = (most - 1) // 3
    return f"{name[:head]}…{name[head + 1 - most :]}"


def several(number: int, noun: str) -> str:
    """Return "1 error" or "3 errors"."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


GAP = 2
NARROWEST = 12


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int], width: int, shrink: int) -> Iterator[str]:
    """Yield a line for each of `rows`, their cells below one another.

    Args:
        rows: Cells; every row has as many.
        right: Columns that are set to the right.
        width: Of the lines, if that can be had by shortening the column `shrink`; the last column may be wider.
        shrink: The column of names.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    others = sum(widths[:-1]) - widths[shrink] + GAP * (len(widths) - 1) + min(widths[-1], 10)
    widths[shrink] = min(widths[shrink], max(NARROWEST, width - others))
    for row in rows:
        cells = [shortened(cell, widths[shrink]) if index == shrink else cell for index, cell in enumerate(row)]
        padded = [
            cell.rjust(widths[index]) if index in right else cell.ljust(widths[index])
            for index, cell in enumerate(cells)
        ]
        yield (" " * GAP).join(padded).rstrip()

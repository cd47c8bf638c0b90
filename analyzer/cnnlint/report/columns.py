"""Plain text in columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from cnnlint.report.quantities import shortened

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

"""Tables of layers in the terminal: names in full, then columns that make way for them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from rich.cells import cell_len

from cnnlint.graph.quantity import brief, count, ratio, size
from cnnlint.report.view import View, extents, field, shortened
from cnnlint.results import LayerSummary, ModelSummary

BAR = 6
"""Columns of a share bar."""
EIGHTHS = " ▏▎▍▌▋▊▉█"
BARS_FROM = 90
"""Columns of a terminal that has room for bars."""
NARROWEST_NAME = 16
GAP = 2
"""Columns between two columns of the table."""
FEWEST = 4
"""Columns that make way for no name."""
FAINT = "2"


class LayerColumn(Struct, frozen=True):
    """A column after the name.

    Attributes:
        title: Its heading; "" for bars.
        cells: What it says of each kind of row.
        width: Of its widest cell.
        is_number: Whether it is set to the right.
        style: ANSI style of its cells.
        is_bar: Whether it only draws what another column says.
    """

    title: str
    cells: Mapping[Hashable, str]
    width: int
    is_number: bool
    style: str = ""
    is_bar: bool = False


def column(
    title: str, cells: Mapping[Hashable, str], *, style: str = "", is_number: bool = True, is_bar: bool = False
) -> LayerColumn:
    """Return a column that is as wide as it has to be."""
    width = max([len(title), *map(cell_len, cells.values())])
    return LayerColumn(title, cells, width, is_number, style, is_bar)


class Row(Struct, frozen=True):
    """A row of a table.

    Attributes:
        name: Of the layer.
        key: Of its cells in the columns; rows of which the same is to be said share it.
        is_faint: Whether it only goes with another row.
    """

    name: str
    key: Hashable
    is_faint: bool = False


def layer_table(model: ModelSummary, view: View) -> Iterator[str]:
    """Yield the lines of the table of a summary."""
    rows = [
        Row(f"  {layer.name}" if layer.merged_into else layer.name, _said(layer), layer.merged_into is not None)
        for layer in model.layers
    ]
    of_each = dict(zip((row.key for row in rows), model.layers, strict=True))
    return table(rows, _columns(of_each, model), view)


def table(rows: Sequence[Row], columns: Sequence[LayerColumn], view: View) -> Iterator[str]:
    """Yield the lines of a table.

    A name that is cut cannot be looked up, so on a narrow terminal columns make way for names: the bars, then the last
    columns, until nine names in ten stand in full; a longer one has a line of its own above its numbers. The lines are
    written here and not by rich, which takes half a millisecond for a row: twenty seconds for 38,000 layers. What
    stands after the name is written once for all layers of which the same is to be said.

    Args:
        rows: One for each layer.
        columns: After the name, those first that are left out last.
        view: How it is laid out.
    """
    lengths = [len(row.name) if row.name.isascii() else cell_len(row.name) for row in rows]
    if view.across < BARS_FROM or not view.unicode or not _fits(columns, lengths, view.across):
        columns = [column for column in columns if not column.is_bar]
    while len(columns) > FEWEST and not _fits(columns, lengths, view.across):
        columns = columns[:-1]
    while (room := view.across - sum(column.width + GAP for column in columns)) < NARROWEST_NAME and len(columns) > 3:
        columns = columns[:-1]
    room = max(len("layer"), room)
    tails = {
        (row.key, row.is_faint): _line(
            [column.cells.get(row.key, "") for column in columns], columns, view, FAINT if row.is_faint else None
        )
        for row in rows
    }
    widest = max([len("layer"), *(length for length in lengths if length <= room)])
    head = _line([column.title for column in columns], columns, view, "1")
    yield f"{_styled('layer', '1', view)}{' ' * (widest - 5)}{head}"
    for row, length in zip(rows, lengths, strict=True):
        tail = tails[row.key, row.is_faint]
        name = shortened(row.name, view.across) if length > view.across else row.name
        shown = _styled(name, FAINT, view) if row.is_faint else name
        if length <= room:
            yield f"{shown}{' ' * (widest - length)}{tail}" if tail.strip() else f"{shown}\n"
        else:
            yield f"{shown}\n"
            if tail.strip():
                yield f"{' ' * widest}{tail}"


def _fits(columns: Sequence[LayerColumn], lengths: Sequence[int], width: int) -> bool:
    """Return whether nine names in ten have room ahead of the columns."""
    room = width - sum(column.width + GAP for column in columns)
    return room >= NARROWEST_NAME and 10 * sum(length > room for length in lengths) <= len(lengths)


def _line(cells: Iterable[str], columns: Sequence[LayerColumn], view: View, style: str | None) -> str:
    """Return a line without the name, each cell filled up to its width.

    Args:
        cells: One for each column.
        columns: What they stand in.
        view: Whether in color.
        style: ANSI style of all cells; None for those of their columns.
    """
    line = ""
    for cell, column in zip(cells, columns, strict=True):
        room = " " * (column.width - cell_len(cell))
        shown = _styled(cell, column.style if style is None else style, view)
        line += " " * GAP + (room + shown if column.is_number else shown + room)
    return line.rstrip() + "\n"


def _styled(text: str, style: str, view: View) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if view.color and style and text else text


def _said(layer: LayerSummary) -> Hashable:
    """Return what a line says of `layer` besides its name."""
    shared = layer.shared_with is not None
    return (
        layer.kind,
        layer.output_shape,
        layer.parameters,
        shared,
        layer.macs,
        layer.activation_bytes,
        layer.receptive_field,
        layer.merged_into is None,
    )


def _columns(rows: Mapping[Hashable, LayerSummary], model: ModelSummary) -> list[LayerColumn]:
    def said(of: Callable[[LayerSummary], str]) -> dict[Hashable, str]:
        return {key: of(layer) for key, layer in rows.items()}

    return [
        column("kind", said(lambda layer: layer.kind), is_number=False),
        column("output", said(lambda layer: extents(layer.output_shape)), is_number=False),
        column("parameters", said(_held)),
        column(
            "",
            said(lambda layer: "" if layer.shared_with else bar(layer.parameters, model.parameters)),
            style="36",
            is_number=False,
            is_bar=True,
        ),
        column("MACs", said(lambda layer: "-" if layer.macs == 0 else number(layer.macs, brief))),
        column("", said(lambda layer: bar(layer.macs, model.macs)), style="35", is_number=False, is_bar=True),
        column("memory", said(lambda layer: number(layer.activation_bytes, size))),
        column("field", said(lambda layer: field(layer.receptive_field))),
    ]


def _held(layer: LayerSummary) -> str:
    held = "-" if layer.parameters == 0 else number(layer.parameters, count)
    return f"({held})" if layer.shared_with is not None else held


def number(value: int | None, form: Callable[[float | None], str]) -> str:
    """Return a number of a table, "?" if it is unknown."""
    return "?" if value is None else form(value)


def bar(part: float | None, whole: float | None, width: int = BAR) -> str:
    """Return a bar of at most `width` columns, drawn in eighths of one; "" for nothing."""
    if not part or not whole:
        return ""
    eighths = max(1, round(8 * width * min(1.0, ratio(part, whole))))
    full, rest = divmod(eighths, 8)
    return "█" * full + (EIGHTHS[rest] if rest else "")

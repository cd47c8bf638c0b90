"""The summary of a model as a table, with the formulas of its numbers on request."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from io import StringIO

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cnnlint.graph.quantity import UNKNOWN, brief, count, ratio, share, size
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import View, axes, extents, field, shortened
from cnnlint.results import LayerSummary, ModelSummary, SummaryReport, SupportedBy

BAR = 6
"""Columns of a share bar."""
EIGHTHS = " ▏▎▍▌▋▊▉█"
BARS_FROM = 90
"""Columns of a terminal that has room for bars."""
NARROWEST_NAME = 16
GAP = 2
"""Columns between two columns of the table."""
FEWEST = 4
"""Columns that make way for no name: kind, output, parameters and MACs."""


def render(report: SummaryReport, view: View, *, explain: bool = False) -> str:
    """Return the table, the totals and the pattern of each model; with `explain` its formulas too."""
    report = printable_report(report)
    console = Console(
        file=StringIO(), width=view.width, force_terminal=view.color, no_color=not view.color, highlight=False,
        legacy_windows=False, color_system="standard" if view.color else None, emoji=False, markup=False,
    )  # fmt: skip
    parts = list[str]()
    for model in report.models:
        if model.error is None:
            below = _below(model, explain=explain)
            parts += [_printed(console, _title(model), view), *layer_table(model, view), _printed(console, below, view)]
    return without_commands("".join(parts))


def _printed(console: Console, what: RenderableType, view: View) -> str:
    with console.capture() as capture:
        console.print(what)
    return capture.get() if view.color else "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _title(model: ModelSummary) -> Text:
    return Text.assemble((model.path, "bold"), (f" ({model.format})" if model.format else "", "dim"))


def _below(model: ModelSummary, *, explain: bool) -> RenderableType:
    parts: list[RenderableType] = [_totals(model)]
    if explain:
        parts += [Text(), Text("formulas", style="bold"), *_formulas(model)]
    return Group(*parts, Text())


def layer_table(model: ModelSummary, view: View) -> Iterator[str]:
    """Yield the lines of the table.

    A name that is cut cannot be looked up, so on a narrow terminal columns make way for names: the bars, then the last
    columns, until nine names in ten stand in full; a longer one has a line of its own above its numbers. The lines are
    written here and not by rich, which takes half a millisecond for a row: twenty seconds for 38,000 layers. What
    stands after the name is written once for all layers of which the same is to be said.
    """
    same = [(_said(layer), layer.merged_into is not None) for layer in model.layers]
    of_each = dict(zip(same, model.layers, strict=True))
    names = [f"  {layer.name}" if layer.merged_into else layer.name for layer in model.layers]
    lengths = [len(name) if name.isascii() else cell_len(name) for name in names]
    bars = view.width >= BARS_FROM
    columns = _columns(of_each, model, bars=bars)
    if bars and not _fits(columns, lengths, view.width):
        columns = _columns(of_each, model, bars=False)
    while len(columns) > FEWEST and not _fits(columns, lengths, view.width):
        columns = columns[:-1]
    while (room := view.width - sum(column.width + GAP for column in columns)) < NARROWEST_NAME and len(columns) > 3:
        columns = columns[:-1]
    room = max(len("layer"), room)
    titles = [column.title for column in columns]
    widths = [column.width for column in columns]
    left = [not column.is_number for column in columns]
    styles = [column.style for column in columns]
    tails = {
        key: _line(
            [column.cells[key] for column in columns], widths, left, ["2"] * len(widths) if key[1] else styles, view
        )
        for key in of_each
    }
    widest = max([len("layer"), *(length for length in lengths if length <= room)])
    bold = ["1"] * len(titles)
    yield f"{_styled('layer', '1', view)}{' ' * (widest - 5)}{_line(titles, widths, left, bold, view)}"
    for name, length, key in zip(names, lengths, same, strict=True):
        if length > room:
            cut = shortened(name, view.width) if length > view.width else name
            yield f"{_styled(cut, '2', view) if key[1] else cut}\n{' ' * widest}{tails[key]}"
        else:
            shown = _styled(name, "2", view) if key[1] else name
            yield f"{shown}{' ' * (widest - length)}{tails[key]}"


class Column(Struct, frozen=True):
    """A column after the name.

    Attributes:
        title: Its heading; "" for bars.
        cells: What it says of each row.
        width: Of its widest cell.
        is_number: Whether it is set to the right.
        style: ANSI style of its cells.
    """

    title: str
    cells: dict[tuple[Hashable, bool], str]
    width: int
    is_number: bool
    style: str = ""


def _columns(rows: dict[tuple[Hashable, bool], LayerSummary], model: ModelSummary, *, bars: bool) -> list[Column]:
    """Return the columns, those first that are left out last."""
    titles = ["kind", "output", "parameters", "", "MACs", "", "memory", "field"]
    styles = ["", "", "", "36", "", "35", "", ""]
    if not bars:
        titles, styles = [title for title in titles if title], [""] * 6
    told = {key: list(_cells(layer, model, bars=bars)) for key, layer in rows.items()}
    found = list[Column]()
    for index, (title, style) in enumerate(zip(titles, styles, strict=True)):
        cells = {key: row[index] for key, row in told.items()}
        width = max([len(title), *map(len, cells.values())])
        found.append(Column(title, cells, width, title not in {"kind", "output", ""}, style))
    return found


def _fits(columns: Sequence[Column], lengths: Sequence[int], width: int) -> bool:
    """Return whether nine names in ten have room ahead of the columns."""
    room = width - sum(column.width + GAP for column in columns)
    return room >= NARROWEST_NAME and 10 * sum(length > room for length in lengths) <= len(lengths)


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
    )


def _line(cells: Iterable[str], widths: list[int], left: list[bool], styles: list[str], view: View) -> str:
    """Return a line without the name: each cell filled up to its width, in its ANSI style where colors are shown."""
    line = ""
    for cell, width, is_left, style in zip(cells, widths, left, styles, strict=False):
        room, shown = " " * (width - cell_len(cell)), _styled(cell, style, view)
        line += " " * GAP + (shown + room if is_left else room + shown)
    return line.rstrip() + "\n"


def _styled(text: str, style: str, view: View) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if view.color and style and text else text


def _cells(layer: LayerSummary, model: ModelSummary, *, bars: bool) -> Iterator[str]:
    yield layer.kind
    yield extents(layer.output_shape)
    shared = layer.shared_with is not None
    held = "-" if layer.parameters == 0 else "?" if layer.parameters is None else count(layer.parameters)
    yield f"({held})" if shared else held
    if bars:
        yield "" if shared else _bar(layer.parameters, model.parameters)
    yield "-" if layer.macs == 0 else "?" if layer.macs is None else brief(layer.macs)
    if bars:
        yield _bar(layer.macs, model.macs)
    yield "?" if layer.activation_bytes is None else size(layer.activation_bytes)
    yield field(layer.receptive_field)


def _bar(part: int | None, whole: int | None) -> str:
    if not part or not whole:
        return ""
    eighths = max(1, round(8 * BAR * min(1.0, ratio(part, whole))))
    full, rest = divmod(eighths, 8)
    return "█" * full + (EIGHTHS[rest] if rest else "")


def _totals(model: ModelSummary) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column(overflow="fold")
    for name, value in _total_rows(model):
        grid.add_row(Text(name, style="dim"), value)
    return Group(Text(), grid)


def _total_rows(model: ModelSummary) -> Iterator[tuple[str, str]]:
    parameters = count(model.parameters)
    if model.parameters is not None and model.trainable_parameters is not None:
        frozen = model.parameters - model.trainable_parameters
        parameters += f" ({count(model.trainable_parameters)} trainable, {count(frozen)} not)"
    yield "parameters", parameters
    yield f"MACs per {model.per}", _exact(model.macs, brief(model.macs))
    yield "weights", _exact(model.weight_bytes, size(model.weight_bytes), " bytes")
    yield "peak activations", _exact(model.peak_activation_bytes, size(model.peak_activation_bytes), " bytes")
    if model.file_bytes is not None:
        yield "file", _exact(model.file_bytes, size(model.file_bytes), " bytes")
    biggest = max(model.layers, key=lambda layer: layer.parameters or 0, default=None)
    if biggest is not None and biggest.parameters and model.parameters:
        yield "largest layer", f"{biggest.name}, {share(ratio(biggest.parameters, model.parameters))} of the parameters"
    yield "pattern", model.pattern or UNKNOWN
    if model.head is not None:
        yield "head", model.head
    yield from (("supported by", _support(each)) for each in model.supported_by)
    yield from (("note", note) for note in model.notes)


def _support(by: SupportedBy) -> str:
    if by.release is None:
        return f"no documented release of {by.runtime}"
    besides = f"; operators of {', '.join(by.besides)} aside" if by.besides else ""
    return f"{by.runtime} {by.release} and newer, by its documentation{besides}"


def _exact(number: int | None, human: str, unit: str = "") -> str:
    if number is None:
        return UNKNOWN
    exact = f"{count(number)}{unit}"
    return exact if number < 1000 else f"{exact} ({human})"


def _formulas(model: ModelSummary) -> Iterator[RenderableType]:
    for layer in model.layers:
        lines = list(_formula_lines(layer))
        if not lines:
            continue
        yield Text.assemble((layer.name, "bold"), (f"  {layer.kind}", "dim"))
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column()
        grid.add_column(overflow="fold")
        for name, text in lines:
            grid.add_row(Text(name, style="dim"), text)
        yield Padding(grid, (0, 0, 0, 2))


def _formula_lines(layer: LayerSummary) -> Iterator[tuple[str, str]]:
    if layer.formula:
        shared = f"  (shared with {layer.shared_with}, counted there)" if layer.shared_with else ""
        yield "parameters", layer.formula + shared
        if layer.formula_words:
            yield "", layer.formula_words
    yield from zip(axes(len(layer.output_formulas)), layer.output_formulas, strict=True)
    if layer.mac_formula:
        yield "MACs", layer.mac_formula

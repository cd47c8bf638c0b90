"""The summary of a model as a table, with the formulas of its numbers on request."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cnnlint.graph.quantity import UNKNOWN, brief, count, ratio, share, size
from cnnlint.report.latency_text import latency_rows, latency_table
from cnnlint.report.layer_table import layer_table
from cnnlint.report.plots import memory_plot, stage_plot
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import View, axes
from cnnlint.results import LayerSummary, ModelSummary, SummaryReport, SupportedBy


def render(report: SummaryReport, view: View, *, explain: bool = False, plot: bool = False) -> str:
    """Return the table, the totals and the pattern of each model, with its formulas and drawn if asked for."""
    report = printable_report(report)
    console = Console(
        file=StringIO(), width=view.width, force_terminal=view.color, no_color=not view.color, highlight=False,
        legacy_windows=False, color_system="standard" if view.color else None, emoji=False, markup=False,
    )  # fmt: skip
    parts = list[str]()
    for model in report.models:
        if model.error is None:
            below = _below(model, explain=explain)
            rows = layer_table(model, view) if model.latency is None else latency_table(model.latency, view)
            parts += [_printed(console, _title(model), view), *rows, _printed(console, below, view)]
            if plot:
                parts += [*memory_plot(model, view), *stage_plot(model, view)]
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
    if model.latency is not None:
        yield from latency_rows(model.latency)
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

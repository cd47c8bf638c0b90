"""The time that layers take, in the HTML of a summary."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from cnnlint.graph.quantity import brief, share
from cnnlint.report.latency_text import latency_rows, milliseconds, ran_as, slower, speed
from cnnlint.report.layer_table import number
from cnnlint.results import Latency, LayerLatency

HEADS = ("MACs", "ms", "Share", "GMAC/s", "Slower")


def latency_section(latency: Latency) -> Iterator[str]:
    """Yield the section: how it was measured, then a table of layers, which the script sorts."""
    yield "<section><h3>Latency on the machine that measured it</h3><ul>"
    yield from (f"<li>{escape(f'{about}: {said}' if about else said)}</li>" for about, said in latency_rows(latency))
    yield '</ul><div class="wide"><table class="sortable" data-noun="layer"><thead><tr><th>Layer</th><th>Runs as</th>'
    yield "".join(f'<th class="number">{head}</th>' for head in HEADS)
    yield "</tr></thead><tbody>"
    yield from map(_row, latency.layers)
    yield "</tbody></table></div></section>"


def _row(layer: LayerLatency) -> str:
    with_it = [name for name in layer.layers if name != layer.layer]
    fused = f'<br><span class="count">with {escape(", ".join(with_it))}</span>' if with_it else ""
    cells = (
        (layer.macs, "-" if layer.macs == 0 else number(layer.macs, brief), ""),
        (layer.milliseconds, milliseconds(layer.milliseconds), ""),
        (layer.share, share(layer.share), ""),
        (layer.gmacs_per_second, speed(layer.gmacs_per_second), ""),
        (layer.slowdown, slower(layer) if layer.slow else "", " warning"),
    )
    numbers = "".join(
        f'<td class="number{color}" data-value="{-1 if value is None else value}">{text}</td>'
        for value, text, color in cells
    )
    name = escape(layer.layer) if layer.layer is not None else "no layer"
    return f'<tr><td class="name">{name}{fused}</td><td>{escape(ran_as(layer))}</td>{numbers}</tr>'

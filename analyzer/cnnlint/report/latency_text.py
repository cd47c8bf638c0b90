"""What a summary says of the time that layers take: the table, and the lines below it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from cnnlint.graph.quantity import brief, count, share
from cnnlint.report.layer_table import LayerColumn, Row, bar, column, number, table
from cnnlint.report.view import View, several
from cnnlint.results import Latency, LayerLatency

RESTLESS = 1.5
"""Times that a median is longer than the fastest run from which on the machine is said to have done other work."""

LISTED = 5
"""Slow layers that are listed."""


def latency_table(latency: Latency, view: View) -> Iterator[str]:
    """Return the lines of the table: a row for each layer, below it those that run as one with it."""
    rows = list[Row]()
    told = dict[Hashable, LayerLatency]()
    for index, layer in enumerate(latency.layers):
        rows.append(Row(layer.layer or f"({ran_as(layer)}: no layer)", index))
        told[index] = layer
        rows += [Row(f"  {name}", None, is_faint=True) for name in layer.layers if name != layer.layer]
    return table(rows, _columns(told, "◀" if view.unicode else "<"), view)


def _columns(told: dict[Hashable, LayerLatency], mark: str) -> list[LayerColumn]:
    largest = max((layer.share for layer in told.values()), default=0.0)

    def said(of: Callable[[LayerLatency], str]) -> dict[Hashable, str]:
        return {key: of(layer) for key, layer in told.items()}

    columns = [
        column("MACs", said(lambda layer: "-" if layer.macs == 0 else number(layer.macs, brief))),
        column("ms", said(lambda layer: milliseconds(layer.milliseconds))),
        column("GMAC/s", said(lambda layer: speed(layer.gmacs_per_second))),
        column("slower", said(lambda layer: f"{mark} {slower(layer)}" if layer.slow else ""), style="1;33"),
        column("runs as", said(ran_as), is_number=False),
        column("share", said(lambda layer: share(layer.share))),
        column("", said(lambda layer: bar(layer.share, largest)), style="35", is_number=False, is_bar=True),
    ]
    return [each for each in columns if each.title != "slower" or any(each.cells.values())]


def ran_as(layer: LayerLatency) -> str:
    """Return what onnxruntime runs for a layer: "Conv + Relu", "Mul, Add (3 nodes)"."""
    more = f" ({count(layer.nodes)} nodes)" if layer.nodes > len(layer.ran_as) else ""
    return ", ".join(layer.ran_as) + more


def latency_rows(latency: Latency) -> Iterator[tuple[str, str]]:
    """Yield the lines below the table: what each is about, and what it says."""
    fastest, slowest = milliseconds(latency.fastest), milliseconds(latency.slowest)
    median_of = f"the median of {count(latency.runs)} runs that took {fastest} to {slowest} ms"
    yield "time of a run", f"{milliseconds(latency.milliseconds)} ms, {median_of}"
    if latency.milliseconds > RESTLESS * latency.fastest:
        yield "", "these differ so much that the machine seems to have had other work: measure again"
    yield "on this machine", machine(latency)
    yield "of input", latency.conditions
    profiled, nodes = milliseconds(latency.profiled_milliseconds), milliseconds(latency.nodes_milliseconds)
    yield "by the profiler", f"{profiled} ms, since it takes time itself; {nodes} ms of that in nodes"
    idle = sum(layer.share for layer in latency.layers if layer.macs == 0)
    yield "without MACs", f"{share(idle)} of the time of nodes"
    if latency.median_gmacs_per_second is not None:
        yield "median speed", f"{speed(latency.median_gmacs_per_second)} GMAC/s of the layers with MACs"
    slow = sorted((layer for layer in latency.layers if layer.slow), key=lambda layer: -layer.milliseconds)
    for index, layer in enumerate(slow[:LISTED]):
        said = f"{layer.layer}: {slower(layer)} slower than that, {share(layer.share)} of the time of nodes"
        yield "" if index else "slow", said
    if len(slow) > LISTED:
        yield "", f"and {count(len(slow) - LISTED)} more"
    if latency.absent:
        more = f", and {count(len(latency.absent) - LISTED)} more" if len(latency.absent) > LISTED else ""
        yield "not run", f"{', '.join(latency.absent[:LISTED])}{more}: optimized away"


def machine(latency: Latency) -> str:
    """Return what the times were measured with."""
    threads = several(latency.threads, "thread")
    return f"{latency.processor}, {threads}, {latency.runtime} {latency.version}, all optimizations"


def milliseconds(number: float) -> str:
    """Format milliseconds: "0.043", "12.34", "1,234"."""
    return f"{number:.3f}" if number < 10 else f"{number:.2f}" if number < 100 else f"{number:,.0f}"


def speed(gmacs_per_second: float | None) -> str:
    """Format billions of MACs in a second; "-" for a layer without."""
    if gmacs_per_second is None:
        return "-"
    return f"{gmacs_per_second:.2f}" if gmacs_per_second < 10 else f"{gmacs_per_second:.1f}"


def slower(layer: LayerLatency) -> str:
    """Format how many times slower than the median a layer is: "4.2×"."""
    times = layer.slowdown or 0.0
    return f"{times:.1f}×" if times < 100 else f"{times:,.0f}×"

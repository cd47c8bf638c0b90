"""A network as reports draw it: its layers and what feeds each, and the stretches of layers that repeat."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby, islice
from operator import eq
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.analysis.context import Context
from cnnlint.engine.summary import summarize
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Tensor
from cnnlint.results import Frame, LayerSummary, ModelSummary

if TYPE_CHECKING:
    from cnnlint.definitions.lines import Lines

SHORTEST = 3
"""Layers of a stretch whose repeats are worth folding."""

LONGEST = 256
"""Layers of a stretch that is looked for; the search takes so many comparisons for each layer."""


FAMILIES = {
    "Input": "input",
    **dict.fromkeys(("Conv", "ConvTranspose"), "conv"),
    **dict.fromkeys(("Dense", "MatMul", "Einsum", "Recurrent", "Attention", "Embedding"), "dense"),
    **dict.fromkeys(("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "LocalResponseNorm", "Rescale"), "norm"),
    **dict.fromkeys(("Activation", "Dropout"), "act"),
    **dict.fromkeys(("MaxPool", "AvgPool", "GlobalPool", "Reduce", "Resize", "DepthToSpace"), "pool"),
    **dict.fromkeys(("Add", "Multiply", "Elementwise", "Concat", "Split"), "join"),
    "Opaque": "opaque",
}
"""The families of kinds that are drawn in a color of their own."""


def family(kind: str) -> str:
    """Return the family of a kind, "other" if it has none."""
    return FAMILIES.get(kind, "other")


class Node(Struct, frozen=True, kw_only=True):
    """An input or a layer of the network, as it is drawn.

    Attributes:
        row: What the summary says of it.
        label: The kind and the settings that matter: "Conv 3×3 /2".
        op: What the source calls it: "Gemm", "MatMul + Add", "Conv2D".
        after: The nodes that feed it, by index, each once.
        input_shapes: Channels first, without the batch; None where unknown (the whole, or an extent).
        merged: Layers of the source that are part of it.
        frames: The line of the user's code that made it, and those that called that, outward; () if not known.
    """

    row: LayerSummary
    label: str
    op: str = ""
    after: tuple[int, ...] = ()
    input_shapes: tuple[tuple[int | None, ...] | None, ...] = ()
    merged: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()


class Stretch(Struct, frozen=True):
    """A stretch of nodes that stands several times in a row, each time fed in the same way.

    Attributes:
        start: The first node.
        period: Nodes of one stretch.
        times: How often it stands there.
    """

    start: int
    period: int
    times: int


class Drawing(Struct, frozen=True, kw_only=True):
    """A network to draw.

    Attributes:
        summary: Its layers and what it costs.
        nodes: Its inputs, then its layers in topological order.
        repeats: The stretches that repeat, in the order of the nodes; they do not overlap.
        image: The extents of its one input that has positions; None if open, or several inputs do.
    """

    summary: ModelSummary
    nodes: tuple[Node, ...]
    repeats: tuple[Stretch, ...]
    image: tuple[int, ...] | None


def draw(context: Context, lines: Lines | None = None) -> Drawing:
    """Return the drawing of the network that `context` is about, and whose layers were made by `lines`."""
    graph = context.graph
    summary = summarize(graph, context)
    rows = {row.name: row for row in summary.layers if row.merged_into is None}
    merged = dict[str, list[str]]()
    for row in summary.layers:
        if row.merged_into is not None:
            merged.setdefault(row.merged_into, []).append(f"{row.name} ({row.kind})")
    made = dict[str, int]()  # the index of the node that makes a tensor
    nodes = list[Node]()
    for tensor in graph.inputs:
        made[tensor.name] = len(nodes)
        nodes.append(Node(row=rows[tensor.name], label="Input"))
    for layer in graph.layers:
        after = tuple(dict.fromkeys(made[tensor.name] for tensor in layer.inputs if tensor.name in made))
        made.update((tensor.name, len(nodes)) for tensor in layer.outputs)
        nodes.append(
            Node(
                row=rows[layer.name],
                label=layer.label,
                op=_op(layer),
                after=after,
                input_shapes=tuple(map(_shape, layer.inputs)),
                merged=tuple(merged.get(layer.name, ())),
                frames=lines.of((layer.name,)) if lines else (),
            )
        )
    begins = [False] * len(graph.inputs) + [layer.starts_block for layer in graph.layers]
    return Drawing(summary=summary, nodes=tuple(nodes), repeats=repeats(nodes, begins), image=context.image)


def _shape(tensor: Tensor) -> tuple[int | None, ...] | None:
    return tensor.sample_extents


def _op(layer: Layer) -> str:
    ops = list({part.op: None for part in layer.origin})
    return " + ".join(ops[:3]) + (" + …" if len(ops) > 3 else "")


def repeats(nodes: Sequence[Node], begins: Sequence[bool]) -> tuple[Stretch, ...]:
    """Return the stretches of `nodes` that repeat.

    Two nodes are equal if they have one kind, one label, and are fed from as far back; their sizes may differ, so that
    the layers of a dense block, each wider than the last, are seen to repeat. Of all stretches the one that saves most
    nodes is taken, then what lies on either side of it is searched; many short stretches count for more than a long one
    that stands twice, which may be a stage of short ones. A stretch that repeats has several phases: the one
    that fewest connections lead into is taken, which is between two blocks and not within one.

    Args:
        nodes: In topological order.
        begins: Whether a block may begin with a node, which decides between phases that are equal otherwise.
    """
    numbers = dict[Hashable, int]()
    signs = [
        numbers.setdefault((node.row.kind, node.label, tuple(index - before for before in node.after)), len(numbers))
        for index, node in enumerate(nodes)
    ]
    crossing = _crossing(nodes)
    found = list[Stretch]()
    open_ranges = [(0, len(nodes))]
    while open_ranges:
        low, high = open_ranges.pop()
        best = _best(signs, low, high, crossing, begins)
        if best is not None:
            found.append(best)
            open_ranges += [(low, best.start), (best.start + best.period * best.times, high)]
    return tuple(sorted(found, key=lambda repeat: repeat.start))


def _crossing(nodes: Sequence[Node]) -> list[int]:
    """Return how many nodes feed, from before each node, that node or a later one."""
    last = list(range(len(nodes)))
    for index, node in enumerate(nodes):
        for before in node.after:
            last[before] = index
    change = [0] * (len(nodes) + 1)
    for index, until in enumerate(last):
        change[index + 1] += 1
        change[until + 1] -= 1
    counts, total = list[int](), 0
    for step in change[: len(nodes)]:
        total += step
        counts.append(total)
    return counts


def _best(signs: list[int], low: int, high: int, crossing: Sequence[int], begins: Sequence[bool]) -> Stretch | None:
    """Return the repeat between two nodes that is worth most; None if there is none."""
    part = signs[low:high]
    best, most = None, 0.0
    for period in range(SHORTEST, min(LONGEST, len(part) // 2) + 1):
        start = low
        for equal, run in groupby(map(eq, part, islice(part, period, None))):
            length = sum(1 for _ in run)
            times = (length + period) // period
            worth = period * (times - 1) ** 2 / times
            if equal and times > 1 and worth > most:
                phases = range(start, start + length + period - period * times + 1)
                first = min(phases, key=lambda at: (crossing[at], not begins[at], at))
                best, most = Stretch(first, period, times), worth
            start += length
    return best

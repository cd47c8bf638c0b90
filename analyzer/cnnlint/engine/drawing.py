"""A network as reports draw it: its layers, what feeds each, and which stretches of them repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.analysis.context import Context
from cnnlint.engine.repeats import Stretch, repeats
from cnnlint.engine.summary import summarize
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Tensor
from cnnlint.results import Frame, LayerSummary, ModelSummary

if TYPE_CHECKING:
    from cnnlint.definitions.lines import Lines

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
    looks = [(node.row.kind, node.label) for node in nodes]
    begins = [False] * len(graph.inputs) + [layer.starts_block for layer in graph.layers]
    found = repeats(looks, [node.after for node in nodes], begins)
    return Drawing(summary=summary, nodes=tuple(nodes), repeats=found, image=context.image)


def _shape(tensor: Tensor) -> tuple[int | None, ...] | None:
    return tensor.sample_extents


def _op(layer: Layer) -> str:
    ops = list({part.op: None for part in layer.origin})
    return " + ".join(ops[:3]) + (" + …" if len(ops) > 3 else "")

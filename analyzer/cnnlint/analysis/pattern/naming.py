"""What the field calls each layer, and which layers a pattern leaves out."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    Add,
    Attention,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    DepthToSpace,
    Dropout,
    Einsum,
    Elementwise,
    Embedding,
    Flatten,
    GlobalPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    MatMul,
    MaxPool,
    Multiply,
    Opaque,
    Operator,
    Pad,
    Recurrent,
    Rescale,
    Reshape,
    Resize,
    Transpose,
)

CARRIERS = (Flatten, Reshape, Pad, Dropout, Rescale)
"""Layers that only prepare or carry values."""

WEIGHTED = (Conv, ConvTranspose, Dense, Recurrent, Attention, Embedding, Opaque)
"""Layers that a block starts with."""

FINAL = frozenset({"softmax", "log_softmax", "sigmoid"})
"""Activations that make an output a probability."""

_TERMS: dict[type[Layer], str] = {
    ConvTranspose: "DECONV",
    Dense: "FC",
    MaxPool: "POOL",
    AvgPool: "AVGPOOL",
    BatchNorm: "BN",
    LayerNorm: "LN",
    GroupNorm: "GN",
    InstanceNorm: "IN",
    LocalResponseNorm: "LRN",
    Add: "ADD",
    Multiply: "MUL",
    Concat: "CAT",
    MatMul: "MATMUL",
    Einsum: "EINSUM",
    Embedding: "EMBED",
}

_GLOBAL = {"avg": "GAP", "max": "GMP", "lp": "GLP"}

_FUNCTIONS = {"hard_sigmoid": "HSIGMOID", "hard_swish": "HSWISH", "exponential": "EXP"}

_SHUFFLE = (0, 2, 1, 3, 4)
"""ShuffleNet: channels as groups × rest, the two exchanged."""


def term(layer: Layer) -> str:
    """Return what the field calls `layer`."""
    match layer:
        case Conv():
            return "DWCONV" if layer.is_depthwise else "CONV"
        case GlobalPool():
            return _GLOBAL[layer.mode]
        case Activation():
            return _FUNCTIONS.get(layer.function, layer.function.upper().replace("_", ""))
        case Resize():
            return "UPSAMPLE" if _grows(layer) else "RESIZE"
        case DepthToSpace():
            return "D2S" if layer.to_space else "S2D"
        case Transpose():
            return "SHUFFLE" if layer.permutation == _SHUFFLE else "TRANSPOSE"
        case Recurrent():
            return layer.cell.upper()
        case Operator() | Opaque():
            return layer.op.upper()
        case _ if type(layer) in _TERMS:
            return _TERMS[type(layer)]
        case Elementwise():
            return layer.function.upper().replace("_", "")
        case _:
            return layer.kind.upper()


def left_out(graph: Graph) -> frozenset[str]:
    """Return the names of the layers that the pattern of `graph` leaves out."""
    carriers = {layer.name for layer in graph.layers if len(layer.inputs) == 1 and _carries(layer)}
    return frozenset(carriers | _final_activations(graph, carriers))


def _carries(layer: Layer) -> bool:
    return isinstance(layer, CARRIERS) or (isinstance(layer, Activation) and layer.function == "linear")


def _final_activations(graph: Graph, carriers: set[str]) -> set[str]:
    found = set[str]()
    for tensor in graph.outputs:
        layer = graph.producer(tensor)
        while layer is not None and layer.name in carriers and not graph.consumers(layer.output):
            layer = graph.producer(layer.input)
        if not isinstance(layer, Activation) or layer.function not in FINAL:
            continue
        if all(consumer.name in carriers for consumer in graph.consumers(layer.output)):
            found.add(layer.name)
    return found


def _grows(layer: Resize) -> bool:
    before, after = layer.input.spatial, layer.output.spatial
    if not before or not after or len(before) != len(after):
        return False
    pairs = [
        (small, large)
        for small, large in zip(before, after, strict=True)
        if isinstance(small, int) and isinstance(large, int)
    ]
    return bool(pairs) and all(small <= large for small, large in pairs) and any(a < b for a, b in pairs)

"""The stages of a network: convolutions in a row, and the layers that make maps smaller between them."""

from __future__ import annotations

from msgspec import Struct

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import AvgPool, Conv, MaxPool
from cnnlint.graph.queries import KERNEL_LAYERS

Pool = MaxPool | AvgPool


class Block(Struct, frozen=True):
    """Convolutions in a row, at one size of the map, with nothing but norms, activations and the like between them.

    Attributes:
        convolutions: At least one; only the first may have a stride.
        pool: The pooling that ends it; None if something else does.
    """

    convolutions: tuple[Conv, ...]
    pool: Pool | None = None


def convolutions_and_pools(graph: Graph) -> int:
    """Return how many convolutions and poolings over windows there are."""
    return sum(1 for _ in graph.of_kind(Conv, MaxPool, AvgPool))


def shrinks(layer: Layer) -> bool:
    """Return whether `layer` is a convolution or a pooling whose stride makes the map smaller, to more than a point."""
    if not isinstance(layer, Conv | MaxPool | AvgPool) or all(stride == 1 for stride in layer.strides):
        return False
    after = layer.output.spatial
    return not after or any(extent != 1 for extent in after)


def blocks(graph: Graph) -> tuple[Block, ...]:
    """Return the blocks of `graph` in the order of their first layers.

    A block ends at a pooling, ahead of a stride, and where paths fork or join.
    """
    rows, pools = list[list[Conv]](), dict[int, Pool]()
    row_of = dict[str, int]()  # by the name of what a layer of the row, or one after it, makes
    for layer in graph.layers:
        row = row_of.get(layer.input.name) if len(layer.inputs) == 1 else None
        if row is not None and len(graph.consumers(layer.input)) > 1:
            row = None
        if isinstance(layer, Conv):
            if row is None or any(stride > 1 for stride in layer.strides):
                row = len(rows)
                rows.append([])
            rows[row].append(layer)
        elif isinstance(layer, Pool) and row is not None:
            pools.setdefault(row, layer)
            row = None
        elif isinstance(layer, KERNEL_LAYERS):
            row = None
        if row is not None:
            row_of[layer.output.name] = row
    return tuple(Block(tuple(row), pools.get(index)) for index, row in enumerate(rows))

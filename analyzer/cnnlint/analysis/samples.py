"""What one sample is: the first axis of the inputs is a batch, of an open or a fixed extent, or there is none."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from cnnlint import limits
from cnnlint.graph.dims import bound, product
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Dim, Shape, Tensor


class Batch(Struct, frozen=True):
    """How what a run comes to is made that of a sample.

    Attributes:
        symbol: The open extent that stands for 1; "" if none does.
        samples: What a run comes to is divided by; 1 where the batch is open, or is 1.
        tensors: Names of the tensors that samples have a part in, where there are several; what is made of constants
            alone is not divided.
        run: Why totals are those of a run as declared, as a clause; "" where they are those of a sample.
    """

    symbol: str = ""
    samples: int = 1
    tensors: frozenset[str] = frozenset()
    run: str = ""

    def bound(self, dim: Dim) -> Dim:
        """Return an extent in a run of one sample, or in that of all of them where their number is fixed."""
        return bound(dim, self.symbol) if self.symbol and isinstance(dim, str) else dim

    def bound_shape(self, shape: Shape | None) -> Shape | None:
        """Return `shape` with each extent bound."""
        return None if shape is None else tuple(map(self.bound, shape))

    def sharers(self, tensor: Tensor) -> int:
        """Return how many samples share what a run comes to at `tensor`."""
        return self.samples if self.samples > 1 and tensor.name in self.tensors else 1


def batch_of(graph: Graph) -> Batch:
    """Return what the first axis of the inputs is: a batch where they agree and the trunk treats it as samples."""
    samples = [tensor for tensor in graph.inputs if tensor.shape != () and not _is_kernel(graph, tensor)]
    extents = {tensor.shape[0] if tensor.shape else None for tensor in samples}
    if len(extents) != 1:
        return Batch(run="its inputs do not agree about a batch") if extents else Batch()
    (extent,) = extents
    if isinstance(extent, str):
        if (layer := next(_mixing(graph, extent), None)) is None:
            return Batch(symbol=extent)
        return Batch(run=f"{layer.name} does not treat the first axis of the input as samples")
    if extent is None or extent < 2:
        return Batch()
    tensors = _fed(graph, extent)
    if (layer := next(_uneven(graph, extent, tensors), None)) is None:
        return Batch(samples=extent, tensors=tensors)
    return Batch(run=f"{layer.name} does not treat the first axis of the input as {extent} samples")


def _is_kernel(graph: Graph, tensor: Tensor) -> bool:
    """Return whether an input is only what others are convolved with, which no layer reads as data."""
    readers = graph.consumers(tensor)
    return not graph.is_output(tensor) and all(
        reader.starts_block and reader.input.name != tensor.name for reader in readers
    )


def run_macs(layer: Layer, batch: Batch) -> int | None:
    """Return the multiply-accumulates of `layer` in a run, open batches bound to 1; None if they are unknown."""
    formula, entries = layer.mac_formula(), batch.bound(layer.mac_entries)
    if formula is None or not formula.terms:
        return None if formula is None else 0
    return limits.product((entries, formula.value)) if isinstance(entries, int) else None


def _trunk(graph: Graph) -> Iterator[Layer]:
    """Yield the layers up to the last that multiplies: what comes behind costs nothing that would be divided."""
    last = max((index for index, layer in enumerate(graph.layers) if layer.multiplies is not False), default=-1)
    yield from (layer for layer in graph.layers[: last + 1] if layer.inputs)


def _mixing(graph: Graph, symbol: str) -> Iterator[Layer]:
    """Yield the layers that sum, slide or step along an axis that holds the batch `symbol`."""
    for layer in _trunk(graph):
        shape = layer.input.shape
        if shape and any(bound(shape[axis], symbol) != shape[axis] for axis in _axes(layer, shape)):
            yield layer


def _uneven(graph: Graph, samples: int, tensors: frozenset[str]) -> Iterator[Layer]:
    """Yield the layers that `samples` cannot share in equal parts, or that work along the first axis."""
    for layer in _trunk(graph):
        shape = layer.input.shape
        if layer.input.name not in tensors or not shape or not isinstance(shape[0], int):
            continue
        axes, fits = _axes(layer, shape), shape[0] % samples == 0
        macs = run_macs(layer, Batch()) if layer.multiplies else 0
        if (0 in axes and fits) or (0 not in axes and 1 in axes and not fits) or (macs or 0) % samples:
            yield layer


def _axes(layer: Layer, shape: Shape) -> tuple[int, ...]:
    return tuple(axis % len(shape) for axis in layer.mixed_axes() if -len(shape) <= axis < len(shape))


def _fed(graph: Graph, samples: int) -> frozenset[str]:
    """Return the tensors that inputs have a part in, or that were made as many times as there are samples."""
    fed = {tensor.name for tensor in graph.inputs}
    for layer in graph.layers:
        made = not layer.inputs and not layer.weights and layer.outputs and layer.output.shape
        if any(tensor.name in fed for tensor in layer.inputs) or (made and made[0] == samples):
            fed.update(tensor.name for tensor in layer.outputs)
    return frozenset(fed)


def elements_of_a_sample(shape: Shape, symbol: str, sharers: int) -> int | None:
    """Return the elements of `shape` that are one sample's, where `symbol` is 1 and `sharers` have equal shares.

    None if they are unknown, or there are no equal shares.
    """
    elements = product(bound(dim, symbol) if symbol and isinstance(dim, str) else dim for dim in shape)
    if not isinstance(elements, int) or elements % sharers:
        return None
    return elements // sharers

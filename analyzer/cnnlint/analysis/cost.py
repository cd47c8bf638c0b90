"""What a network costs: multiply-accumulates, bytes of weights, bytes of activations."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.analysis.samples import Batch, batch_of, elements_of_a_sample
from cnnlint.graph.formula import Formula
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Shape, Tensor, storage_bytes


def sample_mac_formula(layer: Layer, batch: Batch) -> Formula | None:
    """Return how the multiply-accumulates of `layer` for one sample are counted; None if they are unknown."""
    layer = _in_numbers(layer, batch)
    formula, entries = layer.mac_formula(), batch.bound(layer.mac_entries)
    if formula is None or not formula.terms:
        return formula
    if not isinstance(entries, int) or limits.int64(entries * formula.value) is None:
        return None
    samples = batch.samples if any(tensor.name in batch.tensors for tensor in layer.inputs) else 1
    if entries % samples == 0:
        return formula.times(entries // samples, "entries of a sample")
    # the samples lie behind another axis, such as the steps of a sequence
    shared = formula.shared_by(samples)
    return None if shared is None else shared.times(entries, "entries of a sample")


def _in_numbers(layer: Layer, batch: Batch) -> Layer:
    """Return `layer` in a run of one sample, where the batch is open and more than its first axis hangs on that."""
    inner = (tensor.shape[1:] for tensor in (*layer.inputs, *layer.outputs) if tensor.shape)
    if all(batch.bound_shape(shape) == shape for shape in inner):
        return layer
    inputs, outputs = (
        tuple(replace(tensor, shape=batch.bound_shape(tensor.shape)) for tensor in tensors)
        for tensors in (layer.inputs, layer.outputs)
    )
    return replace(layer, inputs=inputs, outputs=outputs)


def layer_macs(layer: Layer, batch: Batch) -> int | None:
    """Return the multiply-accumulates of `layer` for one sample, bias excluded; None if unknown."""
    if layer.multiplies is False:
        return 0
    formula = sample_mac_formula(layer, batch)
    return None if formula is None else formula.value


def total_macs(graph: Graph, batch: Batch | None = None) -> int | None:
    """Return the multiply-accumulates of all layers for one sample; None if one is unknown.

    Args:
        graph: The network.
        batch: What `batch_of` says of it, where that is known already.
    """
    batch = batch or batch_of(graph)
    total = 0
    for layer in graph.layers:
        if (macs := layer_macs(layer, batch)) is None:
            return None
        total += macs
    return limits.int64(total)


def weight_bytes(graph: Graph) -> int | None:
    """Return the bytes of all distinct weights in their own types; None if a size is unknown."""
    if graph.unread:
        return None
    total = 0
    for weight in graph.weights:
        if (nbytes := weight.nbytes) is None:
            return None
        total += nbytes
    return limits.int64(total)


def tensor_bytes(tensor: Tensor, batch: Batch) -> int | None:
    """Return the bytes of `tensor` for one sample; None if unknown."""
    return None if tensor.shape is None else _bytes(tensor.shape, tensor.dtype, batch.symbol, batch.sharers(tensor))


@lru_cache(maxsize=1024)  # the many layers of a deep network share few shapes
def _bytes(shape: Shape, dtype: str, symbol: str, sharers: int) -> int | None:
    elements = elements_of_a_sample(shape, symbol, sharers)
    return None if elements is None else limits.int64(storage_bytes(dtype, elements))


def peak_activation_bytes(graph: Graph, batch: Batch | None = None) -> int | None:
    """Return the most bytes of activations that are alive at once for one sample; None if a size is unknown."""
    alive = live_activation_bytes(graph, batch)
    return None if alive is None else limits.int64(max(alive))


def live_activation_bytes(graph: Graph, batch: Batch | None = None) -> tuple[int, ...] | None:
    """Return the bytes of activations alive before the first layer and while each runs; None if a size is unknown.

    Layers run in topological order; a tensor is alive from the layer that makes it to the last that reads it,
    inputs and outputs of the network throughout; nothing is computed in place. Where nobody knows what a layer keeps
    inside, nobody knows the peak.
    """
    if any(layer.multiplies is None for layer in graph.layers):
        return None
    batch = batch or batch_of(graph)
    last_use = dict[str, int]()
    for index, layer in enumerate(graph.layers):
        for tensor in layer.inputs:
            last_use[tensor.name] = index
    kept = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    freed = [0] * len(graph.layers)
    alive = 0
    for tensor in graph.inputs:
        if (nbytes := tensor_bytes(tensor, batch)) is None:
            return None
        alive += nbytes
    during = [alive]
    for index, layer in enumerate(graph.layers):
        for tensor in layer.outputs:
            if (nbytes := tensor_bytes(tensor, batch)) is None:
                return None
            alive += nbytes
            if tensor.name not in kept:
                freed[last_use.get(tensor.name, index)] += nbytes
        during.append(alive)
        alive -= freed[index]
    return tuple(during)

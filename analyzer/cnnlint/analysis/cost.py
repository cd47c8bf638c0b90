"""What a network costs: multiply-accumulates, bytes of weights, bytes of activations."""

from __future__ import annotations

from cnnlint import limits
from cnnlint.graph.dims import product, quotient
from cnnlint.graph.dtype import storage_bytes
from cnnlint.graph.formula import Formula
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Dim, Tensor


def entries_per_sample(tensor: Tensor, batch: Dim) -> int | None:
    """Return how many entries of the first axis belong to one sample: 1, or more where windows are batched."""
    if tensor.shape is None:
        return None
    if not tensor.shape or tensor.shape[0] in (batch, 1) or batch == 0:
        return 1
    ratio = quotient(tensor.shape[0], batch)
    return ratio if isinstance(ratio, int) else None


def sample_mac_formula(layer: Layer, batch: Dim) -> Formula | None:
    """Return how the multiply-accumulates of `layer` for one sample are counted; None if they are unknown."""
    formula = layer.mac_formula()
    if formula is None or not formula.terms:
        return formula
    entries = 1 if layer.counts_sample else entries_per_sample(layer.output, batch)
    if entries is None:
        return None
    if entries != 1:
        words = f"entries of a sample × ({formula.words})"
        formula = Formula(tuple((entries, *factors) for factors in formula.terms), words)
    return None if limits.int64(formula.value) is None else formula


def layer_macs(layer: Layer, batch: Dim) -> int | None:
    """Return the multiply-accumulates of `layer` for one sample, bias excluded; None if unknown."""
    if layer.multiplies is False:
        return 0
    formula = sample_mac_formula(layer, batch)
    return None if formula is None else formula.value


def total_macs(graph: Graph) -> int | None:
    """Return the multiply-accumulates of all layers for one sample; None if one is unknown."""
    total = 0
    for layer in graph.layers:
        if (macs := layer_macs(layer, graph.batch)) is None:
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


def tensor_bytes(tensor: Tensor, batch: Dim) -> int | None:
    """Return the bytes of `tensor` for one sample; None if unknown."""
    entries, nbytes = entries_per_sample(tensor, batch), tensor.sample_bytes
    if entries is not None and nbytes is not None:
        return limits.int64(entries * nbytes)
    # the batch may stand behind the steps of a sequence, or be absent from what no input has a part in
    whole = None if tensor.shape is None else product(tensor.shape)
    elements = whole if isinstance(whole, int) else quotient(whole, batch)
    return storage_bytes(tensor.dtype, elements) if isinstance(elements, int) else None


def peak_activation_bytes(graph: Graph) -> int | None:
    """Return the most bytes of activations that are alive at once for one sample; None if a size is unknown.

    Layers run in topological order; a tensor is alive from the layer that makes it to the last that reads it,
    inputs and outputs of the network throughout; nothing is computed in place. Where nobody knows what a layer keeps
    inside, nobody knows the peak.
    """
    if any(layer.multiplies is None for layer in graph.layers):
        return None
    batch = graph.batch
    last_use = dict[str, int]()
    for index, layer in enumerate(graph.layers):
        for tensor in layer.inputs:
            last_use[tensor.name] = index
    kept = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    alive = 0
    for tensor in graph.inputs:
        if (nbytes := tensor_bytes(tensor, batch)) is None:
            return None
        alive += nbytes
    peak = alive
    for index, layer in enumerate(graph.layers):
        for tensor in layer.outputs:
            if (nbytes := tensor_bytes(tensor, batch)) is None:
                return None
            alive += nbytes
        peak = max(peak, alive)
        dying = {tensor.name: tensor for tensor in (*layer.inputs, *layer.outputs)}
        for name, tensor in dying.items():
            if last_use.get(name, index) == index and name not in kept:
                alive -= tensor_bytes(tensor, batch) or 0
    return limits.int64(peak)

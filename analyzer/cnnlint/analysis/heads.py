"""The heads of a network: what makes its outputs, and which functions they pass through last."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.cost import layer_macs, total_macs
from cnnlint.analysis.feature_map import is_feature_map
from cnnlint.analysis.inputs import larger_extents, shapes_on, spatial_on
from cnnlint.analysis.samples import batch_of
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    Einsum,
    Elementwise,
    Flatten,
    GlobalPool,
    MatMul,
    MaxPool,
    Transpose,
)
from cnnlint.graph.queries import KERNEL_LAYERS, preceding
from cnnlint.graph.tensor import Dim, Tensor, weight_elements
from cnnlint.graph.training import Loss, Metric

PROBABILITIES = frozenset({"softmax", "sigmoid", "hard_sigmoid"})
"""Functions with values from 0 to 1."""


class Head(Struct, frozen=True):
    """What lies just ahead of an output of the network.

    Attributes:
        output: What the user gets.
        activations: The functions that are applied last with nothing but views between them, the last one first;
            the identity is left out.
        averaged: The softmax or sigmoid of which the output is a mean over positions, if nothing is applied after that.
        scorer: The layer whose kernel makes the scores, pooled and normalized or not; None if several layers'
            outputs are joined on the way.
        loss: The loss that the file names for this output; None if it names none.
        metrics: The metrics that it names for this output.
    """

    output: Tensor
    activations: tuple[Activation, ...]
    scorer: Conv | ConvTranspose | Dense | None
    averaged: Activation | None = None
    loss: Loss | None = None
    metrics: tuple[Metric, ...] = ()

    @property
    def activation(self) -> Activation | None:
        """The function that is applied last."""
        return self.activations[0] if self.activations else None

    @property
    def lone_softmax(self) -> Activation | None:
        """The last softmax, if it is one over a single unit and so gives a constant; None otherwise."""
        softmax = next((activation for activation in self.activations if activation.is_softmax), None)
        return softmax if softmax is not None and softmax.classes == 1 else None

    @property
    def repeated(self) -> tuple[Activation, Activation, int] | None:
        """The last function, the one ahead of it and how many values it takes, if both make probabilities."""
        if len(self.activations) < 2 or self.lone_softmax is not None:
            return None
        last, first = self.activations[:2]
        values = last.classes if last.is_softmax else self.units
        both = first.function in PROBABILITIES and (last.is_softmax or last.function == "sigmoid")
        return (last, first, values) if both and isinstance(values, int) else None

    @property
    def units(self) -> Dim:
        """The number of scores: of the scorer, or else the extent of the output's channel axis."""
        return self.output.channels if self.scorer is None else self.scorer.out_channels

    @property
    def is_vector(self) -> bool:
        """Whether a sample has one row of scores, as in classification and regression of whole images.

        A mask that is flattened after the convolution that makes it is none.
        """
        shape = self.output.shape
        if shape is None or sum(dim != 1 for dim in shape[1:]) > 1:
            return False
        if not isinstance(self.scorer, Conv | ConvTranspose):
            return True
        made = self.scorer.output
        is_map = any(dim != 1 for dim in made.spatial or ())
        return not is_map or made.sample_elements != self.output.sample_elements


def heads(graph: Graph) -> tuple[Head, ...]:
    """Return the head of each output, in the order of the outputs."""
    losses = _losses(graph)
    return tuple(
        replace(_head(graph, output), loss=losses[place], metrics=_metrics(graph, place))
        for place, output in enumerate(graph.outputs)
    )


def hidden_dense(graph: Graph, head: Head) -> tuple[Dense, ...]:
    """Return the dense layers on vectors that lead to `head`'s scorer, which is not one of them, first one first."""
    found = list[Dense]()
    layer: Layer | None = head.scorer
    while isinstance(layer, Dense):
        layer = preceding(graph, layer, lambda layer: _shapes_vector(layer) or layer.is_view)
        if isinstance(layer, Dense) and layer.output.rank == 2:
            found.append(layer)
        else:
            break
    return tuple(reversed(found))


def _losses(graph: Graph) -> tuple[Loss | None, ...]:
    """Return the loss of each output: by its layer's name where the file has names, else by its place."""
    losses = graph.training.losses
    if any(loss.output for loss in losses):
        by_layer = {loss.output: loss for loss in losses}
        names = (_names(graph, output) for output in graph.outputs)
        return tuple(next((by_layer[name] for name in parts if name in by_layer), None) for parts in names)
    if len(losses) == 1:
        return losses * len(graph.outputs)  # Keras trains every output with the only loss there is
    return losses if len(losses) == len(graph.outputs) else (None,) * len(graph.outputs)


def _metrics(graph: Graph, place: int) -> tuple[Metric, ...]:
    """Return the metrics of an output; which one those of a plain list are about is known of a single output only."""
    names, alone = _names(graph, graph.outputs[place]), len(graph.outputs) == 1
    return tuple(
        metric
        for metric in graph.training.metrics
        if (metric.output in names if metric.output else alone or metric.place == place)
    )


def _names(graph: Graph, output: Tensor) -> tuple[str, ...]:
    maker = graph.producer(output)
    return tuple(part.name for part in maker.origin) if maker else ()


def _head(graph: Graph, output: Tensor) -> Head:
    activations = list[Activation]()
    layer = graph.producer(output)
    while layer is not None and len(layer.inputs) == 1 and (isinstance(layer, Activation) or layer.is_view):
        if isinstance(layer, Activation) and layer.function != "linear":
            activations.append(layer)
        layer = graph.producer(layer.input)
    averaged = None
    if layer is not None and not activations and _averages(layer):
        source = preceding(graph, layer, lambda layer: _averages(layer) or layer.is_view)
        averaged = source if isinstance(source, Activation) and source.function in PROBABILITIES else None
    if layer is not None and not isinstance(layer, KERNEL_LAYERS) and _pools_or_scales(layer):
        layer = preceding(graph, layer, lambda layer: _pools_or_scales(layer) or layer.is_view)
    scorer = layer if isinstance(layer, KERNEL_LAYERS) else None
    return Head(output, tuple(activations), scorer, averaged)


def _averages(layer: Layer) -> bool:
    return isinstance(layer, AvgPool) or (isinstance(layer, GlobalPool) and layer.mode == "avg")


def _pools_or_scales(layer: Layer) -> bool:
    return isinstance(layer, GlobalPool | AvgPool | BatchNorm | Activation)


def _shapes_vector(layer: Layer) -> bool:
    return isinstance(layer, Activation | BatchNorm)


class DenseHead(Struct, frozen=True, eq=False):
    """Dense layers in a row, and the map that they score.

    Attributes:
        dense: The dense layers, the first one first.
        between: The layers between them, which work on each element or channel by itself.
        flatten: What makes the map a vector; None if `pool` does.
        pool: A global pooling ahead of them, if there is one.
        extents: The map's spatial extents where it is flattened: the first kernel; all 1 behind a pooling.
    """

    dense: tuple[Dense, ...]
    between: tuple[Layer, ...]
    flatten: Flatten | None
    pool: GlobalPool | None
    extents: tuple[int, ...]

    @property
    def swaps_with_pool(self) -> bool:
        """Whether the convolution can go ahead of the pooling: both are linear, so their order is free."""
        return self.pool is not None and self.pool.mode == "avg" and len(self.dense) == 1


def dense_head(graph: Graph, first: Dense, rest: Sequence[Layer]) -> DenseHead | str:
    """Return the dense layers in a row that begins with `first`; or why they see no map, "" if that needs no words.

    Args:
        graph: The network.
        first: The first dense layer of the row.
        rest: The layers behind it, one after the other.
    """
    flatten = pool = None
    layer = graph.producer(first.input)
    while isinstance(layer, Dropout) and not layer.training:
        layer = graph.producer(layer.input)
    if isinstance(layer, Flatten):
        flatten, layer = layer, graph.producer(layer.input)
    if isinstance(layer, GlobalPool):
        pool = layer
    if flatten is None and pool is None:
        return "" if isinstance(layer, Dense | Activation | BatchNorm | Dropout) else "no feature map feeds it"
    seen = pool.input if pool is not None else flatten.input if flatten is not None else first.input
    if not is_feature_map(graph, seen):
        return "what it reads is a sequence or a vector, not a map of positions"
    pooled = (1,) * len(pool.input.spatial or ()) if pool else ()
    spatial = flatten.input.spatial if flatten else pooled
    sizes = tuple(extent for extent in spatial or () if isinstance(extent, int))
    if not spatial or len(sizes) != len(spatial) or not first.in_features:
        return "the extents of the map ahead of it are not known"
    if not prod(sizes) or first.in_features % prod(sizes):
        return "the map ahead of it does not have as many elements as its kernel has rows"
    dense, between = [first], list[Layer]()
    waiting = list[Layer]()
    for layer in rest:
        if isinstance(layer, Dense) and layer.input.rank == 2:
            dense.append(layer)
            between += waiting
            waiting = []
        elif not layer.is_rank_agnostic:
            break
        else:
            waiting.append(layer)
    return DenseHead(tuple(dense), tuple(between), flatten, pool, sizes)


class HeadAsConvolutions(Struct, frozen=True, kw_only=True):
    """What the dense layers of a head are as convolutions, with the same weights in another order.

    Attributes:
        head: The dense layers.
        parameters: Weight elements that they hold.
        converted: Weight elements that the convolutions hold.
        image: Extents of a larger image; () if nothing can be said of one.
        positions: Extents of the map of scores that the convolutions give on that image.
        macs: Multiply-accumulates of that one pass, and those of the network on a crop for each position; None if
            they are unknown, or the dense layers come after a pooling.
    """

    head: DenseHead
    parameters: int
    converted: int
    image: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    macs: tuple[int, int] | None = None

    @property
    def kernels(self) -> tuple[tuple[int, ...], ...]:
        """The kernel size of each convolution."""
        return (self.head.extents, *((1,) * len(self.head.extents) for _ in self.head.dense[1:]))

    @property
    def channels(self) -> int:
        """Channels that the first convolution reads."""
        return (self.head.dense[0].in_features or 0) // prod(self.head.extents)

    @property
    def words(self) -> str:
        """The layers, kernels and parameters as a clause: "the dense layer fc1 is a 7×7 convolution of ..."."""
        names, sizes = [dense.name for dense in self.head.dense], [_by(kernel) for kernel in self.kernels]
        units = [f"{dense.units:,}" for dense in self.head.dense]
        held = f"with {self.converted:,} parameters for {self.parameters:,}"
        if self.converted == self.parameters:
            held = f"with the same {self.parameters:,} parameters"
        if len(names) == 1:
            sides = f"{self.channels:,} to {units[0]} channels"
            return f"the dense layer {names[0]} is a {sizes[0]} convolution of {sides} {held}"
        rest = "".join(f", {size} to {count}" for size, count in zip(sizes[1:], units[1:], strict=True))
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        return (
            f"the dense layers {listed} are convolutions, {sizes[0]} of {self.channels:,} to {units[0]}"
            f" channels{rest}, {held}"
        )


def as_convolutions(graph: Graph, head: DenseHead) -> HeadAsConvolutions | None:
    """Return what the dense layers of `head` are as convolutions; None if their weights are not known."""
    parameters = weight_elements(weight for dense in head.dense for weight in dense.weights)
    if parameters is None:
        return None
    biases = sum(dense.units for dense in head.dense if dense.use_bias)
    converted = sum(dense.units * (dense.in_features or 0) for dense in head.dense) + biases
    found = HeadAsConvolutions(head=head, parameters=parameters, converted=converted)
    now = graph.inputs[0].spatial if graph.inputs else None
    image = larger_extents(tuple(extent for extent in now or () if isinstance(extent, int)))
    seen = head.pool.input if head.pool is not None else head.flatten.input if head.flatten is not None else None
    if seen is None or not now or len(image) != len(now) or (head.pool is not None and not head.swaps_with_pool):
        return found
    extents = spatial_on(graph, seen, image)
    if extents is None:
        return found
    positions = tuple(extent - kernel + 1 for extent, kernel in zip(extents, head.extents, strict=True))
    macs = None if head.pool is not None else _passes(graph, head, image, positions)
    return replace(found, image=image, positions=positions, macs=macs)


def _passes(
    graph: Graph, head: DenseHead, image: tuple[int, ...], positions: tuple[int, ...]
) -> tuple[int, int] | None:
    """Return the multiply-accumulates of one pass over a larger image, and of a pass over a crop for each position."""
    first, batch, cells = head.dense[0], batch_of(graph), prod(positions)
    shapes = shapes_on(graph, image, first.input)
    total, wide, dense = total_macs(graph, batch), 0, 0
    for layer in graph.layers:
        if layer in head.dense:
            dense += layer_macs(layer, batch) or 0
        elif layer.multiplies is not False:
            inputs, outputs = (
                tuple(replace(tensor, shape=shapes.get(tensor.name)) for tensor in tensors)
                for tensors in (layer.inputs, layer.outputs)
            )
            macs = layer_macs(replace(layer, inputs=inputs, outputs=outputs), batch)
            if macs is None:
                return None
            wide += macs
    return None if total is None else (wide + cells * dense, cells * total)


def _by(extents: tuple[int, ...]) -> str:
    text = "×".join(map(str, extents))
    return f"{text}-wide" if len(extents) == 1 else text


def scored_by(graph: Graph, softmax: Activation) -> Layer | None:
    """Return the product of two activations that gives the scores of `softmax`, scaled, masked or not."""
    layer = preceding(graph, softmax, lambda layer: isinstance(layer, Elementwise | Dropout) or layer.is_view)
    if isinstance(layer, Elementwise):  # a mask or a bias of positions is another input
        sources = [graph.producer(tensor) for tensor in layer.inputs]
        layer = next((source for source in sources if isinstance(source, MatMul | Einsum)), layer)
    return layer if isinstance(layer, MatMul | Einsum) and len(layer.inputs) > 1 else None


def reads_axis_of(graph: Graph, softmax: Activation, target: Conv | Dense) -> bool | None:
    """Return whether `target` multiplies along the axis that `softmax` sums over; None where a reshape hides it."""
    axis, layer = softmax.axis, graph.sole_successor(softmax)
    if axis is None or not softmax.output.rank:
        return None
    axis %= softmax.output.rank
    while layer is not None and layer is not target:
        if isinstance(layer, Transpose):
            axis = layer.permutation.index(axis)
        elif layer.input.shape != layer.output.shape and not isinstance(layer, GlobalPool | MaxPool | AvgPool):
            return None
        layer = graph.sole_successor(layer)
    return axis == (target.axis % (target.input.rank or 2) if isinstance(target, Dense) else 1)

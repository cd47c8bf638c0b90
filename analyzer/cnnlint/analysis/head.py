"""The heads of a network: what makes its outputs, and which functions they pass through last."""

from __future__ import annotations

from msgspec import Struct

from cnnlint.graph.graph import Graph, Training
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, AvgPool, BatchNorm, Conv, ConvTranspose, Dense, GlobalPool
from cnnlint.graph.queries import KERNEL_LAYERS, preceding
from cnnlint.graph.tensor import Dim, Tensor


class Head(Struct, frozen=True):
    """What lies just ahead of an output of the network.

    Attributes:
        output: What the user gets.
        activations: The functions that are applied last with nothing but views between them, the last one first;
            the identity is left out.
        scorer: The layer whose kernel makes the scores, pooled and normalised or not; None if several layers'
            outputs are joined on the way.
        training: The loss that the file names for this output; None if it does not.
    """

    output: Tensor
    activations: tuple[Activation, ...]
    scorer: Conv | ConvTranspose | Dense | None
    training: Training | None = None

    @property
    def activation(self) -> Activation | None:
        """The function that is applied last."""
        return self.activations[0] if self.activations else None

    @property
    def units(self) -> Dim:
        """The number of scores: of the scorer, or else the extent of the output's channel axis."""
        return self.output.channels if self.scorer is None else self.scorer.out_channels

    @property
    def is_vector(self) -> bool:
        """Whether a sample has one row of scores, as in classification and regression of whole images."""
        shape = self.output.shape
        return shape is not None and sum(dim != 1 for dim in shape[1:]) <= 1


def heads(graph: Graph) -> tuple[Head, ...]:
    """Return the head of each output, in the order of the outputs."""
    return tuple(_head(graph, output, loss) for output, loss in zip(graph.outputs, _losses(graph), strict=True))


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


def _losses(graph: Graph) -> tuple[Training | None, ...]:
    """Return the loss of each output: by its layer's name where the file has names, else by its place."""
    losses = graph.training
    if any(loss.output for loss in losses):
        by_layer = {loss.output: loss for loss in losses}
        makers = (graph.producer(output) for output in graph.outputs)
        names = ([part.name for part in maker.origin] if maker else [] for maker in makers)
        return tuple(next((by_layer[name] for name in parts if name in by_layer), None) for parts in names)
    if len(losses) == 1:
        return losses * len(graph.outputs)  # Keras trains every output with the only loss there is
    return losses if len(losses) == len(graph.outputs) else (None,) * len(graph.outputs)


def _head(graph: Graph, output: Tensor, loss: Training | None) -> Head:
    activations = list[Activation]()
    layer = graph.producer(output)
    while layer is not None and len(layer.inputs) == 1 and (isinstance(layer, Activation) or layer.is_view):
        if isinstance(layer, Activation) and layer.function != "linear":
            activations.append(layer)
        layer = graph.producer(layer.input)
    if layer is not None and not isinstance(layer, KERNEL_LAYERS) and _pools_or_scales(layer):
        layer = preceding(graph, layer, lambda layer: _pools_or_scales(layer) or layer.is_view)
    scorer = layer if isinstance(layer, KERNEL_LAYERS) else None
    return Head(output, tuple(activations), scorer, loss)


def _pools_or_scales(layer: Layer) -> bool:
    return isinstance(layer, GlobalPool | AvgPool | BatchNorm | Activation)


def _shapes_vector(layer: Layer) -> bool:
    return isinstance(layer, Activation | BatchNorm)

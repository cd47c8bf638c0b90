"""The graph of a network: layers in topological order, and their connections."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Literal, TypeVar

from msgspec import Struct

from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Dim, Tensor, Weight, weight_elements
from cnnlint.graph.training import UNTOLD, Training

L = TypeVar("L", bound=Layer)


class Source(Struct, frozen=True):
    """Where a graph comes from.

    Attributes:
        path: As the user wrote it; "" for a model in memory.
        format: The file's format.
        producer: The tool that wrote it, with its version: "pytorch 2.13.0", "keras 3.15.1"; "" if unknown.
        opset: Version of ONNX's default operator set; None for Keras.
        file_bytes: Size of the file and its external data; None for a model in memory.
        layout: Layout of maps in the source.
    """

    path: str
    format: Literal["onnx", "keras", "h5", "savedmodel"]
    producer: str = ""
    opset: int | None = None
    file_bytes: int | None = None
    layout: Literal["channels_first", "channels_last"] = "channels_first"


class UnusedWeight(Struct, frozen=True):
    """An array in the file that no layer uses."""

    name: str
    nbytes: int | None


class Graph(Struct, frozen=True, dict=True, eq=False):
    """A convolutional network as rules see it.

    Attributes:
        layers: In topological order.
        inputs: The network's input tensors.
        outputs: The network's output tensors.
        source: Where it comes from.
        training: How it was set up for training, as far as the file says.
        unused: Arrays in the file that the network does not use.
        input_orders: For each input, the source's axis at each axis; None for the source's own order.
        ignores: Ignores in the model's metadata: rule code -> value.
        unread: Why the weights were not read, as a clause; "" if they were.
        file: What the reader knows of the file besides the network, for rules about the file; None if it keeps nothing.
    """

    layers: tuple[Layer, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    source: Source
    training: Training = UNTOLD
    unused: tuple[UnusedWeight, ...] = ()
    input_orders: tuple[tuple[int, ...] | None, ...] = ()
    ignores: tuple[tuple[str, str], ...] = ()
    unread: str = ""
    file: object | None = None

    def __repr__(self) -> str:
        said = f"layers {len(self.layers)}, parameters {self.parameters}"
        return f"<cnnlint.Graph: {self.source.path or self.source.format}, {said}>"

    @cached_property
    def _producers(self) -> dict[str, Layer]:
        return {tensor.name: layer for layer in self.layers for tensor in layer.outputs}

    @cached_property
    def _consumers(self) -> dict[str, list[Layer]]:
        consumers = dict[str, list[Layer]]()
        for layer in self.layers:
            for tensor in layer.inputs:
                readers = consumers.setdefault(tensor.name, [])
                if not readers or readers[-1] is not layer:  # it may read a tensor twice
                    readers.append(layer)
        return consumers

    @cached_property
    def _output_names(self) -> frozenset[str]:
        return frozenset(tensor.name for tensor in self.outputs)

    @cached_property
    def _by_kind(self) -> dict[type[Layer], list[Layer]]:
        kinds = dict[type[Layer], list[Layer]]()
        for layer in self.layers:
            kinds.setdefault(type(layer), []).append(layer)
        return kinds

    @cached_property
    def position(self) -> dict[str, int]:
        """The index of each layer in the order, by name."""
        return {layer.name: index for index, layer in enumerate(self.layers)}

    def of_kind(self, *kinds: type[L]) -> Iterator[L]:
        """Yield the layers of the given kinds (and kinds derived from them) in topological order."""
        found = [group for kind, group in self._by_kind.items() if issubclass(kind, kinds)]
        if len(found) == 1:
            yield from found[0]  # pyright: ignore[reportReturnType] - the group's key says its kind
        elif found:
            yield from (layer for layer in self.layers if isinstance(layer, kinds))

    def producer(self, tensor: Tensor) -> Layer | None:
        """Return the layer that produces `tensor`; None for an input of the graph."""
        return self._producers.get(tensor.name)

    def consumers(self, tensor: Tensor) -> tuple[Layer, ...]:
        """Return the layers that read `tensor`, each once."""
        return tuple(self._consumers.get(tensor.name, ()))

    def predecessors(self, layer: Layer) -> tuple[Layer, ...]:
        """Return the layers that feed `layer`, in the order of its inputs."""
        producers = (self._producers.get(tensor.name) for tensor in layer.inputs)
        return tuple(producer for producer in producers if producer is not None)

    def successors(self, layer: Layer) -> tuple[Layer, ...]:
        """Return the layers that `layer` feeds, each once, in topological order."""
        if len(layer.outputs) == 1:
            return self.consumers(layer.outputs[0])
        found = {consumer.name: consumer for tensor in layer.outputs for consumer in self.consumers(tensor)}
        return tuple(sorted(found.values(), key=lambda consumer: self.position[consumer.name]))

    def is_output(self, tensor: Tensor) -> bool:
        """Return whether `tensor` is an output of the network."""
        return tensor.name in self._output_names

    def is_read_once(self, tensor: Tensor) -> bool:
        """Return whether one layer reads `tensor`, as one of its inputs, and the network does not output it.

        A walk back over such tensors alone meets none of them twice.
        """
        return self._readings[tensor.name] == 1 and not self.is_output(tensor)

    def sole_successor(self, layer: Layer) -> Layer | None:
        """Return the only layer that reads `layer`; None if there are several, or the network outputs it too."""
        if any(self.is_output(tensor) for tensor in layer.outputs):
            return None
        successors = self.successors(layer)
        return successors[0] if len(successors) == 1 else None

    @cached_property
    def _readings(self) -> Counter[str]:
        return Counter(tensor.name for layer in self.layers for tensor in layer.inputs)

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """The distinct weights that layers use, in the order of first use."""
        return tuple({weight.key: weight for layer in self.layers for weight in layer.weights}.values())

    @cached_property
    def parameters(self) -> int | None:
        """The number of elements of all distinct weights; None if unknown."""
        return None if self.unread else weight_elements(self.weights)

    @property
    def batch(self) -> Dim:
        """The extent of the batch axis of the first input."""
        shape = self.inputs[0].shape if self.inputs else None
        return shape[0] if shape else None


@contextmanager
def gc_paused() -> Generator[None]:
    """Pause the cyclic garbage collector until the block ends.

    A graph consists of many small long-lived records without reference cycles. The collector would scan them again and
    again in vain: for 50,000 layers that took a third of the time to build the graph.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

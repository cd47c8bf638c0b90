"""What a rule may ask about the network that it looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from cnnlint.analysis.cost import layer_macs, peak_activation_bytes, total_macs, weight_bytes
from cnnlint.analysis.heads import Head, heads
from cnnlint.analysis.inputs import closing_options
from cnnlint.analysis.receptive_field import BOARD, Border, border_of, kernel_depths, receptive_fields
from cnnlint.analysis.samples import Batch, batch_of
from cnnlint.analysis.stages import shrinks
from cnnlint.errors import RuleError
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Conv, Opaque
from cnnlint.graph.tensor import known, why_forbidden
from cnnlint.results import Per

if TYPE_CHECKING:
    from cnnlint.analysis.weight_values import WeightValues

Framework = Literal["keras", "pytorch", ""]


class Context:
    """A graph and the facts about it, each worked out once and only when asked for.

    Attributes:
        graph: The network.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._weight_values: WeightValues | None = None

    @property
    def parameters(self) -> int | None:
        """Distinct weight elements of the whole network; None if unknown."""
        return self.graph.parameters

    @property
    def unknown_weights(self) -> str:
        """Why nothing is known of the weights, as a clause; "" if they were read."""
        unread = self.graph.unread
        return f"the weights are unknown: {unread}" if unread else ""

    @cached_property
    def layers_by_part(self) -> dict[str, Layer]:
        """The layers by the names that what they were raised from has in the file."""
        return {part.name: layer for layer in self.graph.layers for part in layer.origin}

    def layers_at(self, parts: Iterable[str]) -> tuple[Layer, ...]:
        """Return the layers that parts of the file were raised to, each once, in the order of the parts."""
        made = self.layers_by_part
        return tuple({layer.name: layer for part in parts if (layer := made.get(part)) is not None}.values())

    @cached_property
    def batch(self) -> Batch:
        """What one sample is."""
        return batch_of(self.graph)

    @property
    def per(self) -> Per:
        """What MACs and activations are counted for: one sample, or a run as declared where there is no batch."""
        return "run" if self.batch.run else "sample"

    @cached_property
    def macs(self) -> int | None:
        """Multiply-accumulates per sample; None if a layer's are unknown."""
        return total_macs(self.graph, self.batch)

    @cached_property
    def _closed(self) -> Layer | None:
        """The first layer that stays unknown on inputs of any size: control flow, a custom operator."""
        return next((layer for layer in self.graph.of_kind(Opaque) if not layer.lacks_shapes), None)

    @property
    def _uncounted(self) -> Layer | None:
        """The first layer whose multiply-accumulates are unknown, of those that a size does not help if there are."""
        return self._closed or next((layer for layer in self.graph.layers if self.layer_macs(layer) is None), None)

    @property
    def unknown_macs(self) -> str:
        """Why the multiply-accumulates are unknown, as a clause; "" if they are known."""
        if self.macs is not None:
            return ""
        layer = self._uncounted
        if layer is None:
            return "the sum exceeds 64 bits"
        if layer.multiplies is None:
            return f"{layer.name} {layer.unknown_reason}"
        return f"shapes at {layer.name} are not known in numbers"

    def notes_on_numbers(self) -> Iterator[str]:
        """Yield why numbers of the network are unknown, or are those of a run, a sentence each."""
        if self.batch.run:
            yield f"MACs and activations are those of a run as declared, not of a sample: {self.batch.run}"
        options = closing_options(self.graph, batch=bool(self.batch.run))
        if not options and self.macs is None and (layer := self._uncounted) is not None and layer.multiplies:
            options = closing_options(self.graph, batch=True)  # arithmetic on the batch itself leaves a shape open
        if self._closed is not None:
            options = ""
        closed = f"; give the input a size: {options}" if options else ""
        if self.unknown_macs:
            yield f"MACs are unknown: {self.unknown_macs}{closed}"
        elif options and self.peak_activation_bytes is None:
            yield f"peak activations are unknown{closed}"

    @cached_property
    def weight_bytes(self) -> int | None:
        """Bytes of all distinct weights; None if a weight's or a type's size is unknown."""
        return weight_bytes(self.graph)

    @cached_property
    def peak_activation_bytes(self) -> int | None:
        """The most bytes of activations alive at once, per sample; None if a shape is unknown."""
        return peak_activation_bytes(self.graph, self.batch)

    @cached_property
    def receptive_fields(self) -> dict[str, tuple[int, ...] | None]:
        """Input pixels along each spatial axis that an output element of a layer depends on, by layer name."""
        return receptive_fields(self.graph)

    @cached_property
    def shortest_fields(self) -> dict[str, tuple[int, ...] | None]:
        """The same along the path on which a layer sees least: past residual branches where there are any."""
        return receptive_fields(self.graph, shortest=True)

    @cached_property
    def border(self) -> Border | str:
        """Where receptive fields grow past the image; or why that is no question here, "" without any convolution."""
        if next(self.graph.of_kind(Conv), None) is None:
            return ""
        image = self.image
        if image is None:
            return "the size of the image is open, or there are several"
        if not all(head.is_vector for head in self.heads):
            return "it gives maps, which need context at every position"
        if max(image) < BOARD and not any(shrinks(layer) for layer in self.graph.layers):
            return "a small map that keeps its size, as networks for the boards of games have"
        return border_of(self.graph, self.shortest_fields, image)

    @property
    def image(self) -> tuple[int, ...] | None:
        """The declared extents of the network's one input that has positions; None if open, or several inputs do."""
        images = [tensor.spatial for tensor in self.graph.inputs if tensor.spatial]
        return known(images[0]) if len(images) == 1 else None

    @cached_property
    def depths(self) -> dict[str, int | None]:
        """Convolutions and dense layers on the longest path to and including a layer, by its name; None if unknown."""
        return kernel_depths(self.graph)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """What makes each output of the network, in the order of the outputs."""
        return heads(self.graph)

    @property
    def weight_values(self) -> WeightValues:
        """What the values of the weights say; the file is read when a rule first asks, and once for all rules.

        Raises:
            RuleError: The current rule does not declare that it reads values.
        """
        if reason := why_forbidden():
            raise RuleError(f"the values of weights may not be looked at: {reason}")
        if self._weight_values is None:
            from cnnlint.analysis.weight_values import WeightValues

            self._weight_values = WeightValues(self.graph)
        return self._weight_values

    def unread_values(self) -> str:
        """Return which weights' values a rule wanted and could not read, and why, as a clause; "" if it read all."""
        unread = {} if self._weight_values is None else self._weight_values.unread
        if not unread:
            return ""
        key, cause = next(iter(unread.items()))
        more = f", and {len(unread) - 1:,} more weights" if len(unread) > 1 else ""
        return f"the values of {key} were not looked at: {cause}{more}"

    @cached_property
    def _heads_by_activation(self) -> dict[str, Head]:
        found = dict[str, Head]()
        for head in self.heads:
            for layer in head.activations:
                found.setdefault(layer.name, head)
        return found

    def head_of(self, layer: Layer) -> Head | None:
        """Return the head whose last functions `layer` is one of; None if it is none."""
        return self._heads_by_activation.get(layer.name)

    def layer_macs(self, layer: Layer) -> int | None:
        """Return the multiply-accumulates of `layer` per sample; None if unknown."""
        return layer_macs(layer, self.batch)

    def share(self, layer: Layer) -> float | None:
        """Return the share of the network's parameters that `layer` holds, 0 to 1; None if unknown."""
        held, total = layer.parameters, self.parameters
        if held is None or total is None:
            return None
        return held / total if total else 0.0

    @cached_property
    def _written(self) -> int | None:
        sizes = [tensor.sample_elements for layer in self.graph.layers for tensor in layer.outputs]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def written_share(self, layer: Layer) -> float | None:
        """Return the share of all values that the layers write for a sample that `layer` writes; None if unknown."""
        mine = layer.output.sample_elements
        return mine / self._written if mine is not None and self._written else None

    @property
    def framework(self) -> Framework:
        """What the user most likely wrote the network in; "" if the file does not say."""
        source = self.graph.source
        producer = source.producer.lower()
        if source.format in ("keras", "h5", "savedmodel") or producer.startswith(("tf2onnx", "keras")):
            return "keras"
        return "pytorch" if producer.startswith("pytorch") else ""

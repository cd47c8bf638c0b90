"""Receptive fields: how much of the input an output element depends on.

What a layer sees along the longest of its paths is the figure of Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019; what it sees along the shortest is that of Richter et al., "Should You Go
Deeper? Optimizing Convolutional Neural Network Architectures without Training", ICMLA 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor

from msgspec import Struct

from cnnlint import limits
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Conv, Multiply
from cnnlint.graph.queries import KERNEL_LAYERS
from cnnlint.graph.tensor import Tensor
from cnnlint.graph.window import POINT, Span

ROUNDING = 1e-6
"""What sums of strides such as 1/3 may be off by."""


class Field(Struct, frozen=True):
    """What one element of a map sees along one spatial axis of the input.

    Elements of a map that is finer than one ahead of it, after a transposed convolution or an upsampling, differ in how
    many elements of the coarse map they see. The field is then kept on the grid of that map, in fractions, until all
    elements of a map lie alike on it again: rounding any earlier would lose what the next windows add up.

    Attributes:
        extent: Input elements, from the first to the last, that an element of the coarse grid sees.
        jump: Input elements between two neighbors of the coarse grid; 0 where all see the same.
        seen: Elements of the coarse grid, from the first to the last, that an element sees, to be rounded down.
        step: From one element to its neighbor, on the coarse grid.
    """

    extent: int = 1
    jump: int = 1
    seen: float = 1
    step: float = 1

    @property
    def size(self) -> int:
        """Input elements, from the first to the last, that an element sees, the most where elements differ in it."""
        return self.extent if self.seen == 1 else self.extent + (floor(self.seen + ROUNDING) - 1) * self.jump

    def through(self, span: Span) -> Field:
        """Return the field of what sees so much of this map."""
        finer = Field(self.extent, self.jump, self.seen + (span.extent - 1) * self.step, self.step * span.stride)
        whole = round(finer.step)
        if finer.step == whole or (whole and abs(finer.step - whole) < ROUNDING):
            return Field(finer.size, self.jump * whole)
        return finer

    @property
    def pace(self) -> float:
        """Input elements from what one element sees to what its neighbor sees."""
        return self.jump * self.step

    def covers(self, other: Field) -> bool:
        """Return whether this field is at least as large as `other`, and stays so through any windows."""
        if self.pace < other.pace - ROUNDING:
            return False
        if self.jump == other.jump and self.extent >= other.extent and self.seen >= other.seen - ROUNDING:
            return True
        # one is rounded down where the other is not: the least of this is held against the most of the other
        least = self.extent + (self.seen - 1) * self.jump - (0 if self.step == 1 else self.jump)
        return least >= other.extent + (other.seen - 1) * other.jump


Axis = tuple[Field, ...]
"""The fields along the paths that lead to a map: more than one where the larger may not stay the larger."""

Fields = tuple[Axis, ...]


Choice = Callable[[Sequence[Field]], Axis]
"""Which of several paths' fields count."""


def receptive_fields(graph: Graph, *, shortest: bool = False) -> dict[str, tuple[int, ...] | None]:
    """Return the receptive field of each layer per spatial axis of the input, by layer name.

    Along several paths the largest counts, or the smallest if `shortest`; a gate (a 1×1 map or a vector that multiplies
    a map, as in squeeze-and-excitation) and the statistics of a normalization are left out, as they would make every
    field the whole image. None where there is no spatial axis to speak of, an extent that is needed is unknown, or a
    layer does not say how far it sees, and from there on.
    """
    choose: Choice = _smallest if shortest else _largest
    fields = dict[str, Fields | None]()
    for tensor in graph.inputs:
        spatial = tensor.spatial
        fields[tensor.name] = ((Field(),),) * len(spatial or ())
    result = dict[str, tuple[int, ...] | None]()
    latest: Fields | None = None
    sizes: tuple[int, ...] | None = None
    for layer in graph.layers:
        found = _behind(layer, fields, choose)
        if found is not latest:  # what works at each position hands on the very fields that it was given
            if found and any(max(field.size, field.pace) > limits.MAX_INT64 for axis in found for field in axis):
                found = None
            latest, sizes = found, tuple(axis[0].size for axis in found) if found else None
        for tensor in layer.outputs:
            fields[tensor.name] = found
        result[layer.name] = sizes
    return result


def _behind(layer: Layer, fields: dict[str, Fields | None], choose: Choice) -> Fields | None:
    """Return the fields of what `layer` makes: () where nothing of an image is seen, None where it is unknown."""
    before = _joined(layer, fields, choose)
    if not before:
        return before
    axes = len(before) if before[0][0].jump or any(field.jump for axis in before for field in axis) else 0
    spans = layer.receptive_spans(axes)
    if spans is None:
        return None
    if axes == 0 or spans.count(POINT) == axes:
        return before
    if all(axis == before[0] for axis in before) and all(span == spans[0] for span in spans):
        return (choose([field.through(spans[0]) for field in before[0]]),) * axes  # square windows on square maps
    return tuple(
        axis if span == POINT else choose([field.through(span) for field in axis])
        for axis, span in zip(before, spans, strict=True)
    )


def _joined(layer: Layer, fields: dict[str, Fields | None], choose: Choice) -> Fields | None:
    if len(layer.inputs) == 1:
        return fields.get(layer.inputs[0].name, ())
    tensors = _without_gates(layer.inputs) if isinstance(layer, Multiply) else layer.inputs
    found = [fields.get(tensor.name, ()) for tensor in tensors]
    if None in found:
        return None
    known = [field for field in found if field]
    if len(known) < 2:
        return known[0] if known else ()
    if len({len(field) for field in known}) > 1:
        return None
    if all(field == known[0] for field in known):
        return known[0]
    return tuple(choose([field for axis in axes for field in axis]) for axes in zip(*known, strict=True))


def _largest(fields: Sequence[Field]) -> Axis:
    """Return those of `fields` that no other covers, the largest first."""
    if len(fields) == 1:
        return (fields[0],)
    kept = list[Field]()
    for field in sorted(fields, key=lambda field: (field.size, field.pace), reverse=True):
        if not any(larger.covers(field) for larger in kept):
            kept.append(field)
    return tuple(kept)


def _smallest(fields: Sequence[Field]) -> Axis:
    return (fields[0],) if len(fields) == 1 else (min(fields, key=lambda field: (field.size, field.pace)),)


def _without_gates(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    maps = tuple(tensor for tensor in tensors if any(extent != 1 for extent in tensor.spatial or ()))
    return maps or tensors


BOARD = 20
"""Extents of an image from which on it is no board: go is played on 19 × 19."""


class Border(Struct, frozen=True):
    """Where receptive fields grow past the image.

    Attributes:
        image: Its extents.
        unproductive: The convolutions whose windows find nothing new in it.
        critical: Those that first see beyond it.
    """

    image: tuple[int, ...]
    unproductive: tuple[Conv, ...]
    critical: tuple[Conv, ...]


def border_of(graph: Graph, fields: dict[str, tuple[int, ...] | None], image: tuple[int, ...]) -> Border:
    """Return where the fields of convolutions grow past the image.

    A convolution of more than one tap finds nothing new if each element of the map that it reads sees the whole of the
    image already, on every axis along which the kernel reaches (Richter et al. call it unproductive). Where its own
    field is larger than the image, and the one of what it reads is not, it is critical.

    Args:
        graph: The network.
        fields: The fields along the shortest paths.
        image: Extents of the input.
    """
    unproductive, critical = list[Conv](), list[Conv]()
    for layer in graph.of_kind(Conv):
        maker = graph.producer(layer.input)
        seen, sees = fields.get(maker.name) if maker else None, fields.get(layer.name)
        if seen is None or sees is None or not len(seen) == len(sees) == len(image) == len(layer.kernel_size):
            continue
        axes = [axis for axis, taps in enumerate(layer.kernel_size) if taps > 1 and sees[axis] > seen[axis]]
        if layer.kernel_size == layer.input.spatial and all(extent == 1 for extent in layer.output.spatial or ()):
            continue  # a dense layer by another name
        if axes and all(seen[axis] >= image[axis] for axis in axes):
            unproductive.append(layer)
        elif axes and all(sees[axis] > image[axis] for axis in axes):
            critical.append(layer)
    return Border(image, tuple(unproductive), tuple(critical))


def kernel_depths(graph: Graph) -> dict[str, int | None]:
    """Return the number of convolutions and dense layers on the longest path to and including each layer, by name.

    This is the depth that papers count: 16 for VGG16, 50 for ResNet50. None from a layer on whose inside is not known.
    """
    of_tensor = dict[str, int | None]()
    of_layer = dict[str, int | None]()
    for layer in graph.layers:
        depth = None if layer.multiplies is None else 0
        for tensor in layer.inputs:
            ahead = of_tensor.get(tensor.name, 0)
            depth = None if ahead is None or depth is None else max(depth, ahead)
        if depth is not None and isinstance(layer, KERNEL_LAYERS):
            depth += 1
        of_layer[layer.name] = depth
        for tensor in layer.outputs:
            of_tensor[tensor.name] = depth
    return of_layer

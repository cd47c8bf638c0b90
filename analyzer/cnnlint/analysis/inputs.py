"""Extents that the inputs of a network may have: those that the file leaves open, and larger ones."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import Dim, Tensor

if TYPE_CHECKING:
    from cnnlint.graph.tensor import Shape

TYPICAL = 224
"""An extent to show as an example: that of most classifiers of images."""


def closing_options(graph: Graph, *, batch: bool = False) -> str:
    """Return options that give each open input extents in the file's order of axes, `--input image=1x224x224x3`.

    Args:
        graph: The network.
        batch: Whether an input is open too whose first axis alone is no number.

    Returns:
        "" where nothing is open, or nothing is known of what is.
    """
    orders = graph.input_orders or (None,) * len(graph.inputs)
    samples = {tensor.shape[0] for tensor in graph.inputs if tensor.shape}  # a state may have its batch elsewhere
    return " ".join(
        f"--input {tensor.name}={_example(tensor, order, samples)}"
        for tensor, order in zip(graph.inputs, orders, strict=True)
        if is_open(tensor) or (batch and tensor.shape and not isinstance(tensor.shape[0], int))
    )


def is_open(tensor: Tensor) -> bool:
    """Return whether an extent of `tensor` other than its batch is not a number."""
    return not all(isinstance(dim, int) for dim in tensor.sample_shape or ())


def _example(tensor: Tensor, order: tuple[int, ...] | None, samples: Set[Dim]) -> str:
    extents = list[int]()
    for axis, dim in enumerate(tensor.shape or ()):
        counts_samples = axis == 0 or (dim is not None and dim in samples)
        extents.append(dim if isinstance(dim, int) else 1 if counts_samples else TYPICAL)
    if order is not None:
        extents = [extents[order.index(axis)] for axis in range(len(extents))]
    return "x".join(map(str, extents))


def larger_extents(extents: tuple[int, ...]) -> tuple[int, ...]:
    """Return the extents of a larger image to speak of: 384 for the usual crop of 224, twice as many for others."""
    return tuple(384 if extent == 224 else 2 * extent for extent in extents)


def spatial_on(graph: Graph, tensor: Tensor, image: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the spatial extents of `tensor` when the network's one image input has those of `image`.

    None where they cannot be told: several inputs, no image, layers of fixed or unknown output shape ahead.
    """
    shapes = shapes_on(graph, image, tensor)
    found = shapes.get(tensor.name)
    sizes = [extent for extent in (found or ())[2:] if isinstance(extent, int)]
    return tuple(sizes) if found is not None and sizes and len(sizes) == len(found) - 2 else None


def shapes_on(graph: Graph, image: tuple[int, ...], last: Tensor) -> dict[str, Shape | None]:
    """Return the shapes of all tensors up to `last` when the network's one image input has the extents of `image`.

    None stands for those that cannot be told; without one image input there are none.
    """
    if len(graph.inputs) != 1 or len(graph.inputs[0].spatial or ()) != len(image):
        return {}
    shape = graph.inputs[0].shape or ()
    shapes: dict[str, Shape | None] = {graph.inputs[0].name: (*shape[:2], *image)}
    for layer in graph.layers:
        if last.name in shapes:
            break
        fed = tuple(replace(each, shape=shapes.get(each.name)) for each in layer.inputs)
        known = all(each.shape is not None for each in fed) and layer.infers_shape
        results = (
            map(limits.extents, replace(layer, inputs=fed).output_shapes()) if known else (None,) * len(layer.outputs)
        )
        shapes.update(zip((each.name for each in layer.outputs), results, strict=False))
    return shapes

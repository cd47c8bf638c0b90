"""Inputs whose extents the file leaves open, and how to close them."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import Shape, Tensor

TYPICAL = 224
"""An extent to show as an example: that of most classifiers of images."""


def closing_options(graph: Graph) -> str:
    """Return options that give each open input extents, `--input image=1x224x224x3`; "" where none but batches are."""
    return " ".join(
        f"--input {tensor.name}={_example(tensor.sample_shape, graph.source.layout)}"
        for tensor in graph.inputs
        if is_open(tensor)
    )


def is_open(tensor: Tensor) -> bool:
    """Return whether an extent of `tensor` other than its batch is not a number."""
    return not all(isinstance(dim, int) for dim in tensor.sample_shape or ())


def _example(shape: Shape | None, layout: str) -> str:
    extents = [dim if isinstance(dim, int) else TYPICAL for dim in shape or ()]
    if layout == "channels_last" and len(extents) > 1:
        extents = [*extents[1:], extents[0]]
    return "x".join(map(str, [1, *extents]))

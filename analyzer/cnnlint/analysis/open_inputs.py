"""Inputs whose extents the file leaves open, and how to close them."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import Tensor

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
    return " ".join(
        f"--input {tensor.name}={_example(tensor, order)}"
        for tensor, order in zip(graph.inputs, orders, strict=True)
        if is_open(tensor) or (batch and tensor.shape and not isinstance(tensor.shape[0], int))
    )


def is_open(tensor: Tensor) -> bool:
    """Return whether an extent of `tensor` other than its batch is not a number."""
    return not all(isinstance(dim, int) for dim in tensor.sample_shape or ())


def _example(tensor: Tensor, order: tuple[int, ...] | None) -> str:
    shape = tensor.shape or ()
    extents = [dim if isinstance(dim, int) else TYPICAL if axis else 1 for axis, dim in enumerate(shape)]
    if order is not None:
        extents = [extents[order.index(axis)] for axis in range(len(extents))]
    return "x".join(map(str, extents))

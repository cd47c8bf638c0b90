"""What the files say about a layer whose output differs: its settings, and the values of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cnnlint.comparison.changes import changes
from cnnlint.errors import CnnlintError
from cnnlint.graph.layers import Conv, Dense

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.graph.tensor import Weight

    Array = NDArray[Any]

FOLDED = frozenset({"use_bias", "parameters"})
"""What folding a norm changes about the layer before it."""

LARGEST = 1 << 26
"""Bytes of a weight that is looked into."""


def causes(before: Graph, after: Graph, left: Layer, right: Layer, *, alike: bool) -> Iterator[str]:
    """Yield what differs between the layers `left` of `before` and `right` of `after`, a clause each.

    Args:
        before: The first network.
        after: The second.
        left: A layer of the first.
        right: Its counterpart.
        alike: Whether neither has a norm folded into its weights that the other has beside it.
    """
    for change in changes(left, right):
        if not alike and change.field in FOLDED:
            continue
        yield f"{change.field.replace('_', ' ')} {change.before} against {change.after}"
    if not alike:
        return
    keras = [graph.source.format in ("keras", "h5") for graph in (before, after)]
    for weight in left.weights:
        other = next((held for held in right.weights if _role(held) == _role(weight)), None)
        if (
            other is None
            or weight.size is None
            or weight.size != other.size
            or max(weight.nbytes or 0, other.nbytes or 0) > LARGEST
        ):
            continue
        try:
            forms, again = _forms(left, weight, keras=keras[0]), _forms(right, other, keras=keras[1])
        except CnnlintError:
            continue
        if said := _against(forms, again):
            yield f"{_role(weight).replace('_', ' ')} {said}"


def _role(weight: Weight) -> str:
    """Return the part that a weight plays; Keras calls the kernels of some layers by the layer's kind as well."""
    return "kernel" if weight.role.endswith("kernel") else weight.role


def _against(forms: list[Array], again: list[Array]) -> str:
    """Return what differs between two weights; "" if they are equal in one of their forms."""
    import numpy as np

    apart = [
        float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
        for one in forms
        for other in again
        if one.shape == other.shape
    ]
    if not apart or min(apart) <= 1e-6 * float(np.abs(forms[0]).max()):
        return ""
    if np.allclose(np.sort(forms[0], axis=None), np.sort(again[0], axis=None), rtol=1e-6, atol=0):
        return "holds the same values in another order"
    return f"values differ by up to {min(apart):.3g}"


def _forms(layer: Layer, weight: Weight, *, keras: bool) -> list[Array]:
    """Return the values as ONNX arranges them; in both ways where a file does not say which one it has."""
    values: Array = weight.values()
    if _role(weight) != "kernel" or values.ndim < 2:
        return [values.reshape(-1)]
    if isinstance(layer, Dense) and values.ndim == 2:
        return [values, values.T]
    if isinstance(layer, Conv) and keras:
        axes = tuple(range(values.ndim - 2))
        inputs, outputs = values.ndim - 2, values.ndim - 1
        if layer.is_depthwise:  # channels, then filters of each
            return [values.transpose(inputs, outputs, *axes).reshape(layer.filters, 1, *layer.kernel_size)]
        return [values.transpose(outputs, inputs, *axes)]
    return [values]

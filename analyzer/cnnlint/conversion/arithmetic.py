"""The ONNX operators that a converter leaves between a weight and its layer, in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Attributes = dict[str, Any]
    Evaluate = Callable[[list[Array], Attributes], Array]


def _transpose(arrays: list[Array], attributes: Attributes) -> Array:
    return arrays[0].transpose(attributes.get("perm"))


def _reshape(arrays: list[Array], attributes: Attributes) -> Array:
    data, wanted = arrays[0], [int(dim) for dim in arrays[1]]
    if not attributes.get("allowzero"):
        wanted = [data.shape[axis] if dim == 0 else dim for axis, dim in enumerate(wanted)]
    return data.reshape(wanted)


def _squeeze(arrays: list[Array], attributes: Attributes) -> Array:
    import numpy as np

    axes = _axes(arrays, attributes)
    return np.squeeze(arrays[0], axis=None if axes is None else tuple(axes))


def _unsqueeze(arrays: list[Array], attributes: Attributes) -> Array:
    import numpy as np

    return np.expand_dims(arrays[0], tuple(_axes(arrays, attributes) or ()))


def _axes(arrays: list[Array], attributes: Attributes) -> list[int] | None:
    """An attribute up to opset 12, an input since."""
    given = attributes.get("axes") if len(arrays) == 1 else arrays[1]
    return None if given is None else [int(axis) for axis in given]


def _cast(arrays: list[Array], attributes: Attributes) -> Array:
    from onnx import helper

    return arrays[0].astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _sqrt(arrays: list[Array], _: Attributes) -> Array:
    import numpy as np

    return np.sqrt(arrays[0])


MOVES = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast"})
"""Operators whose output holds the values of their first input."""

EVALUATE: dict[str, Evaluate] = {
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Identity": lambda arrays, _: arrays[0],
    "Cast": _cast,
    "Add": lambda arrays, _: arrays[0] + arrays[1],
    "Sub": lambda arrays, _: arrays[0] - arrays[1],
    "Mul": lambda arrays, _: arrays[0] * arrays[1],
    "Neg": lambda arrays, _: -arrays[0],
    "Sqrt": _sqrt,
    "Reciprocal": lambda arrays, _: arrays[0].dtype.type(1) / arrays[0],
}
"""By operator type: the value of the node's output from its inputs and attributes."""

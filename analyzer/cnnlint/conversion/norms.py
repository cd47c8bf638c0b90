"""Fold per-channel arithmetic, such as a BatchNorm at inference, into the convolution or matrix product before it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from cnnlint.conversion.constants import replace_nodes, unique_name

if TYPE_CHECKING:
    import onnx

    from cnnlint.conversion.constants import Array, Constants

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


class Affine(NamedTuple):
    """A node that computes x * scale + shift per channel; a missing scale or shift is None.

    Attributes:
        flat: Whether the arrays are plain vectors along the channel axis, not shaped for broadcasting.
    """

    source: str
    scale: Array | None
    shift: Array | None
    flat: bool = False


def fold_norms(constants: Constants) -> int:
    """Fold Conv -> Mul -> Add, Conv -> BatchNormalization and MatMul -> Mul with constant channels; return how many.

    Only weights with a single reader are changed, and only in float32 and float64, where rounding the product
    (computed in float64) costs less than the rounding of the convolution itself.
    """
    uses = Counter(constants.used())
    producers: dict[str, onnx.NodeProto] = {}
    kept: list[onnx.NodeProto] = []
    folded = 0
    for node in constants.graph.node:
        target = _fold_into(node, producers, constants, uses)
        if target is None:
            kept.append(node)
            target = node
        else:
            folded += 1
        producers |= dict.fromkeys(target.output, target)
    replace_nodes(constants.graph, kept)
    return folded


def _fold_into(
    node: onnx.NodeProto, producers: dict[str, onnx.NodeProto], constants: Constants, uses: Counter[str]
) -> onnx.NodeProto | None:
    """Fold `node` into the producer of its input, and return the new producer of its output; None if impossible.

    TensorFlow's Conv1D is a Conv over two spatial axes and a Squeeze of the first; then the Squeeze is returned.
    """
    affine = _affine(node, constants)
    last = producers.get(affine.source) if affine else None
    if affine is None or last is None or uses[affine.source] != 1:
        return None
    dropped = _dropped_axes(last, constants)
    target = producers.get(last.input[0]) if dropped and uses[last.input[0]] == 1 else last
    if target is None:
        return None
    if target.op_type in CONVOLUTIONS and target.domain == "":
        done = _into_convolution(target, affine, constants, uses, dropped)
    elif target.op_type == "MatMul" and affine.shift is None and not dropped:
        done = _into_matrix(target, affine, constants, uses)
    else:
        return None
    if not done:
        return None
    last.output[0] = node.output[0]
    return last


def _dropped_axes(node: onnx.NodeProto, constants: Constants) -> int:
    """Return how many spatial axes `node` squeezes; 0 if it is anything but such a Squeeze."""
    if node.op_type != "Squeeze":
        return 0
    given = constants.values.get(node.input[1]) if len(node.input) > 1 else None
    axes = [int(axis) for axis in given] if given is not None else [*(node.attribute[0].ints if node.attribute else ())]
    return len(axes) if min(axes, default=0) >= 2 else 0


def _into_convolution(
    target: onnx.NodeProto, affine: Affine, constants: Constants, uses: Counter[str], dropped: int
) -> bool:
    import numpy as np

    kernel = constants.values.get(target.input[1])
    if kernel is None or kernel.dtype.char not in "fd" or uses[target.input[1]] != 1:
        return False
    has_bias = len(target.input) > 2 and bool(target.input[2])
    old_bias = constants.values.get(target.input[2]) if has_bias else None
    if has_bias and old_bias is None:
        return False
    groups = next((item.i for item in target.attribute if item.name == "group"), 1)
    transposed = target.op_type == "ConvTranspose"
    filters = kernel.shape[1] * groups if transposed else kernel.shape[0]
    spatial = (1,) * (kernel.ndim - 2)
    if affine.scale is None and affine.shift is not None and affine.shift.size == 1 < filters:
        # A norm shifts by a vector. A single number is usually part of an activation: tools recognize the hard
        # sigmoid relu6(x + 3) / 6 by it.
        return False
    aligned = () if affine.flat else spatial[dropped:]
    scale, shift = (_per_channel(value, filters, aligned) for value in (affine.scale, affine.shift))
    if (scale is None and affine.scale is not None) or (shift is None and affine.shift is not None):
        return False
    bias = np.zeros(filters) if old_bias is None else old_bias.astype(np.float64)
    if scale is not None:
        if transposed:
            # The kernel is (channels, filters / groups, ...): the filters of a group see only its channels.
            blocks = kernel.reshape(groups, -1, *kernel.shape[1:]) * scale.reshape(groups, 1, -1, *spatial)
            new_kernel = blocks.reshape(kernel.shape)
        else:
            new_kernel = kernel * scale.reshape(-1, 1, *spatial)
        _replace(target, 1, new_kernel.astype(kernel.dtype), constants, uses)
        bias = bias * scale
    if shift is not None:
        bias = bias + shift
    if old_bias is not None or shift is not None:
        _replace(target, 2, bias.astype(kernel.dtype), constants, uses)
    return True


def _into_matrix(target: onnx.NodeProto, affine: Affine, constants: Constants, uses: Counter[str]) -> bool:
    matrix = constants.values.get(target.input[1])
    if matrix is None or matrix.ndim != 2 or matrix.dtype.char not in "fd" or uses[target.input[1]] != 1:
        return False
    scale = _per_channel(affine.scale, matrix.shape[1], ())
    if scale is None:
        return False
    _replace(target, 1, (matrix * scale).astype(matrix.dtype), constants, uses)
    return True


def _affine(node: onnx.NodeProto, constants: Constants) -> Affine | None:
    """Read `node` as an affine map of its one non-constant input; None if it is not one."""
    if node.domain not in {"", "ai.onnx"}:
        return None
    if node.op_type == "BatchNormalization":
        return _batch_normalization(node, constants)
    if node.op_type not in {"Mul", "Add", "Sub"}:
        return None
    first, second = node.input
    if (second in constants.values) == (first in constants.values):
        return None
    source, other = (first, second) if second in constants.values else (second, first)
    value = constants.values[other]
    if node.op_type == "Mul":
        return Affine(source, value, None)
    if node.op_type == "Add":
        return Affine(source, None, value)
    return Affine(source, None, -value) if source == first else None


def _batch_normalization(node: onnx.NodeProto, constants: Constants) -> Affine | None:
    import numpy as np

    values = [constants.values.get(name) for name in node.input[1:5]]
    gamma, beta, mean, variance = [None if value is None else value.astype(np.float64) for value in values]
    if gamma is None or beta is None or mean is None or variance is None or len(node.output) > 1:
        return None
    # ONNX's default; a float32 in the file.
    epsilon = next((item.f for item in node.attribute if item.name == "epsilon"), 1e-5)
    scale = gamma / np.sqrt(variance + epsilon)
    return Affine(node.input[0], scale, beta - mean * scale, flat=True)


def _per_channel(value: Array | None, filters: int, spatial: tuple[int, ...]) -> Array | None:
    """Return `value` as a float64 vector of `filters`; None if it varies along any other axis."""
    import numpy as np

    if value is None:
        return None
    if value.ndim <= len(spatial) + 2:
        if value.size == 1:
            return np.full(filters, value.item(), np.float64)
        if value.shape in {(filters, *spatial), (1, filters, *spatial)}:
            return value.reshape(filters).astype(np.float64)
    return None


def _replace(node: onnx.NodeProto, index: int, value: Array, constants: Constants, uses: Counter[str]) -> None:
    """Give `node` its own constant at input `index`."""
    old = node.input[index] if index < len(node.input) else ""
    if old and uses[old] == 1:
        constants.values[old] = value
        return
    taken = constants.values.keys() | uses.keys()
    name = unique_name(f"{node.name or node.output[0]}/bias", set(taken))
    constants.values[name] = value
    uses[name] += 1
    if index < len(node.input):
        uses[old] -= 1
        node.input[index] = name
    else:
        node.input.append(name)

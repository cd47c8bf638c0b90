"""Which order the axes of an input have: read off the first operator behind it that cares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnnlint.frontends.onnx.lowering.values import Constant, Value
from cnnlint.frontends.onnx.records import NodeRecord
from cnnlint.frontends.raising.view import Permutation, to_channels_first
from cnnlint.graph.tensor import Shape

AGNOSTIC = frozenset(
    {
        "Abs", "Add", "Cast", "Celu", "Clip", "Concat", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear",
        "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "Mean", "Min", "Mish",
        "Mul", "Neg", "PRelu", "Pad", "Pow", "QLinearAdd", "QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid",
        "QuantizeLinear", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softmax", "Softplus",
        "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "Where",
    }
)  # fmt: skip
"""Operators that work in any order of the axes."""

SPATIAL = frozenset(
    {
        "AveragePool", "BatchNormalization", "Conv", "ConvInteger", "ConvTranspose", "DepthToSpace",
        "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "InstanceNormalization", "LRN", "LpPool", "MaxPool",
        "QLinearAveragePool", "QLinearConv", "QLinearGlobalAveragePool", "SpaceToDepth",
    }
)  # fmt: skip
"""Operators that want the channels in front of the spatial axes."""

RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
"""Operators that want the steps of a sequence in front of the batch, unless their layout says otherwise."""

FAR = 64
"""Tensors that the search looks at before it gives up."""


def find_layout(
    name: str, shape: Shape | None, readers: Mapping[str, Sequence[NodeRecord]], values: Mapping[str, Value]
) -> Permutation | None:
    """Return the transpose that the tensor `name` needs to have its batch first, and then its channels.

    Args:
        name: A tensor whose order is not known: an input, or what a Reshape makes.
        shape: In the file's order.
        readers: The nodes that read each tensor.
        values: What is known of tensors; constants in particular.

    Returns:
        None if the tensor has its channels first already, or nobody cares.
    """
    if shape is None or len(shape) < 3:
        return None
    wanted = to_channels_first(len(shape))
    seen = {name}
    ahead: list[tuple[str, Shape]] = [(name, shape)]
    while ahead and len(seen) < FAR:
        tensor, seen_as = ahead.pop()
        for node in readers.get(tensor, ()):
            if node.op_type == "Transpose":
                return wanted if node.attributes.get("perm") == to_channels_first(len(seen_as)) else None
            if node.op_type == "Reshape" and seen_as[-1] == 1 and _moves_channels(node, seen_as, values):
                return wanted
            if node.op_type in SPATIAL:
                return None
            if node.op_type in RECURRENT and len(seen_as) == len(shape) == 3 and node.inputs[0] == tensor:
                return None if node.attributes.get("layout") else (1, 0, 2)
            behind = None
            if node.op_type == "Unsqueeze":
                behind = _with_unit_axis(node, seen_as, values)
            elif node.op_type in AGNOSTIC:
                behind = seen_as
            if behind is not None and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                ahead.append((node.outputs[0], behind))
    return None


def _with_unit_axis(node: NodeRecord, shape: Shape, values: Mapping[str, Value]) -> Shape | None:
    """Return what `shape` becomes by an Unsqueeze that adds one axis between batch and last, as 1-D networks do."""
    given = values.get(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = given.integers if isinstance(given, Constant) else node.attributes.get("axes")
    axis = axes[0] if isinstance(axes, tuple) and len(axes) == 1 else None
    if not isinstance(axis, int):
        return None
    axis %= len(shape) + 1
    return (*shape[:axis], 1, *shape[axis:]) if 0 < axis < len(shape) else None


def _moves_channels(node: NodeRecord, shape: Shape, values: Mapping[str, Value]) -> bool:
    """Return whether a Reshape only moves the one channel of a grey image to the front."""
    target = values.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if not isinstance(target, Constant) or target.integers is None or len(target.integers) != len(shape):
        return False
    return target.integers[1:] == (1, *shape[1:-1]) != shape[1:]

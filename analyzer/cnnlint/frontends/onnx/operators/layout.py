"""The layout of a tensor, inferred from the ONNX operators that read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cnnlint.frontends.onnx.operators.values import Constant, Value
from cnnlint.frontends.onnx.records import NodeRecord
from cnnlint.frontends.raising.view import LayoutVerdict, to_channels_first
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
"""Operators that work in any layout."""

SPATIAL = frozenset(
    {
        "AveragePool", "BatchNormalization", "Conv", "ConvInteger", "ConvTranspose", "DepthToSpace",
        "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "InstanceNormalization", "LRN", "LpPool", "MaxPool",
        "QLinearAveragePool", "QLinearConv", "QLinearGlobalAveragePool", "SpaceToDepth",
    }
)  # fmt: skip
"""Operators that require channels-first maps."""

RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
"""Operators that require time steps before the batch, unless their attribute `layout` is set."""


def said_of(
    name: str, shape: Shape, rank: int, readers: Mapping[str, Sequence[NodeRecord]], values: Mapping[str, Value]
) -> Iterator[LayoutVerdict | tuple[str, Shape]]:
    """Yield what the readers of a tensor tell about its layout, or the tensors that they pass it on to.

    Args:
        name: The tensor.
        shape: In the file's layout.
        rank: Rank of the tensor where the search started.
        readers: The nodes that read each tensor.
        values: Known values of tensors, constants in particular.
    """
    wanted = LayoutVerdict(to_channels_first(rank))
    for node in readers.get(name, ()):
        if node.op_type == "Transpose":
            yield wanted if node.attributes.get("perm") == to_channels_first(len(shape)) else LayoutVerdict(None)
        elif node.op_type == "Reshape":
            if shape[-1] == 1 and _moves_channels(node, shape, values):
                yield wanted
        elif node.op_type in SPATIAL:
            yield LayoutVerdict(None)
        elif node.op_type in RECURRENT and len(shape) == rank == 3 and node.inputs[0] == name:
            yield LayoutVerdict(None if node.attributes.get("layout") else (1, 0, 2))
        elif node.op_type == "Unsqueeze":
            if (longer := _with_unit_axis(node, shape, values)) is not None:
                yield node.outputs[0], longer
        elif node.op_type in AGNOSTIC:
            yield node.outputs[0], shape


def _with_unit_axis(node: NodeRecord, shape: Shape, values: Mapping[str, Value]) -> Shape | None:
    """Return the output shape of an Unsqueeze that adds one axis between the first and last, as 1-D networks do."""
    given = values.get(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = given.integers if isinstance(given, Constant) else node.attributes.get("axes")
    axis = axes[0] if isinstance(axes, tuple) and len(axes) == 1 else None
    if not isinstance(axis, int):
        return None
    axis %= len(shape) + 1
    return (*shape[:axis], 1, *shape[axis:]) if 0 < axis < len(shape) else None


def _moves_channels(node: NodeRecord, shape: Shape, values: Mapping[str, Value]) -> bool:
    """Return whether a Reshape only moves the single channel of a gray image to the front."""
    target = values.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if not isinstance(target, Constant) or target.integers is None or len(target.integers) != len(shape):
        return False
    return target.integers[1:] == (1, *shape[1:-1]) != shape[1:]

"""Nodes of an ONNX file that give back what they are given."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.frontends.onnx.records import NodeRecord
from cnnlint.frontends.onnx.wiring import Wiring, permutation_of

SAME_SHAPE = frozenset({"Expand", "Flatten", "Reshape", "Resize", "Squeeze", "Tile", "Unsqueeze", "Upsample"})
"""Operators that change nothing if they leave the shape as it is."""

NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1, "Pow": 1}
"""What changes nothing as the other operand, which only sums and products take on the left."""

JOINING = frozenset({"Concat", "Max", "Mean", "Min", "Sum"})
"""Operators that change nothing if they are given one tensor."""


def why_needed(node: NodeRecord, wiring: Wiring) -> str:
    """Return why the file cannot do without the node, as a clause; "" if it can."""
    source, made = node.inputs[0], node.outputs[0]
    if made in wiring.outputs and (source in wiring.outputs or wiring.is_given(source)):
        return "gives an output of the network its name"
    if any(wiring.is_read(name) for name in node.outputs[1:] if name):
        return "its further outputs are read"
    return ""


def noop_reason(node: NodeRecord, wiring: Wiring) -> str:
    """Return why a node of a file changes nothing, as a clause; "" if it does, or works on constants."""
    judge = JUDGES.get(node.op_type)
    if judge is None or node.domain or not node.inputs or not node.outputs or not node.outputs[0]:
        return ""
    return "" if all(map(wiring.constant, filter(None, node.inputs))) else judge(node, wiring)


def _ints(node: NodeRecord, wiring: Wiring, name: str, index: int | None = None) -> tuple[int, ...] | None:
    """Return integers that an attribute or an input gives; () if neither is there, None if they are not known."""
    if index is not None and len(node.inputs) > index and node.inputs[index]:
        constant = wiring.constant(node.inputs[index])
        return None if constant is None else constant.integers
    found = node.attributes.get(name, ())
    return tuple(item for item in found if isinstance(item, int)) if isinstance(found, tuple) else ()


def _dropout(node: NodeRecord, wiring: Wiring) -> str:
    flag = wiring.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    is_open = len(node.inputs) > 2 and node.inputs[2] and (flag is None or flag.scalar is None)
    return "" if is_open or (flag is not None and flag.scalar) else "a file for inference drops nothing"


def _same_shape(node: NodeRecord, wiring: Wiring) -> str:
    return "its output has the shape of its input" if wiring.has_shape_of(node.inputs[0], node.outputs[0]) else ""


def _slice(node: NodeRecord, wiring: Wiring) -> str:
    steps = _ints(node, wiring, "steps", 4)
    return "it keeps all" if steps is not None and {*steps} <= {1} and _same_shape(node, wiring) else ""


def _pad(node: NodeRecord, wiring: Wiring) -> str:
    amounts = _ints(node, wiring, "pads", 1) or _ints(node, wiring, "paddings")
    return "it pads by nothing" if amounts and not any(amounts) else ""


def _transpose(node: NodeRecord, wiring: Wiring) -> str:
    order = permutation_of(node, wiring)
    return "it moves no axis" if order is not None and order == tuple(range(len(order))) else ""


def _cast(node: NodeRecord, wiring: Wiring) -> str:
    kind = wiring.dtype(node.inputs[0])
    return f"it is of {kind} already" if kind and kind == wiring.dtype(node.outputs[0]) else ""


def _pool(node: NodeRecord, wiring: Wiring) -> str:
    taps, steps, pads = (_ints(node, wiring, name) or () for name in ("kernel_shape", "strides", "pads"))
    is_single = taps and {*taps, *steps} == {1} and not any(pads)
    return "its windows are single elements, one for each" if is_single else ""


def _arithmetic(node: NodeRecord, wiring: Wiring) -> str:
    neutral = NEUTRAL[node.op_type]
    if len(node.inputs) != 2:
        return ""
    pairs = (node.inputs, node.inputs[::-1]) if node.op_type in ("Add", "Mul") else (node.inputs,)
    for kept, other in pairs:
        constant = wiring.constant(other)
        values = None if constant is None else constant.values
        if values and all(value == neutral for value in values) and wiring.has_shape_of(kept, node.outputs[0]):
            return f"its other operand is {neutral}"
    return ""


def _clip(node: NodeRecord, _: Wiring) -> str:
    return "it has no bounds" if not any(node.inputs[1:]) and not {"min", "max"} & node.attributes.keys() else ""


JUDGES: dict[str, Callable[[NodeRecord, Wiring], str]] = {
    **dict.fromkeys(SAME_SHAPE, _same_shape),
    **dict.fromkeys(NEUTRAL, _arithmetic),
    **dict.fromkeys(JOINING, lambda node, _: "it joins a single tensor" if len(node.inputs) == 1 else ""),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "Dropout": _dropout,
    "Identity": lambda _, __: "it is the identity",
    "Pad": _pad,
    "Slice": _slice,
    "Split": lambda node, _: "it makes a single part" if len(node.outputs) == 1 else "",
    "Transpose": _transpose,
}
"""Why a node of each operator changes nothing, as a clause; "" for one that does."""

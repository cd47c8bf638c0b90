"""Constants, and the shape arithmetic that exporters leave in the graph."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.datatypes import NAMES
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext
from cnnlint.frontends.onnx.operators.outside import add_operator
from cnnlint.frontends.onnx.operators.values import (
    WHOLE,
    Constant,
    Element,
    Elements,
    as_single,
    constant_of,
    joined,
    spread,
    taken,
)
from cnnlint.frontends.onnx.records import SMALL, TensorRecord
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import axis_within
from cnnlint.graph.dims import product, quotient
from cnnlint.graph.layers.pointwise import broadcast
from cnnlint.graph.tensor import Shape, element_count, is_floating

FUNCTIONS = {
    "Add": "add", "Sum": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow", "Max": "maximum",
    "Min": "minimum", "Mean": "mean", "Mod": "mod", "And": "and", "Or": "or", "Xor": "xor", "Equal": "equal",
    "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less", "LessOrEqual": "less_equal",
    "Where": "where", "BitShift": "bit_shift", "QLinearAdd": "add", "QLinearMul": "mul",
}  # fmt: skip
"""ONNX operators -> functions of the vocabulary."""


def _constant(ctx: NodeContext) -> None:
    """Handle Constant: a tensor, a number or a list of numbers."""
    attributes = ctx.node.attributes
    tensor = attributes.get("value", attributes.get("sparse_value"))
    if isinstance(tensor, TensorRecord):
        ctx.set_output(constant_of(replace(tensor, name=ctx.node.outputs[0])))
        return
    number = attributes.get("value_int", attributes.get("value_float"))
    if isinstance(number, int | float):
        ctx.set_output(Constant((), "int64" if isinstance(number, int) else "float32", values=(number,)))
        return
    numbers = attributes.get("value_ints", attributes.get("value_floats"))
    if isinstance(numbers, tuple):
        plain = tuple(item for item in numbers if isinstance(item, int | float))
        dtype = "int64" if "value_ints" in attributes else "float32"
        ctx.set_output(constant_of(TensorRecord(ctx.node.outputs[0], (len(numbers),), dtype, None, plain)))
        return
    ctx.set_output(Constant((), "string"))


def _constant_of_shape(ctx: NodeContext) -> None:
    """Handle ConstantOfShape; a floating one with a shape in the file may be a weight without values."""
    wanted = ctx.constant(0)
    fill = ctx.node.attributes.get("value")
    dtype = fill.dtype if isinstance(fill, TensorRecord) else "float32"
    if wanted is None or wanted.dims is None:
        if wanted is not None and wanted.shape == (0,):
            ctx.set_output(Constant((), dtype, values=fill.values if isinstance(fill, TensorRecord) else (0.0,)))
            return
        add_operator(ctx)
        return
    shape = limits.extents(wanted.dims)
    if shape is None:
        ctx.set_output(Constant(None, dtype))
        return
    extents = tuple(dim for dim in shape if isinstance(dim, int))
    if len(extents) != len(shape):
        ctx.set_output(Constant(shape, dtype))
        return
    size = limits.product(extents)
    if size is None:
        ctx.set_output(Constant(shape, dtype))
        return
    number = fill.values[0] if isinstance(fill, TensorRecord) and fill.values else 0
    values = (number,) * size if size <= SMALL else None
    if wanted.stored:
        ctx.set_output(constant_of(TensorRecord(ctx.node.outputs[0], extents, dtype, None, values)))
    else:  # zeros for a state or a mask, whose size depends on the input
        ctx.set_output(Constant(extents, dtype, values=values))


def _shape(ctx: NodeContext) -> None:
    """Handle Shape, in the file's layout."""
    shape = ctx.value(0).shape
    if shape is None:
        declared = ctx.declared(ctx.node.inputs[0])
        shape = None if declared is None else declared.shape
    if shape is None:
        add_operator(ctx)
        return
    start, end = ctx.attribute_int("start", 0), ctx.attribute_int("end", len(shape))
    part = shape[start:end] if end != 0 or "end" in ctx.node.attributes else shape[start:]
    ctx.set_output(Constant((len(part),), "int64", values=part))


def _size(ctx: NodeContext) -> None:
    """Handle Size."""
    shape = ctx.value(0).shape
    if shape is None:
        add_operator(ctx)
    else:
        ctx.set_output(Constant((), "int64", values=(product(shape),)))


def _range(ctx: NodeContext) -> None:
    """Handle Range of constants."""
    bounds = [ctx.constant(index) for index in range(3)]
    numbers = [bound.scalar for bound in bounds if bound is not None]
    known = [number for number in numbers if isinstance(number, int)]
    if len(known) == 3 and known[2] != 0 and ctx.may_fold(limits.steps(*known)):
        values = tuple(range(*known))
        ctx.set_output(Constant((len(values),), "int64", values=values))
    elif all(bound is not None for bound in bounds):
        ctx.set_output(Constant((None,), "int64"))
    else:
        add_operator(ctx)


def _identity(ctx: NodeContext) -> None:
    """Handle Identity."""
    ctx.set_output(ctx.value(0))


def _cast(ctx: NodeContext) -> None:
    """Handle Cast and CastLike, which convert constants and are ignored elsewhere."""
    value = ctx.value(0)
    if isinstance(value, Constant):
        dtype = NAMES.get(ctx.attribute_int("to", 0), value.dtype)
        values = value.values
        if dtype in WHOLE and values is not None:
            values = tuple(limits.whole(item) if isinstance(item, float) else item for item in values)
        elif is_floating(dtype) and values is not None:
            values = tuple(float(item) if isinstance(item, int) else item for item in values)
        ctx.set_output(replace(value, values=values, dtype=dtype))
        return
    ctx.set_output(value)


def gather_constant(data: Constant, indices: Constant, axis: int) -> Constant:
    """Gather entries of a constant along an axis; values are unknown if the indices are."""
    places = indices.integers
    axis = axis_within(axis, data.shape)
    shape: Shape | None = None
    if data.shape is not None and indices.shape is not None:
        shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])
    extent = data.shape[axis] if data.shape else None
    values: Elements | None = None
    if places is not None and isinstance(extent, int) and all(-extent <= place < extent for place in places):
        values = taken(data, axis, [place % extent for place in places])
    return Constant(shape, data.dtype, data.records, values)


# arithmetic on constants


def computed(ctx: NodeContext, function: str, constants: list[Constant]) -> Constant:
    """Compute an operation on constants; values are known only for shape arithmetic."""
    shapes = [constant.shape for constant in constants if constant.shape is not None]
    shape = broadcast(*shapes) if len(shapes) == len(constants) else None
    records = ctx.records_of(constants)
    if function == "where":
        return _chosen(ctx, constants, shape, records)
    rule = _ARITHMETIC.get(function)
    values: Elements | None = None
    if rule is not None and len(constants) == 2 and (known := _alike(ctx, constants, shape)) is not None:
        results = (rule(one, other) for one, other in zip(*known, strict=True))
        values = tuple(as_single(item) for item in results) if constants[0].dtype == "float32" else tuple(results)
    dtype = "bool" if function in ops.BOOLEAN else constants[0].dtype
    return Constant(shape, dtype, records, values)


def _chosen(
    ctx: NodeContext, constants: list[Constant], shape: Shape | None, records: tuple[TensorRecord, ...]
) -> Constant:
    """Return Where of three constants."""
    known = _alike(ctx, constants, shape)
    values = None
    if known is not None and not any(condition is None or isinstance(condition, str) for condition in known[0]):
        values = tuple(one if condition else other for condition, one, other in zip(*known, strict=True))
    return Constant(shape, constants[1].dtype, records, values)


def _alike(ctx: NodeContext, constants: list[Constant], shape: Shape | None) -> list[Elements] | None:
    """Return the elements of each constant broadcast to `shape`; None if some are unknown, or there are too many."""
    size = element_count(shape)
    if size is None or not ctx.may_fold(size):
        return None
    lists = [spread(constant, shape) for constant in constants]
    return [items for items in lists if items is not None] if None not in lists else None


def _numbers(rule: Callable[[float, float], float]) -> Callable[[Element, Element], Element]:
    def apply(one: Element, other: Element) -> Element:
        if isinstance(one, str) or isinstance(other, str) or one is None or other is None:
            return None
        return rule(one, other)

    return apply


def _add(one: Element, other: Element) -> Element:
    if other == 0:
        return one
    if one == 0:
        return other
    return _numbers(lambda left, right: left + right)(one, other)


def _sub(one: Element, other: Element) -> Element:
    if isinstance(one, str) and one == other:
        return 0
    return one if other == 0 else _numbers(lambda left, right: left - right)(one, other)


def _equal(one: Element, other: Element) -> Element:
    """Return whether two elements are equal; a symbol is an extent, which is never negative."""
    if isinstance(one, str) and isinstance(other, str):
        return 1 if one == other else None
    symbol, number = (one, other) if isinstance(one, str) else (other, one)
    if isinstance(symbol, str) and isinstance(number, int | float):
        return 0 if number < 0 else None
    return _numbers(lambda left, right: int(left == right))(one, other)


def _mul(one: Element, other: Element) -> Element:
    if isinstance(one, float) or isinstance(other, float):
        return _numbers(lambda left, right: left * right)(one, other)
    return product((one, other))


def _div(one: Element, other: Element) -> Element:
    if isinstance(one, int) and isinstance(other, int):
        # ONNX truncates integer division toward zero
        return abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1) if other else None
    if isinstance(one, float) or isinstance(other, float):
        return _numbers(lambda left, right: left / right if right else 0.0)(one, other)
    return quotient(one, other)


_ARITHMETIC: dict[str, Callable[[Element, Element], Element]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "maximum": _numbers(max),
    "minimum": _numbers(min),
    "mod": _numbers(lambda left, right: left % right if right else 0),
    "equal": _equal,
    "greater": _numbers(lambda left, right: int(left > right)),
    "less": _numbers(lambda left, right: int(left < right)),
}


def joined_constants(ctx: NodeContext, constants: list[Constant], axis: int) -> Constant:
    """Concatenate constants along an axis."""
    shape = _joined_shape(constants, axis)
    folds = shape is not None and ctx.may_fold(sum(len(constant.values or ()) for constant in constants))
    values = joined(constants, axis % len(shape)) if folds and shape else None
    return Constant(shape, constants[0].dtype, ctx.records_of(constants), values)


def _joined_shape(constants: list[Constant], axis: int) -> Shape | None:
    shapes = [constant.shape for constant in constants]
    if any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    axis = axis_within(axis, known[0])
    if len({len(shape) for shape in known}) > 1:
        raise ContradictionError("it joins constants of different ranks")
    extents = [shape[axis] for shape in known]
    total = (
        sum(dim for dim in extents if isinstance(dim, int)) if all(isinstance(dim, int) for dim in extents) else None
    )
    return (*known[0][:axis], total, *known[0][axis + 1 :])


HANDLERS: dict[str, Handler] = {
    "Cast": _cast,
    "CastLike": _cast,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": _identity,
    "Range": _range,
    "Shape": _shape,
    "Size": _size,
}

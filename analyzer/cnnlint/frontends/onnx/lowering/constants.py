"""Constants, and the arithmetic on shapes that exporters leave in the graph."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.frontends.onnx.datatypes import NAMES
from cnnlint.frontends.onnx.lowering.folding import Elements, taken
from cnnlint.frontends.onnx.lowering.operators import emit_operator
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import WHOLE, Constant, constant_of
from cnnlint.frontends.onnx.records import SMALL, TensorRecord
from cnnlint.frontends.raising.view import axis_within
from cnnlint.graph.dims import product
from cnnlint.graph.dtype import is_floating
from cnnlint.graph.tensor import Shape


def lower_constant(state: Lowering) -> None:
    """Lower Constant: a tensor, a number or a list of numbers."""
    attributes = state.node.attributes
    tensor = attributes.get("value", attributes.get("sparse_value"))
    if isinstance(tensor, TensorRecord):
        state.give(constant_of(replace(tensor, name=state.node.outputs[0])))
        return
    number = attributes.get("value_int", attributes.get("value_float"))
    if isinstance(number, int | float):
        state.give(Constant((), "int64" if isinstance(number, int) else "float32", values=(number,)))
        return
    numbers = attributes.get("value_ints", attributes.get("value_floats"))
    if isinstance(numbers, tuple):
        plain = tuple(item for item in numbers if isinstance(item, int | float))
        dtype = "int64" if "value_ints" in attributes else "float32"
        state.give(constant_of(TensorRecord(state.node.outputs[0], (len(numbers),), dtype, None, plain)))
        return
    state.give(Constant((), "string"))


def lower_constant_of_shape(state: Lowering) -> None:
    """Lower ConstantOfShape; a floating one of a shape that the file says may be a weight without values."""
    wanted = state.constant(0)
    fill = state.node.attributes.get("value")
    dtype = fill.dtype if isinstance(fill, TensorRecord) else "float32"
    if wanted is None or wanted.dims is None:
        if wanted is not None and wanted.shape == (0,):
            state.give(Constant((), dtype, values=fill.values if isinstance(fill, TensorRecord) else (0.0,)))
            return
        emit_operator(state)
        return
    shape = limits.extents(wanted.dims)
    if shape is None:
        state.give(Constant(None, dtype))
        return
    extents = tuple(dim for dim in shape if isinstance(dim, int))
    if len(extents) != len(shape):
        state.give(Constant(shape, dtype))
        return
    size = limits.product(extents)
    if size is None:
        state.give(Constant(shape, dtype))
        return
    number = fill.values[0] if isinstance(fill, TensorRecord) and fill.values else 0
    values = (number,) * size if size <= SMALL else None
    if wanted.stored:
        state.give(constant_of(TensorRecord(state.node.outputs[0], extents, dtype, None, values)))
    else:  # zeros for a state, a mask: made for this size of the input, and of another size for another
        state.give(Constant(extents, dtype, values=values))


def lower_shape(state: Lowering) -> None:
    """Lower Shape: the extents as the file sees them."""
    shape = state.value(0).shape
    if shape is None:
        declared = state.declared(state.node.inputs[0])
        shape = None if declared is None else declared.shape
    if shape is None:
        emit_operator(state)
        return
    start, end = state.attribute_int("start", 0), state.attribute_int("end", len(shape))
    part = shape[start:end] if end != 0 or "end" in state.node.attributes else shape[start:]
    state.give(Constant((len(part),), "int64", values=part))


def lower_size(state: Lowering) -> None:
    """Lower Size."""
    shape = state.value(0).shape
    if shape is None:
        emit_operator(state)
    else:
        state.give(Constant((), "int64", values=(product(shape),)))


def lower_range(state: Lowering) -> None:
    """Lower Range of constants."""
    bounds = [state.constant(index) for index in range(3)]
    numbers = [bound.scalar for bound in bounds if bound is not None]
    known = [number for number in numbers if isinstance(number, int)]
    if len(known) == 3 and known[2] != 0 and state.may_fold(limits.steps(*known)):
        values = tuple(range(*known))
        state.give(Constant((len(values),), "int64", values=values))
    elif all(bound is not None for bound in bounds):
        state.give(Constant((None,), "int64"))
    else:
        emit_operator(state)


def lower_identity(state: Lowering) -> None:
    """Lower what passes its input on."""
    state.give(state.value(0))


def lower_cast(state: Lowering) -> None:
    """Lower Cast and CastLike: of an input it may change the type that the network works in."""
    value = state.value(0)
    if isinstance(value, Constant):
        dtype = NAMES.get(state.attribute_int("to", 0), value.dtype)
        values = value.values
        if dtype in WHOLE and values is not None:
            values = tuple(limits.whole(item) if isinstance(item, float) else item for item in values)
        elif is_floating(dtype) and values is not None:
            values = tuple(float(item) if isinstance(item, int) else item for item in values)
        state.give(replace(value, values=values, dtype=dtype))
        return
    state.give(value)


def gather_constant(data: Constant, indices: Constant, axis: int) -> Constant:
    """Return the parts of a constant at `indices` of an axis, or a constant of the right shape."""
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


HANDLERS: dict[str, Handler] = {
    "Cast": lower_cast,
    "CastLike": lower_cast,
    "Constant": lower_constant,
    "ConstantOfShape": lower_constant_of_shape,
    "Identity": lower_identity,
    "Range": lower_range,
    "Shape": lower_shape,
    "Size": lower_size,
}

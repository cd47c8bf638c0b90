"""Element-by-element arithmetic of activations and constants, and sums over several of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.lowering.folding import Element, Elements, as_single, joined, spread
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering, full_rank
from cnnlint.frontends.onnx.lowering.values import Constant, Rows, Value
from cnnlint.frontends.onnx.records import TensorRecord
from cnnlint.frontends.raising.view import View, axis_within, is_row
from cnnlint.graph.dims import product, quotient
from cnnlint.graph.layers import Add, Concat, Elementwise, Multiply, Reshape
from cnnlint.graph.layers.pointwise import broadcast
from cnnlint.graph.tensor import Shape, Tensor, element_count

FUNCTIONS = {
    "Add": "add", "Sum": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow", "Max": "maximum",
    "Min": "minimum", "Mean": "mean", "Mod": "mod", "And": "and", "Or": "or", "Xor": "xor", "Equal": "equal",
    "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less", "LessOrEqual": "less_equal",
    "Where": "where", "BitShift": "bit_shift", "QLinearAdd": "add", "QLinearMul": "mul",
}  # fmt: skip
"""ONNX's operators and our names for them."""

BOOLEAN = frozenset({"and", "or", "xor", "equal", "greater", "greater_equal", "less", "less_equal"})


def lower_elementwise(state: Lowering) -> None:
    """Lower an operator that works element by element on any number of operands."""
    quantised = state.node.op_type.startswith("QLinear")
    indices = (0, 3) if quantised else tuple(range(len(state.node.inputs)))
    operands = [state.value(index) for index in indices]
    if quantised:  # a constant's own numbers are not those that it stands for
        operands = [replace(value, values=None) if isinstance(value, Constant) else value for value in operands]
    function = FUNCTIONS[state.node.op_type]
    if not operands or (function == "where" and len(operands) != 3):
        raise ContradictionError(f"it has {len(operands)} inputs")
    if all(isinstance(operand, Constant) for operand in operands):
        state.give(_folded(state, function, [operand for operand in operands if isinstance(operand, Constant)]))
        return
    if (same := _unchanged(function, operands)) is not None:
        state.give(same)
        return
    rows = next((operand for operand in operands if isinstance(operand, Rows)), None)
    if rows is not None and all(isinstance(operand, Rows | Constant) for operand in operands):
        operands = [operand.view if isinstance(operand, Rows) else operand for operand in operands]
        _emit(state, function, operands)
        made = state.get(state.node.outputs[0])
        if isinstance(made, View):
            state.give(Rows(made))
        return
    plain = [
        state.as_view(operand, state.node.inputs[index]) if isinstance(operand, Rows) else operand
        for operand, index in zip(operands, indices, strict=True)
    ]
    _emit(state, function, plain)


NEUTRAL = {"mul": 1, "div": 1, "add": 0, "sub": 0}
"""The number with which an operation changes nothing."""


def _unchanged(function: str, operands: Sequence[Value]) -> Value | None:
    """Return the operand that a product with one or a sum with zero leaves as it is: a slope that was not asked for."""
    if function not in NEUTRAL or len(operands) != 2:
        return None
    pairs = ((operands[0], operands[1]), (operands[1], operands[0]))
    for value, number in pairs if function in ("mul", "add") else pairs[:1]:
        if isinstance(number, Constant) and number.scalar == NEUTRAL[function] and value.shape is not None:
            return value if len(number.shape or ()) <= len(value.shape) else None
    return None


def _emit(state: Lowering, function: str, operands: Sequence[Value]) -> None:
    views = [operand for operand in operands if isinstance(operand, View)]
    constants = [operand for operand in operands if isinstance(operand, Constant)]
    rank = max(len(operand.shape or ()) for operand in operands)
    like = next((view for view in views if view.rank == rank and not _one_row(view)), None)
    like = like or next((view for view in views if view.rank == rank), None)
    if like is None or any(
        view.permutation != like.permutation
        for view in views
        if view.permutation or (view.rank == rank and not (like.permutation and _one_row(view)))
    ):
        like, views = None, [View(state.draft.tensor(view)) for view in views]
    order = like or View(views[0].tensor)
    shapes = [full_rank(constant.shape, rank) for constant in constants if constant.shape is not None]
    fixed: Shape | None = order.in_graph_order(broadcast(*shapes)) if shapes and order.permutation else None
    fixed = fixed or (broadcast(*shapes) if shapes else None)
    weights = tuple(weight for constant in constants for weight in state.weights(constant, "constant"))
    scalar = constants[0].scalar if len(constants) == 1 else None
    first = operands.index(constants[0]) == 0 if constants else False
    tensors = tuple(_aligned(state, view, order, rank) for view in views)
    base = {"name": state.label, "inputs": tensors, "origin": state.origin, "weights": weights}
    kind = {"add": Add, "mul": Multiply}.get(function) if len(views) > 1 and not constants else None
    if kind is not None:
        layer = kind(**base)  # pyright: ignore[reportArgumentType] - fields of every layer
    else:
        layer = Elementwise(
            **base,  # pyright: ignore[reportArgumentType] - fields of every layer
            function=f"r{function}" if first and function in ("sub", "div", "pow") else function,
            constant_shape=fixed,
            constant=scalar,
        )
    state.emit(layer, like=order, dtype="bool" if function in BOOLEAN else None)


def _one_row(view: View) -> bool:
    """Return whether a tensor varies along one axis besides the batch at most, whose place is then free to choose."""
    return view.permutation is None and is_row(view.tensor.shape)


def _aligned(state: Lowering, view: View, order: View, rank: int) -> Tensor:
    """Return an operand's tensor; one of lower rank, or with one number per channel, gets the axes of the others."""
    tensor = view.tensor
    if tensor.shape is None or order.permutation is None or view.permutation == order.permutation:
        return tensor
    target = order.in_graph_order(full_rank(state.draft.tensor(view).shape or (), rank))
    layer = Reshape(name=f"{tensor.name}/broadcast", inputs=(state.draft.tensor(view),), target=target)
    return state.draft.add(layer)[0]


def _folded(state: Lowering, function: str, constants: list[Constant]) -> Constant:
    """Return the constant that arithmetic on constants gives; numbers only where they are extents."""
    shapes = [constant.shape for constant in constants if constant.shape is not None]
    shape = broadcast(*shapes) if len(shapes) == len(constants) else None
    records = state.records_of(constants)
    if function == "where":
        return _chosen(state, constants, shape, records)
    rule = _ARITHMETIC.get(function)
    values: Elements | None = None
    if rule is not None and len(constants) == 2 and (known := _alike(state, constants, shape)) is not None:
        results = (rule(one, other) for one, other in zip(*known, strict=True))
        values = tuple(as_single(item) for item in results) if constants[0].dtype == "float32" else tuple(results)
    dtype = "bool" if function in BOOLEAN else constants[0].dtype
    return Constant(shape, dtype, records, values)


def _chosen(
    state: Lowering, constants: list[Constant], shape: Shape | None, records: tuple[TensorRecord, ...]
) -> Constant:
    """Return Where of three constants."""
    known = _alike(state, constants, shape)
    values = None
    if known is not None and not any(condition is None or isinstance(condition, str) for condition in known[0]):
        values = tuple(one if condition else other for condition, one, other in zip(*known, strict=True))
    return Constant(shape, constants[1].dtype, records, values)


def _alike(state: Lowering, constants: list[Constant], shape: Shape | None) -> list[Elements] | None:
    """Return the elements of each constant broadcast to `shape`; None if one's are unknown, or they are too many."""
    size = element_count(shape)
    if size is None or not state.may_fold(size):
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
    """Return whether two elements are equal; a symbol stands for an extent, which is never negative."""
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
        # integer division truncates towards zero in ONNX
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


def lower_concat(state: Lowering) -> None:
    """Lower Concat; of constants it is shape arithmetic."""
    operands = [state.value(index) for index in range(len(state.node.inputs))]
    axis = state.attribute_int("axis", 1)
    if not operands:
        raise ContradictionError("it has no inputs")
    if all(isinstance(operand, Constant) for operand in operands):
        constants = [operand for operand in operands if isinstance(operand, Constant)]
        shape = _concat_shape(constants, axis)
        folds = shape is not None and state.may_fold(sum(len(constant.values or ()) for constant in constants))
        values = joined(constants, axis % len(shape)) if folds and shape else None
        state.give(Constant(shape, constants[0].dtype, state.records_of(constants), values))
        return
    views = [state.as_view(operand, name) for operand, name in zip(operands, state.node.inputs, strict=True)]
    like = views[0]
    if any(view.permutation != like.permutation for view in views):
        views = [View(state.draft.tensor(view)) for view in views]
        like = views[0]
    tensors = tuple(view.tensor for view in views)
    if len(tensors) == 1:
        state.give(like)
        return
    state.emit(Concat(name=state.label, inputs=tensors, axis=like.axis(axis), origin=state.origin), like=like)


def _concat_shape(constants: list[Constant], axis: int) -> Shape | None:
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
    **dict.fromkeys(FUNCTIONS.keys() - {"QLinearAdd"}, lower_elementwise),
    "Concat": lower_concat,
}

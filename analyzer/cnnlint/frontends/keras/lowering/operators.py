"""What the vocabulary has no kind for: standard operators that do no products, and what is not known at all."""

from __future__ import annotations

from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Opaque, Operator
from cnnlint.graph.tensor import Shape, Tensor


def add_operator(call: Call, shape: Shape | None, *, like: View | None = None, dtype: str | None = None) -> View:
    """Add a standard operator without products whose output has `shape` in the graph's order."""
    tensors = tuple(view.tensor for view in call.views)
    layer = Operator(
        inputs=tensors, op=call.layer.class_name, shapes=(shape,), weights=call.weights(), **call.identity()
    )
    return call.add(layer, like=like, dtype=dtype)


def add_same(call: Call) -> View:
    """Add an operator that leaves the shape as it is: noise and augmentation, which do nothing at inference."""
    return add_operator(call, call.view.tensor.shape, like=call.view)


def add_declared(call: Call) -> list[View]:
    """Add a standard operator whose outputs have the shapes that the file notes."""
    return _add(call, None)


def add_opaque(call: Call, reason: str) -> View:
    """Add a layer whose inside is not known, with the parameters and shapes that the file shows for it."""
    return add_opaques(call, reason)[0]


def add_opaques(call: Call, reason: str) -> list[View]:
    """Add a layer whose inside is not known and return all outputs that others use."""
    return _add(call, reason)


def _add(call: Call, reason: str | None) -> list[View]:
    inputs = tuple(view.tensor for view in call.views)
    declared = call.declared or ((None, ""),)
    orders = [None if shape is None else call.layout(len(shape)) for shape, _ in declared]
    shapes = tuple(
        shape if shape is None or order is None else tuple(shape[axis] for axis in order)
        for (shape, _), order in zip(declared, orders, strict=True)
    )
    tensors = call.draft.add(_layer(call, reason, inputs, shapes), dtype=declared[0][1] or call.dtype)
    return [
        View(tensor, None if order is None else tuple(order.index(axis) for axis in range(len(order))))
        for tensor, order in zip(tensors, orders, strict=True)
    ]


def _layer(call: Call, reason: str | None, inputs: tuple[Tensor, ...], shapes: tuple[Shape | None, ...]) -> Layer:
    op, weights, identity = call.layer.class_name, call.weights(), call.identity()
    if reason is None:
        return Operator(inputs=inputs, op=op, shapes=shapes, weights=weights, **identity)
    return Opaque(inputs=inputs, op=op, reason=reason, shapes=shapes, weights=weights, **identity)

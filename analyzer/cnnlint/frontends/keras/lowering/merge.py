"""Layers that join tensors: sums, products, means, concatenation, dot products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.operators import add_opaque
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Add, Concat, Einsum, Elementwise, Multiply, Reshape
from cnnlint.graph.tensor import Tensor


def aligned(call: Call, views: list[View]) -> tuple[tuple[Tensor, ...], View]:
    """Return tensors whose axes agree, and a view whose order of axes they have.

    Tensors of lower rank get axes of extent 1 behind the batch, as Keras' merging layers give them.
    """
    like = max(views, key=lambda view: view.rank or 0)
    tensors = list[Tensor]()
    for index, view in enumerate(views):
        if view.rank is not None and like.rank is not None and view.rank < like.rank and view.rank > 0:
            tensors.append(_expanded(call, view, like, index))
        elif view.permutation == like.permutation:
            tensors.append(view.tensor)
        elif like.permutation is None:
            tensors.append(call.draft.tensor(view))
        else:
            inverse = tuple(like.permutation.index(axis) for axis in range(len(like.permutation)))
            tensors.append(call.draft.tensor(view.transposed(inverse)))
    return tuple(tensors), like


def _expanded(call: Call, view: View, like: View, index: int) -> Tensor:
    source = call.draft.tensor(view)
    shape, rank = source.shape or (None,), like.rank or 0
    target = like.in_graph_order((*shape[:1], *((1,) * (rank - len(shape))), *shape[1:]))
    layer = Reshape(inputs=(source,), target=target, **call.identity(f"expand{index}"))
    return call.draft.add(layer)[0]


def elementwise(call: Call, function: str, views: list[View], dtype: str | None = None, **fields: Any) -> View:
    """Add an element-by-element operation on one or more tensors."""
    tensors, like = aligned(call, views)
    if function == "add" and len(tensors) > 1:
        layer = Add(inputs=tensors, **call.identity(), **fields)
    elif function == "mul" and len(tensors) > 1:
        layer = Multiply(inputs=tensors, **call.identity(), **fields)
    else:
        layer = Elementwise(inputs=tensors, function=function, **call.identity(), **fields)
    return call.add(layer, like=like, dtype=dtype)


def _merge(call: Call, function: str) -> View:
    return elementwise(call, function, call.views)


def concatenate(call: Call, views: list[View], axis: int) -> View:
    """Add a concatenation along an axis of the source."""
    tensors, like = aligned(call, views)
    return call.add(Concat(inputs=tensors, axis=like.axis(axis), **call.identity()), like=like)


def _concatenate(call: Call) -> View:
    axis = call.integer("axis", call.integer("concat_axis", -1))
    return concatenate(call, call.views, axis)


def _dot(call: Call) -> View:
    """Raise to an Einstein sum over one axis of each; two vectors give one number each."""
    left, right = (View(call.draft.tensor(view)) for view in call.views[:2])
    if left.rank is None or right.rank is None:
        return add_opaque(call, "a dot product of tensors of unknown rank")
    axes = settings.items(call.config.get("axes")) or [call.integer("axes", -1)] * 2
    summed_left, summed_right = int(axes[0]) % left.rank, int(axes[1]) % right.rank
    labels = "abcdefghij"
    first = "".join("z" if axis == summed_left else labels[axis] for axis in range(left.rank))
    second = "".join(
        "z" if axis == summed_right else labels[0] if axis == 0 else labels[axis + 4] for axis in range(right.rank)
    )
    result = first.replace("z", "") + second.replace("z", "")[1:]
    vectors = len(result) == 1
    layer = Einsum(
        inputs=(left.tensor, right.tensor),
        equation=f"{first},{second}->{result}",
        **call.identity("product" if vectors else ""),
    )
    made = call.add(layer)
    if not vectors:
        return made
    target = (*(made.shape or (None,)), 1)
    return call.add(Reshape(inputs=(made.tensor,), target=target, **call.identity()))


LAYERS: dict[str, Callable[[Call], View]] = {
    "Add": partial(_merge, function="add"),
    "Subtract": partial(_merge, function="sub"),
    "Multiply": partial(_merge, function="mul"),
    "Average": partial(_merge, function="mean"),
    "Maximum": partial(_merge, function="maximum"),
    "Minimum": partial(_merge, function="minimum"),
    "Concatenate": _concatenate,
    "Dot": _dot,
}

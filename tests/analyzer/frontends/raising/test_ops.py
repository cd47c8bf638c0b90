"""What every frontend raises on views: elements keep their places whatever order the axes lie in."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.ops import OpContext
from cnnlint.frontends.raising.view import LayoutVerdict, Permutation, TensorView, find_layout, inverse
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Add, Concat, Flatten, Reduce, Reshape, Transpose
from cnnlint.graph.tensor import Shape


class Context(OpContext):
    """A place for layers, in which what reads a tensor may want it in some order."""

    def __init__(self, wanted: Permutation | None = None) -> None:
        self.builder = GraphBuilder()
        self.wanted = wanted

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "layer"}

    def add(self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None) -> TensorView:
        tensor = self.builder.add(layer, dtype=dtype)[0]
        return like.of(tensor) if like is not None and like.rank == tensor.rank else TensorView(tensor)

    def layout(self, shape: Shape | None) -> Permutation | None:
        return self.wanted

    def given(self, shape: tuple[int, ...], permutation: Permutation | None = None) -> TensorView:
        return self.builder.add_input("x", shape, "float32", permutation=permutation)


def run(ctx: Context, view: TensorView, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return what the source sees of `view` when the layers of the graph are run on what it sees of `inputs`."""
    values = {
        tensor.name: inputs[tensor.name].transpose(order) if order else inputs[tensor.name]
        for tensor, order in zip(ctx.builder.inputs, ctx.builder.input_orders, strict=True)
    }
    for layer in ctx.builder:
        given = [values[tensor.name] for tensor in layer.inputs]
        match layer:
            case Add():
                made = given[0] + given[1]
            case Concat():
                made = np.concatenate(given, layer.axis)
            case Reduce():
                made = given[0].sum(layer.axes, keepdims=layer.keepdims)
            case Transpose():
                made = given[0].transpose(layer.permutation)
            case Flatten():
                last = given[0] if layer.order == "channels_first" else np.moveaxis(given[0], 1, -1)
                made = last.reshape(len(last), -1)
            case _:
                raise AssertionError(f"no {layer.kind} is run here")
        assert made.shape == layer.output.shape
        values[layer.output.name] = made
    seen = values[view.tensor.name]
    return seen if view.permutation is None else seen.transpose(view.permutation)


ORDERS = [order for order in permutations(range(4)) if order[0] == 0]


def drawn(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("one", ORDERS)
@pytest.mark.parametrize("other", ORDERS)
def test_tensors_in_any_two_orders_are_added_and_joined_as_the_source_has_them(
    one: Permutation, other: Permutation
) -> None:
    left, right = drawn((2, 3, 4, 5), (2, 3, 4, 5))
    ctx = Context()
    views = [ctx.given(left.shape, one), ctx.given(right.shape, other)]
    inputs = {view.tensor.name: value for view, value in zip(views, (left, right), strict=True)}
    assert np.array_equal(run(ctx, ops.elementwise(ctx, "add", views), inputs), left + right)
    ctx = Context()
    views = [ctx.given(left.shape, one), ctx.given(right.shape, other)]
    assert np.array_equal(run(ctx, ops.concat(ctx, views, 3), inputs), np.concatenate((left, right), 3))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axes", [(1,), (-1,), (1, 3), (0, 2)])
def test_a_reduction_leaves_the_other_axes_in_their_order(
    order: Permutation, keepdims: bool, axes: tuple[int, ...]
) -> None:
    (value,) = drawn((2, 3, 4, 5))
    ctx = Context()
    view = ops.reduce(ctx, ctx.given(value.shape, order), "sum", axes, keepdims=keepdims)
    assert np.allclose(run(ctx, view, {"x": value}), value.sum(axes, keepdims=keepdims))
    assert not [layer for layer in ctx.builder if isinstance(layer, Transpose)]


@pytest.mark.parametrize("order", ORDERS)
def test_a_flatten_has_the_elements_in_the_order_of_the_source(order: Permutation) -> None:
    (value,) = drawn((2, 3, 4, 5))
    ctx = Context()
    view = ops.reshape(ctx, ctx.given(value.shape, order), (2, 60))
    assert np.array_equal(run(ctx, view, {"x": value}), value.reshape(2, 60))


LAST: Permutation = (0, 3, 1, 2)
"""How a channels-last map becomes channels-first."""


def test_positions_of_a_map_are_tokens_unless_what_follows_is_a_window() -> None:
    for wanted, shape in ((None, (2, 12, 5)), ((0, 2, 1), (2, 5, 12))):
        ctx = Context(wanted)
        view = ops.reshape(ctx, ctx.given((2, 3, 4, 5), LAST), (2, 12, 5))
        assert (view.shape, view.tensor.shape) == ((2, 12, 5), shape)
        assert [layer.kind for layer in ctx.builder] == ["Reshape"]


def test_axes_that_are_joined_or_taken_apart_stay_where_the_graph_has_them() -> None:
    ctx = Context()
    apart = ops.reshape(ctx, ctx.given((2, 12, 4, 5), LAST), (2, 3, 4, 4, 5))
    assert (apart.shape, apart.tensor.shape) == ((2, 3, 4, 4, 5), (2, 5, 3, 4, 4))
    joined = ops.reshape(ctx, apart, (2, 12, 4, 5))
    assert (joined.shape, joined.tensor.shape) == ((2, 12, 4, 5), (2, 5, 12, 4))


def test_one_number_for_each_channel_gets_the_axes_of_the_map() -> None:
    ctx = Context()
    views = [ctx.given((2, 3, 4, 5), LAST), ctx.given((2, 5))]
    ops.elementwise(ctx, "mul", views, after_batch=True)
    reshape, product = list(ctx.builder)
    assert isinstance(reshape, Reshape)
    assert reshape.output.shape == (2, 5, 1, 1)
    assert product.output.shape == (2, 5, 3, 4)


def test_the_nearest_reader_that_cares_says_the_layout() -> None:
    said = {
        "x": [("near", (1, 2, 3)), ("far", (1, 2, 3))],
        "near": [("nearer", (1, 2, 3))],
        "far": [LayoutVerdict((0, 2, 1))],
        "nearer": [LayoutVerdict(None)],
    }
    assert find_layout("x", (1, 2, 3), lambda name, _: said[name]) == LayoutVerdict((0, 2, 1))
    said["far"] = [("x", (1, 2, 3))]
    said["nearer"] = []
    assert find_layout("x", (1, 2, 3), lambda name, _: said[name]) is None


@pytest.mark.parametrize("order", ORDERS)
def test_an_inverse_undoes_its_permutation(order: Permutation) -> None:
    assert tuple(order[axis] for axis in inverse(order)) == (0, 1, 2, 3)

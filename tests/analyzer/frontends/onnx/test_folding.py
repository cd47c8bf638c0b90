"""Arithmetic on constants and extents: elements are numpy's, and the shapes that come of it onnxruntime's."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlint.analysis.cost import total_macs
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.onnx.operators.values import Constant, elements_of, joined, spread, taken, transposed
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Conv, Operator

SHAPES = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)


def constant(shape: tuple[int, ...], *, first: int = 0) -> tuple[Constant, np.ndarray]:
    array = np.arange(first, first + prod(shape)).reshape(shape)
    return Constant(shape, "int64", values=tuple(array.reshape(-1).tolist())), array


@given(SHAPES, st.data())
def test_transposing_gives_the_elements_that_numpy_gives(shape: tuple[int, ...], data: st.DataObject) -> None:
    folded, array = constant(shape)
    order = data.draw(st.permutations(range(len(shape))))
    assert transposed(folded, order) == tuple(array.transpose(order).reshape(-1).tolist())


@given(SHAPES, st.data())
def test_taking_places_of_an_axis_gives_the_elements_that_numpy_gives(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    folded, array = constant(shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = data.draw(st.lists(st.integers(0, shape[axis] - 1), max_size=5)) if shape[axis] else []
    assert taken(folded, axis, places) == tuple(np.take(array, np.array(places, int), axis).reshape(-1).tolist())


@given(SHAPES, st.data())
def test_joining_gives_the_elements_that_numpy_gives(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    others = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = [constant(shape)]
    parts += [constant((*shape[:axis], extent, *shape[axis + 1 :]), first=100) for extent in others]
    expected = np.concatenate([array for _, array in parts], axis)
    assert joined([folded for folded, _ in parts], axis) == tuple(expected.reshape(-1).tolist())


@given(SHAPES, st.data())
def test_spreading_gives_the_elements_that_numpy_gives(shape: tuple[int, ...], data: st.DataObject) -> None:
    narrow = tuple(data.draw(st.sampled_from((1, extent))) for extent in shape)
    dropped = data.draw(st.integers(0, len(shape)))
    while dropped and any(extent != 1 for extent in narrow[:dropped]):
        dropped -= 1
    folded, array = constant(narrow[dropped:])
    assert spread(folded, shape) == tuple(np.broadcast_to(array, shape).reshape(-1).tolist())


def test_elements_that_do_not_fit_the_shape_or_are_too_many_are_unknown() -> None:
    assert elements_of(Constant((2, 2), "int64", values=(1, 2, 3))) is None
    assert elements_of(Constant((None,), "int64", values=(1, 2, 3))) is None
    assert spread(constant((1,))[0], (1 << 20, 1 << 20)) is None
    assert taken(constant((1, 64))[0], 0, [0] * 4096) is None


HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'

EXPRESSIONS = {
    "rounded up": "half = Cast <to=1> (s) two = Constant <value_float = 2.0> () q = Div (half, two) c = Ceil (q) "
    "t = Cast <to=7> (c)",
    "rounded in float32": "wide = Cast <to=1> (s) k = Constant <value_float = 1.8> () q = Mul (wide, k) c = Floor (q) "
    "t = Cast <to=7> (c)",
    "clipped": "lo = Constant <value_int = 2> () hi = Constant <value_int = 6> () t = Clip (s, lo, hi)",
    "chosen": "one = Constant <value_ints = [-1, 2, 1, 1]> () k = Constant <value_int = -1> () "
    "e = Equal (one, k) t = Where (e, s, one)",
    "turned": "a = Constant <value_ints = [2, 2]> () m = Reshape (s, a) n = Transpose <perm = [1, 0]> (m) "
    "z = Constant <value_ints = [-1]> () t = Reshape (n, z)",
    "reversed": "b = Constant <value_ints = [-1]> () e = Constant <value_ints = [-9223372036854775807]> () "
    "x0 = Constant <value_ints = [0]> () t = Slice (s, b, e, x0, b)",
    "negated": "n = Neg (s) t = Abs (n)",
    "broadcast": "a = Constant <value_ints = [2, 2]> () m = Reshape (s, a) r = Constant <value_ints = [1, 2]> () "
    "n = Mul (m, r) z = Constant <value_ints = [-1]> () t = Reshape (n, z)",
    "gathered": "i = Constant <value_ints = [3, -3, 0]> () t = Gather (s, i)",
    "of one symbol": "d = Sub (s, s) o = Constant <value_int = 3> () t = Add (d, o)",
}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
@pytest.mark.parametrize("shape", [(1, 2, 5, 3), (2, 4, 7, 9)], ids=str)
def test_arithmetic_on_extents_gives_the_shapes_of_a_run(expression: str, shape: tuple[int, ...]) -> None:
    dims = ", ".join(map(str, shape))
    model = onnx.parser.parse_model(
        f"{HEADER}g (float[{dims}] x) => (float y) {{ s = Shape (x) {expression} y = ConstantOfShape (t) }}"
    )
    (made,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": np.zeros(shape, np.float32)})
    assert load_onnx_bytes(model.SerializeToString()).outputs[0].shape == made.shape


def padded(mode: str) -> onnx.ModelProto:
    """Return a convolution behind pads that PyTorch's older exporter computes: listed inside out, then turned."""
    model = onnx.parser.parse_model(
        f"{HEADER}g (float[batch, 3, 65, 40] x) => (float y)\n"
        """<int64[4] given = {1, 2, 0, 3}> {
            eight = Constant <value_int = 8> ()
            shape = Shape (given)
            zero = Constant <value_ints = [0]> ()
            count = Gather (shape, zero)
            missing = Sub (eight, count)
            zeros = ConstantOfShape <value = int64[1] {0}> (missing)
            all = Concat <axis = 0> (given, zeros)
            pairs_shape = Constant <value_ints = [-1, 2]> ()
            pairs = Reshape (all, pairs_shape)
            last = Constant <value_ints = [-1]> ()
            first = Constant <value_ints = [-9223372036854775807]> ()
            turned = Slice (pairs, last, first, zero, last)
            sides = Transpose <perm = [1, 0]> (turned)
            flat = Reshape (sides, last)
            pads = Cast <to = 7> (flat)
            padded = Pad <mode = """
        f'"{mode}"> (x, pads)\n y = Conv (padded, w) }}'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "w"))
    return model


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pads_that_an_exporter_computes_fold_with_the_batch_open(mode: str) -> None:
    model = padded(mode)
    graph = load_onnx_bytes(model.SerializeToString())
    fed = {"x": np.zeros((2, 3, 65, 40), np.float32)}
    (made,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, fed)
    assert graph.outputs[0].shape == ("batch", *made.shape[1:])
    (conv,) = graph.of_kind(Conv)
    assert (conv.pads == ((0, 3), (1, 2))) == (mode == "constant")
    assert total_macs(graph) == prod(made.shape[1:]) * 3 * 3 * 3


def of_a_state(shape: str) -> Graph:
    model = onnx.parser.parse_model(
        f"{HEADER}g (float[{shape}] x) => (float y) {{ s = Shape (x) state = ConstantOfShape (s) "
        "other = Concat <axis = 1> (x, state) y = Relu (other) }"
    )
    return load_onnx_bytes(model.SerializeToString())


def test_what_is_made_from_extents_is_no_parameter_whether_they_are_known_or_not() -> None:
    assert of_a_state("batch, 8, 4").parameters == of_a_state("1, 8, 4").parameters == 0
    assert of_a_state("1, 8, 4").outputs[0].shape == (1, 16, 4)


def test_a_kernel_of_one_number_and_a_shape_that_the_file_says_is_a_parameter() -> None:
    model = onnx.parser.parse_model(
        f"{HEADER}g (float[n, 8] x) => (float y) <int64[2] s = {{8, 4}}> "
        "{ w = ConstantOfShape (s) y = MatMul (x, w) }"
    )
    assert load_onnx_bytes(model.SerializeToString()).parameters == 32


def test_operators_that_keep_a_shape_are_known_to() -> None:
    model = onnx.parser.parse_model(
        f"{HEADER}g (float[n, 8, 4] x) => (float y) <int64 axis = {{1}}> {{ y = CumSum (x, axis) }}"
    )
    (layer,) = load_onnx_bytes(model.SerializeToString()).of_kind(Operator)
    assert layer.output.shape == ("n", 8, 4)

"""What one sample is, and that its share of a run is what a run of one sample costs."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import pytest

from cnnlint.analysis.context import Context
from cnnlint.analysis.samples import batch_of
from cnnlint.frontends import load_onnx_bytes
from cnnlint.graph.dims import bound

HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'


def network(text: str, **weights: tuple[int, ...]) -> Context:
    model = onnx.parser.parse_model(HEADER + text)
    for name, shape in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    return Context(load_onnx_bytes(model.SerializeToString()))


def tokens(batch: int | str) -> Context:
    """Return a convolution, whose map is folded into samples × patches as MobileViT does, and a dense layer on it."""
    return network(
        f"""g (float[{batch}, 3, 8, 8] x) => (float y) {{
            m = Conv <pads = [1, 1, 1, 1]> (x, k)
            a = Constant <value_ints = [-1, 2, 4, 2]> () p = Reshape (m, a) q = Transpose <perm = [0, 2, 1, 3]> (p)
            b = Constant <value_ints = [-1, 8, 16, 4]> () r = Reshape (q, b) s = Transpose <perm = [0, 3, 2, 1]> (r)
            c = Constant <value_ints = [-1, 16, 8]> () t = Reshape (s, c) y = MatMul (t, w) }}""",
        k=(8, 3, 3, 3),
        w=(8, 24),
    )


@pytest.mark.parametrize("batch", [1, 2, 5, "batch", "?"])
def test_tokens_folded_into_the_batch_cost_a_sample_what_its_tokens_cost(batch: int | str) -> None:
    # 64 positions: 8 filters of 27 weights each, and 24 units on 8 features
    assert tokens(batch).macs == 64 * (8 * 27 + 24 * 8)
    assert tokens(batch).batch.run == ""
    assert tokens(batch).peak_activation_bytes == tokens(1).peak_activation_bytes is not None


@pytest.mark.parametrize("batch", [1, 4, "n"])
def test_work_on_constants_is_not_divided(batch: int | str) -> None:
    context = network(
        f"g (float[{batch}, 8] x) => (float y) {{ w = Add (a, c) v = MatMul (w, b) y = MatMul (x, v) }}",
        a=(8, 16), b=(16, 12), c=(8, 1),
    )  # fmt: skip
    once = sum(context.layer_macs(layer) or 0 for layer in context.graph.layers if layer.name.startswith("v"))
    assert once == 8 * 16 * 12
    assert context.macs == once + 8 * 12


def test_a_batch_behind_the_steps_of_a_sequence_is_found() -> None:
    of = "{ t = Transpose <perm = [1, 0, 2]> (x) y = MatMul (t, w) }"
    for batch in (1, 3, "n"):
        assert network(f"g (float[{batch}, 7, 8] x) => (float y) {of}", w=(8, 5)).macs == 7 * 8 * 5


def test_inputs_that_do_not_agree_about_a_batch_give_totals_of_a_run() -> None:
    text = "g (float[{}, 8] x, float[2, 8] z) => (float y) {{ a = MatMul (x, w) b = MatMul (z, w) "
    text += "y = Concat <axis = 0> (a, b) }}"
    assert network(text.format(4), w=(8, 5)).macs == (4 + 2) * 8 * 5
    assert network(text.format("n"), w=(8, 5)).macs is None
    assert "agree" in network(text.format(4), w=(8, 5)).batch.run
    assert network(text.format(2), w=(8, 5)).macs == 2 * 8 * 5


SLIDES = "{ u = Unsqueeze (x, at) t = Transpose <perm = [0, 2, 1]> (u) y = Conv <pads = [1, 1]> (t, k) }"


@pytest.mark.parametrize(("steps", "macs"), [(6, 6 * 4 * 8 * 3), ("time", None)])
def test_an_axis_that_a_convolution_slides_along_is_no_batch(steps: int | str, macs: int | None) -> None:
    context = network(f"g (float[{steps}, 8] x) => (float y) <int64[1] at = {{0}}> {SLIDES}", k=(4, 8, 3))
    assert context.macs == macs
    assert "does not treat the first axis" in context.batch.run


def test_a_first_axis_that_is_averaged_ahead_of_the_head_is_no_batch() -> None:
    of = "{ m = ReduceMean <axes = [0]> (x) y = MatMul (m, w) }"
    assert network(f"g (float[6, 8] x) => (float y) {of}", w=(8, 5)).batch.run
    assert network(f"g (float[time, 8] x) => (float y) {of}", w=(8, 5)).batch.run


def test_an_extent_that_stands_for_one_leaves_the_other_factors() -> None:
    assert bound("64*batch", "batch") == 64
    assert bound("batch*batch", "batch") == 1
    assert bound("64*batch*h", "batch") == "64*h"
    assert bound("h", "batch") == "h"
    assert bound(None, "batch") is None


def test_an_input_of_no_axes_or_of_kernels_has_no_say_about_the_batch() -> None:
    context = network(
        "g (float[n, 3, 8, 8] x, float[4, 3, 3, 3] k, int64 rate) => (float y, int64 z)"
        "{ y = Conv (x, k) z = Identity (rate) }"
    )
    assert batch_of(context.graph).symbol == "n"
    assert context.macs == 36 * 4 * 27

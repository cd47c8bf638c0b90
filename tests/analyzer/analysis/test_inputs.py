"""Why numbers are unknown, and the `--input` of this very model that makes them known."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest

from cnnlint.analysis.context import Context
from cnnlint.analysis.inputs import closing_options
from cnnlint.errors import ModelError
from cnnlint.frontends import load_onnx_bytes

HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'
CONV = "g (float[{}, 3, {}, {}] image) => (float y) {{ y = Conv (image, k) }}"


def content(text: str, **weights: tuple[int, ...]) -> bytes:
    model = onnx.parser.parse_model(HEADER + text)
    for name, shape in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    return model.SerializeToString()


def shapes_of(options: str) -> dict[str, tuple[int, ...]]:
    pairs = (option.split("=") for option in options.split()[1::2])
    return {name: tuple(map(int, shape.split("x"))) for name, shape in pairs}


MODELS = {
    "image": (content(CONV.format("N", "H", 48), k=(4, 3, 3, 3)), "--input image=1x3x224x48"),
    "of a fixed batch": (content(CONV.format(2, "H", "W"), k=(4, 3, 3, 3)), "--input image=2x3x224x224"),
    "channels last": (
        content(
            "g (float[N, H, W, 3] image) => (float y) "
            "{ t = Transpose <perm = [0, 3, 1, 2]> (image) y = Conv (t, k) }",
            k=(4, 3, 3, 3),
        ),
        "--input image=1x224x224x3",
    ),
    "steps first": (
        content("g (float[T, N, 8] sound) => (float y) { y, h = LSTM <hidden_size = 5> (sound, w, r) }",
                w=(1, 20, 8), r=(1, 20, 5)),
        "--input sound=224x1x8",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "options"), MODELS.values(), ids=MODELS.keys())
def test_the_option_has_the_names_ranks_and_order_of_axes_of_the_file_and_closes_it(data: bytes, options: str) -> None:
    context = Context(load_onnx_bytes(data))
    assert context.macs is None
    assert closing_options(context.graph) == options
    assert any(options in note for note in context.notes_on_numbers())
    closed = Context(load_onnx_bytes(data, inputs=shapes_of(options)))
    assert closed.macs is not None
    assert list(closed.notes_on_numbers()) == []


def test_a_model_without_a_batch_is_closed_along_its_first_axis_too() -> None:
    data = content(
        "g (float[time, 8] x, float[2, 8] z) => (float y) "
        "{ a = MatMul (x, w) b = MatMul (z, w) y = Concat <axis = 0> (a, b) }",
        w=(8, 5),
    )
    told, unknown = Context(load_onnx_bytes(data)).notes_on_numbers()
    assert "a run as declared" in told
    assert "--input x=1x8" in unknown
    assert Context(load_onnx_bytes(data, inputs={"x": (1, 8)})).macs == 3 * 8 * 5


def test_a_state_that_has_the_batch_of_the_input_elsewhere_has_one_sample_too() -> None:
    data = content(
        "g (float[N, T, 8] sound, float[1, N, 5] state) => (float y) "
        "{ s = Transpose <perm = [1, 0, 2]> (sound) y, h = LSTM <hidden_size = 5> (s, w, r, , , state) }",
        w=(1, 20, 8), r=(1, 20, 5),
    )  # fmt: skip
    context = Context(load_onnx_bytes(data))
    assert closing_options(context.graph, batch=True) == "--input sound=1x224x8 --input state=1x1x5"
    assert Context(load_onnx_bytes(data, inputs={"sound": (1, 224, 8), "state": (1, 1, 5)})).macs == 224 * 20 * 13


def test_no_size_is_asked_for_where_none_would_tell_what_runs() -> None:
    text = """g (float[N, 3, H, W] image, bool fast) => (float y) {
        y = If (fast) <then_branch = a () => (float p) { p = Conv (image, k) },
                       else_branch = b () => (float q) { q = Relu (image) }>
        z = Conv (image, k) }"""
    data = content(text, k=(4, 3, 3, 3))
    assert closing_options(load_onnx_bytes(data))
    (note,) = Context(load_onnx_bytes(data)).notes_on_numbers()
    assert note == "MACs are unknown: y is opaque (control flow: what runs depends on values)"
    assert Context(load_onnx_bytes(data, inputs={"image": (1, 3, 8, 8)})).macs is None


def test_a_size_is_asked_for_where_the_heads_of_an_attention_depend_on_it() -> None:
    text = """g (float[N, T, D] x) => (float y) { y = Attention <q_num_heads = 2, kv_num_heads = 2> (x, x, x) }"""
    model = onnx.load_from_string(content(text))
    model.opset_import[0].version = 23
    data = model.SerializeToString()
    (note,) = Context(load_onnx_bytes(data)).notes_on_numbers()
    assert note.endswith("give the input a size: --input x=1x224x224")
    assert Context(load_onnx_bytes(data, inputs={"x": (1, 224, 224)})).macs == 2 * 224**3


@pytest.mark.parametrize("channels", [1, 3])
def test_two_numbers_are_no_norm_however_many_channels_the_map_has(channels: int) -> None:
    text = f"""g (float[N, {channels}, 12, 9] x) => (float y)
        <float[1, 1, 1, 1] scale = {{2}}, float[1, 1, 1, 1] shift = {{1}}> {{
        bent = Relu (x)
        scaled = Mul (bent, scale)
        shifted = Add (scaled, shift)
        y = Conv (shifted, k) }}"""
    assert load_onnx_bytes(content(text, k=(4, channels, 3, 3))).parameters == 36 * channels


@pytest.mark.parametrize("given", [(1, 4, 32, 32), (2, 3, 32, 48)])
def test_a_given_shape_that_contradicts_the_file_is_refused(given: tuple[int, ...]) -> None:
    data = content(CONV.format(1, "H", 48), k=(4, 3, 3, 3))
    with pytest.raises(ModelError, match="contradicts the file"):
        load_onnx_bytes(data, inputs={"image": given})
    assert load_onnx_bytes(data, inputs={"image": (1, 3, 32, 48)}).outputs[0].shape == (1, 4, 30, 46)


def test_a_quantized_product_with_a_vector_is_one_with_its_matrix_and_not_with_its_scale() -> None:
    text = """g (uint8[64] x) => (uint8 y)
        <float s = {0.5}, uint8 z = {0}, uint8[64, 3] b = {%s}> { y = QLinearMatMul (x, s, z, b, s, z, s, z) }"""
    context = Context(load_onnx_bytes(content(text % ", ".join(["1"] * 192))))
    assert context.graph.outputs[0].shape == (3,)
    assert context.parameters == 192
    assert sum(context.layer_macs(layer) or 0 for layer in context.graph.layers) == 64 * 3


def test_where_arithmetic_on_an_open_batch_leaves_a_shape_unknown_the_batch_is_asked_for() -> None:
    # As jax2tf slices, and magika's model has it: the first axis is cut at its own length, which a Slice cannot tell.
    text = """g (float[N, 3, 8, 8] image) => (float y) <int64[1] zero = {0}, int64[1] one = {1}> {
        extents = Shape (image)
        batch = Slice (extents, zero, one)
        starts = Concat <axis = 0> (zero, zero)
        rest = Constant <value_ints = [7]> ()
        ends = Concat <axis = 0> (batch, rest)
        axes = Constant <value_ints = [0, 2]> ()
        cropped = Slice (image, starts, ends, axes)
        y = Conv (cropped, k) }"""
    data = content(text, k=(4, 3, 3, 3))
    context = Context(load_onnx_bytes(data))
    assert context.macs is None
    (note,) = context.notes_on_numbers()
    assert note.endswith("give the input a size: --input image=1x3x8x8")
    assert Context(load_onnx_bytes(data, inputs={"image": (1, 3, 8, 8)})).macs == 5 * 6 * 4 * 27

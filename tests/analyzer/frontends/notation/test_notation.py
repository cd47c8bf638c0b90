"""Networks written in one line become the ONNX models that they say; onnx and onnxruntime are the judges."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from cnnlint.frontends.notation import NotationError, emitter, is_notation, to_onnx

SYMBOLS = {"N": 2, "H": 40, "W": 48}


def run(text: str) -> tuple[onnx.ModelProto, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the model of `text`, checked, with a seeded input and what onnxruntime makes of it."""
    model = to_onnx(text)
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString())
    given = session.get_inputs()[0]
    shape = [SYMBOLS[dim] if isinstance(dim, str) else dim for dim in given.shape]
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return model, x, session.run(None, {given.name: x})[0]


def names(text: str) -> list[str]:
    return [node.name for node in to_onnx(text).graph.node]


def declared(model: onnx.ModelProto) -> list[int | str | None]:
    dims = model.graph.output[0].type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in dims]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("INPUT 3x32x32 -> [CONV 16 3x3 -> RELU]*2 -> POOL 2 -> FLATTEN -> FC 10 -> SOFTMAX", (2, 10)),
        ("INPUT 3x224x224 -> CONV 16 2x2 valid", (2, 16, 223, 223)),
        ("INPUT 3x223x223 -> POOL 2", (2, 3, 111, 111)),
        ("INPUT 3x223x223 -> POOL 2 ceil", (2, 3, 112, 112)),
        ("INPUT 3x33x33 -> CONV 8 3x3 stride 2", (2, 8, 17, 17)),
        ("INPUT 3x32x32 -> CONV 8 5x3 dilation 2", (2, 8, 32, 32)),
        ("INPUT 3x32x32 -> CONV 8 5x3 valid dilation 2", (2, 8, 24, 28)),
        ("INPUT 3x32x32 -> CONV 8 7x7 stride 2 pad 3 -> POOL 3 stride 2 pad 1", (2, 8, 8, 8)),
        ("INPUT 4x32x32 -> CONV 8 3x3 groups 4 -> DWCONV 3x3 multiplier 2", (2, 16, 32, 32)),
        ("INPUT 3x8x8 -> DECONV 4 4x4 stride 2", (2, 4, 16, 16)),
        ("INPUT 3x8x8 -> DECONV 4 2x2 stride 3", (2, 4, 24, 24)),
        ("INPUT 3x8x8 -> DECONV 4 3x3 stride 2 valid", (2, 4, 17, 17)),
        ("INPUT 3x8x8 -> PAD 1 -> PAD 0 2", (2, 3, 12, 12)),
        ("INPUT 3x8x8 -> PAD 1 reflect -> UPSAMPLE 2 linear", (2, 3, 20, 20)),
        ("INPUT 3x8x8 -> RESIZE 5x7", (2, 3, 5, 7)),
        ("INPUT 3x8x8 -> GAP keep", (2, 3, 1, 1)),
        ("INPUT 3x8x8 -> GMP", (2, 3)),
        ("INPUT 4x100 -> CONV 8 3 stride 2 -> POOL 3", (2, 8, 16)),
        ("INPUT 1x8x8x8 -> CONV 4 3x3x3 -> AVGPOOL 2 -> GAP", (2, 4)),
        ("INPUT 784 -> FC 10", (2, 10)),
        ("INPUT 3x4x4 batch 5 -> FC 7 nobias", (5, 7)),
        ("INPUT 3xHxW -> CONV 8 3x3 stride 2 -> BN -> RELU6 -> DWCONV 3x3 -> SE 4 -> GAP -> FC 10", (2, 10)),
        ("INPUT 8x16x16 -> RES[BN -> RELU -> CONV 3x3]*3", (2, 8, 16, 16)),
        ("INPUT 8x16x16 -> RES[CONV 16 3x3 stride 2 -> CONV 16 3x3 | CONV 1x1 stride 2 -> BN]", (2, 16, 8, 8)),
        ("INPUT 8x16x16 -> CAT[ID | CONV 4 1x1 | POOL 3 stride 1 same -> CONV 2 1x1]", (2, 14, 16, 16)),
        ("INPUT 8x16x16 -> ADD[ID | CONV 3x3 | CONV 5x5]", (2, 8, 16, 16)),
        ("INPUT 8x6x6 -> LN -> GN 2 -> IN -> LRN -> LRN 3 -> DROPOUT 0.3 -> RESCALE", (2, 8, 6, 6)),
        ("INPUT 3x8x8 -> BN training", (2, 3, 8, 8)),
    ],
)  # fmt: skip
def test_output_has_the_shape_that_the_text_says(text: str, shape: tuple[int, ...]) -> None:
    model, _, output = run(text)
    assert output.shape == shape
    assert all(stated in (None, "N", actual) for stated, actual in zip(declared(model), shape, strict=True))


@pytest.mark.parametrize(
    ("step", "function"),
    [
        ("RELU", lambda x: np.maximum(x, 0)),
        ("RELU6", lambda x: np.clip(x, 0, 6)),
        ("LEAKYRELU 0.2", lambda x: np.where(x > 0, x, 0.2 * x)),
        ("ELU", lambda x: np.where(x > 0, x, np.exp(x) - 1)),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-x))),
        ("HSIGMOID", lambda x: np.clip(x / 6 + 0.5, 0, 1)),
        ("TANH", np.tanh),
        ("SWISH", lambda x: x / (1 + np.exp(-x))),
        ("HSWISH", lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
        ("MISH", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("SOFTPLUS", lambda x: np.log1p(np.exp(x))),
        ("SOFTSIGN", lambda x: x / (1 + np.abs(x))),
        ("SOFTMAX", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        ("DROPOUT 0.9", lambda x: x),
        ("RESCALE 0.5", lambda x: x / 2),
        ("GAP", lambda x: x.mean((2, 3))),
        ("GMP", lambda x: x.max((2, 3))),
        ("UPSAMPLE 2", lambda x: x.repeat(2, 2).repeat(2, 3)),
        ("FLATTEN", lambda x: x.reshape(2, -1)),
        ("GATE[SIGMOID]", lambda x: x / (1 + np.exp(-x))),
        ("RES[RELU]", lambda x: x + np.maximum(x, 0)),
        ("ADD[ID | RELU | TANH]", lambda x: x + np.maximum(x, 0) + np.tanh(x)),
        ("CAT[ | RELU]", lambda x: np.concatenate([x, np.maximum(x, 0)], 1)),
    ],
)  # fmt: skip
def test_step_computes_its_function(step: str, function: Any) -> None:
    _, x, output = run(f"INPUT 3x6x6 -> {step}")
    np.testing.assert_allclose(output, function(x), rtol=2e-6, atol=2e-6)


def test_batch_norm_uses_the_batch_only_in_training() -> None:
    for step, alike in (("BN", True), ("BN training", False)):
        model = to_onnx(f"INPUT 3x4x4 -> {step}").SerializeToString()
        session = ort.InferenceSession(model)
        x = np.random.default_rng(0).standard_normal((2, 3, 4, 4), dtype=np.float32)
        alone, together = session.run(["bn1"], {"input": x[:1]})[0], session.run(["bn1"], {"input": x})[0][:1]
        assert np.allclose(alone, together, atol=1e-5) is alike


def test_steps_are_named_by_kind_and_number() -> None:
    blocks = "[CONV 4 3x3 -> BN -> RELU]*2 -> RES[CONV 4 3x3] -> RELU6 -> CAT[ID | DWCONV 3x3]"
    text = f"INPUT 3x8x8 -> {blocks} -> POOL -> FC 2"
    assert names(text) == [
        "conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "add1", "relu6_1", "dwconv1", "concat1", "pool1",
        "flatten1", "fc1",
    ]  # fmt: skip


def test_own_names_are_kept_and_made_unique() -> None:
    text = "INPUT 3x8x8 -> CONV 4 3x3 @stem -> [CONV 4 3x3 @body]*2 -> CONV 4 3x3"
    assert names(text) == ["stem", "body", "body_2", "conv4"]


def test_same_text_gives_the_same_bytes_and_another_seed_other_weights() -> None:
    text = "INPUT 3x8x8 -> CONV 4 3x3 -> FC 3"
    assert to_onnx(text).SerializeToString() == to_onnx(text).SerializeToString()
    assert to_onnx(text).SerializeToString() != to_onnx(text, seed=1).SerializeToString()


def test_seed_network_has_its_parameters() -> None:
    body = "CONV 16 2x2 valid -> POOL -> CONV 32 2x2 valid -> POOL -> CONV 64 2x2 valid"
    text = f"INPUT 3x224x224 -> {body} -> GAP -> FC 133"
    weights = [numpy_helper.to_array(weight) for weight in to_onnx(text).graph.initializer]
    assert sum(weight.size for weight in weights if weight.dtype == np.float32) == 19_189


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("INPUT 3x32x32 -> CONVV 16", 18, "did you mean CONV?"),
        ("CONV 3", 1, "starts with its input"),
        ("INPUT", 1, "needs its shape"),
        ("INPUT 3x0 -> RELU", 7, "is not a shape"),
        ("INPUT 3x32x32", 14, "no layers"),
        ("INPUT 3x32x32 -> CONV 16", 18, "needs its kernel size"),
        ("INPUT 3x32x32 -> CONV 16 3x3x3", 26, "has 3 axes instead of 2"),
        ("INPUT 3x32x32 -> CONV 16 3x3 strid 2", 30, "does not take 'strid'"),
        ("INPUT 3x32x32 -> CONV 16 3x3 stride", 30, "stride needs a number"),
        ("INPUT 3x32x32 -> CONV 16 3x3 same valid", 18, "cannot be both same and valid"),
        ("INPUT 3x32x32 -> CONV 16 3x3 groups 2", 18, "do not divide"),
        ("INPUT 3x32x32 -> [CONV 16 3x3", 18, "never closed"),
        ("INPUT 3x32x32 -> RELU]", 22, "expected ->"),
        ("INPUT 3x32x32 -> RELU*2", 18, "only brackets can be repeated"),
        ("INPUT 3x32x32 -> [RELU]*0", 25, "a number of repeats"),
        ("INPUT 3x32x32 -> [RELU | RELU]", 18, "branches need a join"),
        ("INPUT 3x32x32 -> RES[CONV 16 3x3]", 18, "16x32x32 and 3x32x32"),
        ("INPUT 3x32x32 -> CAT[POOL 2 | ID]", 18, "must agree in all but channels"),
        ("INPUT 3x4x4 -> POOL 8", 16, "does not fit"),
        ("INPUT 3 -> CONV 1 1", 12, "works on maps"),
        ("INPUT 3x4x4 -> RELU RELU", 21, "does not take 'RELU'"),
        ("INPUT 3x32x32 -> FC 9999999999999", 21, "units cannot be"),
        ("INPUT 3x32x32 -> ", 17, "the end"),
        ("INPUT 3xHxW -> FC 10", 16, "is unknown here"),
        ("INPUT 3x32x32 -> FC 2000000", 18, "more than one ONNX file holds"),
        ("INPUT 3x8x8 -> [RELU]*999999999", 23, "no network repeats"),
        ("INPUT 3x8x8 -> $", 16, "has no meaning"),
        ("INPUT 3x8x8 -> DROPOUT 1.5", 16, "below 1"),
        ("INPUT 3x8x8 -> LEAKYRELU 0.1.2", 26, "is not a valid alpha"),
        ("INPUT 3x8x8 -> " + "[" * 100 + "RELU" + "]" * 100, 80, "nested deeper"),
    ],
)  # fmt: skip
def test_mistake_is_reported_at_its_column(text: str, column: int, said: str) -> None:
    with pytest.raises(NotationError) as caught:
        to_onnx(text)
    assert caught.value.column == column
    assert said in str(caught.value)
    assert f"column {column}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_repeats_inside_repeats_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter, "MOST_STEPS", 50)
    assert len(names("INPUT 3x8x8 -> [[RELU]*5]*10")) == 50
    with pytest.raises(NotationError, match="column 18: the network has more than 50 layers"):
        to_onnx("INPUT 3x8x8 -> [[RELU]*17]*3")


def test_mistake_on_a_later_line_names_the_line_and_points_at_it() -> None:
    with pytest.raises(NotationError, match="line 2, column 4") as caught:
        to_onnx("INPUT 3x8x8\n-> RELOO\n-> RELU")
    assert caught.value.pointer == "-> RELOO\n   ^"


def test_notation_is_told_from_paths_and_onnx_text() -> None:
    assert is_notation("  INPUT 3x32x32 -> RELU")
    assert not is_notation("INPUTS.onnx")
    assert not is_notation("models/INPUT.onnx")
    assert not is_notation('<ir_version: 8, opset_import: ["" : 17]>')

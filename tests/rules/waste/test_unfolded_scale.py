"""WA008: products and sums that a convolution can take in, held against the folded network under onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

from cnnlint.testing import findings, lint
from cnnlint_rules.waste.unfolded_scale import UnfoldedScale

NET = """<ir_version: 8, opset_import: ["" : 17]> net (float[1, 2, 8, 8] x) => (y)
    <float[3, 2, 3, 3] k = {{{kernel}}}, float[3] bias = {{0.5, -1.0, 2.0}}, float s = {{0.5}},
     float[3, 1, 1] each = {{0.5, 2.0, -1.0}}, float[1, 2, 1, 1] ahead = {{0.5, -2.0}},
     float[8] columns = {{1, 2, 3, 4, 5, 6, 7, 8}}> {{
        a = Relu (x) {body} y = Relu (b)
    }}"""
KERNEL = np.random.default_rng(2).normal(size=(3, 2, 3, 3)).astype(np.float32)
BIAS = np.array([0.5, -1, 2], np.float32)
EACH = np.array([0.5, 2, -1], np.float32)
AHEAD = np.array([0.5, -2], np.float32)
PADDED = "Conv <pads = [1, 1, 1, 1]>"

AFTER = f"c = {PADDED} (a, k, bias)"
BY_FILTER, BY_CHANNEL = EACH[:, None, None, None], AHEAD[None, :, None, None]

FOLDED = {
    "factor after": (f"{AFTER} b = Mul (c, s)", 0.5 * KERNEL, 0.5 * BIAS, PADDED),
    "factors after": (f"{AFTER} b = Mul (each, c)", BY_FILTER * KERNEL, EACH * BIAS, PADDED),
    "quotient after": (f"{AFTER} b = Div (c, s)", 2 * KERNEL, 2 * BIAS, PADDED),
    "difference after": (f"{AFTER} b = Sub (each, c)", -KERNEL, EACH - BIAS, PADDED),
    "factors ahead": (f"c = Mul (a, ahead) b = {PADDED} (c, k, bias)", BY_CHANNEL * KERNEL, BIAS, PADDED),
    "sum ahead": (
        "c = Add (a, ahead) b = Conv (c, k, bias)",
        KERNEL,
        BIAS + (KERNEL * BY_CHANNEL).sum((1, 2, 3)),
        "Conv",
    ),
}
"""What is found, and the kernel, the bias and the operator of the convolution that does it."""

KEPT = {
    "a sum ahead of padding": f"c = Add (a, ahead) b = {PADDED} (c, k, bias)",
    "a factor for each column": f"{AFTER} b = Mul (c, columns)",
    "a constant divided": f"{AFTER} b = Div (each, c)",
    "an activation between": f"{AFTER} d = Relu (c) b = Mul (d, s)",
}


def text_of(body: str) -> str:
    return NET.format(body=body, kernel=", ".join(map(repr, map(float, KERNEL.reshape(-1)))))


def run(model: onnx.ModelProto) -> np.ndarray:
    x = np.random.default_rng(5).normal(size=(1, 2, 8, 8)).astype(np.float32)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize("name", FOLDED)
def test_what_is_found_can_be_part_of_the_convolution(name):
    body, kernel, bias, operator = FOLDED[name]
    (found,) = findings(UnfoldedScale, text_of(body))
    assert len(found.layers) == 2
    folded = onnx.parser.parse_model(text_of(f"b = {operator} (a, k, bias)"))
    for tensor in folded.graph.initializer:
        if tensor.name in {"k", "bias"}:
            tensor.CopyFrom(
                numpy_helper.from_array({"k": kernel, "bias": bias}[tensor.name].astype(np.float32), tensor.name)
            )
    np.testing.assert_allclose(run(onnx.parser.parse_model(text_of(body))), run(folded), atol=1e-5)


@pytest.mark.parametrize("name", KEPT)
def test_what_no_convolution_can_take_in_is_left_alone(name):
    assert not findings(UnfoldedScale, text_of(KEPT[name]))


def test_a_convolution_that_something_else_reads_is_left_alone():
    body = f"{AFTER} d = Mul (c, s) b = Sub (d, c)"
    assert not findings(UnfoldedScale, text_of(body))


def test_a_keras_file_is_a_training_graph():
    body = FOLDED["factor after"][0]
    assert not lint(UnfoldedScale(), text_of(body), source="keras").hits

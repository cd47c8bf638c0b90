"""WA001: functions that commute with a maximum, held against onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest

import zoo
from cnnlint.frontends import load
from cnnlint.testing import findings, lint
from cnnlint_rules.waste.maxpool_after_relu import MaxpoolAfterRelu

FUNCTIONS = {
    "Relu": True,
    "Sigmoid": True,
    "Tanh": True,
    "Softplus": True,
    "Selu": True,
    "LeakyRelu <alpha = 0.1>": True,
    "LeakyRelu <alpha = -0.1>": False,
    "Elu": True,
    "HardSwish": False,
    "Mish": False,
    "Gelu": False,
}

POOL = "MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>"


def text_of(function: str) -> str:
    return f"""<ir_version: 10, opset_import: ["" : 21]> net (float[1, 3, 9, 9] x) => (y, z) {{
        a = {function} (x)
        y = {POOL} (a)
        b = {POOL} (x)
        z = {function} (b)
    }}"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_is_found_exactly_where_the_exchange_changes_nothing(function):
    session = onnxruntime.InferenceSession(onnx.parser.parse_model(text_of(function)).SerializeToString())
    x = np.random.default_rng(3).normal(size=(1, 3, 9, 9)).astype(np.float32) - 1
    first, second = session.run(None, {"x": x})
    assert np.allclose(first, second, atol=1e-7) is FUNCTIONS[function]
    assert bool(findings(MaxpoolAfterRelu, text_of(function))) is FUNCTIONS[function]


def test_an_activation_that_something_else_reads_is_left_alone():
    text = "INPUT 3x8x8 -> CONV 4 3x3 same -> RELU -> CAT[POOL 2 | CONV 4 2x2 stride 2] -> GAP -> FC 10"
    assert not findings(MaxpoolAfterRelu, text)


def test_a_pooling_of_stride_one_saves_nothing():
    walked = lint(MaxpoolAfterRelu(), "INPUT 3x8x8 -> CONV 4 3x3 same -> RELU -> POOL 3 stride 1 same -> GAP -> FC 10")
    assert not walked.hits
    assert "keeps 256 of 256" in walked.near_misses["WA001"][0].reason


def test_vgg19_has_five():
    found = lint(MaxpoolAfterRelu(), load(str(zoo.light_path("vgg19")))).findings
    sizes = [(64, 224), (128, 112), (256, 56), (512, 28), (512, 14)]  # Simonyan and Zisserman 2015, table 1
    assert [each.evidence["before"] for each in found] == [channels * side**2 for channels, side in sizes]

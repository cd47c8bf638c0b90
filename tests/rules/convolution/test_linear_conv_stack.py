from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import zoo
from cnnlint.frontends import load
from cnnlint.frontends.notation import to_onnx
from cnnlint_rules.convolution.linear_conv_stack import LinearConvStack

START = "INPUT 16x33x33"
END = "RELU -> GAP -> FC 10"


@pytest.mark.parametrize(
    ("first", "second"),
    [("3x3", "3x3"), ("5x5", "3x3"), ("3x3 stride 2", "3x3"), ("3x3 dilation 2", "5x5")],
)
def test_the_composed_kernel_is_what_an_impulse_reaches(lint, first, second):
    stack = f"INPUT 16x33x33 -> CONV 32 {first} valid nobias -> CONV 32 {second} valid nobias"
    session = onnxruntime.InferenceSession(to_onnx(stack).SerializeToString())
    name = session.get_inputs()[0].name
    last = 0
    for row in range(33):
        x = np.zeros((1, 16, 33, 33), np.float32)
        x[:, :, row] = 1
        if np.abs(session.run(None, {name: x})[0][:, :, 0]).max() > 0:  # the row reaches the first row of outputs
            last = row
    (found,) = lint(LinearConvStack(), f"{stack} -> {END}").findings
    assert found.evidence["composed_kernel_0"] == last + 1


@pytest.mark.parametrize("between", ["", "BN -> ", "DROPOUT 0.1 -> ", "BN -> DROPOUT 0.1 -> "])
def test_a_forgotten_activation_is_found_behind_a_norm_too(lint, between):
    text = f"{START} -> CONV 32 3x3 same -> {between}CONV 32 3x3 same -> {END}"
    (found,) = lint(LinearConvStack(), text).findings
    assert found.layers == ("conv1", "conv2")
    assert found.evidence["weights"] == 9 * 16 * 32 + 9 * 32 * 32


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        ("CONV 16 3x3 same groups 16 -> BN -> CONV 32 1x1", "depthwise or grouped"),
        ("CONV 64 1x1 groups 4 -> CONV 64 3x3 same", "depthwise or grouped"),
        ("CONV 8 1x1 -> BN -> CONV 48 1x1", "linear bottleneck"),
        ("CONV 16 1x1 -> BN -> CONV 72 1x1", "linear bottleneck"),
        ("CONV 12 1x1 -> CONV 12 3x3 same", "low-rank factorization"),
        ("CONV 16 1x3 same -> CONV 16 3x1 same", "factorized kernel"),
    ],
)
def test_factorizations_are_no_smell(lint, pair, reason):
    walk = lint(LinearConvStack(), f"{START} -> {pair} -> {END}")
    assert not walk.findings
    assert reason in walk.near_misses["CV002"][0].reason


@pytest.mark.parametrize("between", ["RELU", "BN -> RELU", "POOL 2", "LN"])
def test_what_is_not_linear_between_is_fine(lint, between):
    assert not lint(
        LinearConvStack(), f"{START} -> CONV 32 3x3 same -> {between} -> CONV 32 3x3 same -> {END}"
    ).findings


def test_a_sum_between_two_convolutions_is_no_stack(lint):
    text = f"{START} -> RES[CONV 16 3x3 same -> RELU -> CONV 16 3x3 same] -> CONV 16 3x3 same -> {END}"
    assert not lint(LinearConvStack(), text).findings


@pytest.mark.parametrize("name", zoo.light_names())
def test_no_published_network_has_one(lint, name):
    assert not lint(LinearConvStack(), load(str(zoo.light_path(name)))).findings

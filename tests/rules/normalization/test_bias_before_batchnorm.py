from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

from cnnlint.frontends.notation import to_onnx
from cnnlint.testing import to_graph
from cnnlint_rules.normalization.bias_before_batchnorm import BiasBeforeBatchnorm

TEXT = "INPUT 3x12x12 -> CONV 16 3x3 same -> BN -> RELU"


def outputs(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def test_the_bias_can_move_into_the_mean_without_a_change():
    model = to_onnx(TEXT)
    convolution, norm = model.graph.node[0], model.graph.node[1]
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    bias, mean = arrays[convolution.input[2]], arrays[norm.input[3]]
    x = np.random.default_rng(1).normal(size=(1, 3, 12, 12)).astype(np.float32)
    before = outputs(model, x)
    shift = np.linspace(-3, 3, 16, dtype=np.float32)
    was, at = numpy_helper.to_array(bias), numpy_helper.to_array(mean)
    bias.CopyFrom(numpy_helper.from_array(was + shift, bias.name))
    assert np.abs(outputs(model, x) - before).max() > 0.1  # so the bias does matter at inference ...
    mean.CopyFrom(numpy_helper.from_array(at + shift, mean.name))
    np.testing.assert_allclose(outputs(model, x), before, atol=1e-5)  # ... until the mean takes it away


def test_savings_are_what_the_network_without_the_bias_has_less(lint):
    (found,) = lint(BiasBeforeBatchnorm(), TEXT).findings
    assert found.layers == ("conv1", "bn1")
    assert (
        found.savings.parameters == to_graph(TEXT).parameters - to_graph(TEXT.replace("same", "same nobias")).parameters
    )
    assert found.savings.bytes == 16 * 4


@pytest.mark.parametrize("between", ["RELU", "POOL 2", "DROPOUT 0.5 -> RELU"])
def test_a_layer_between_keeps_the_bias_alive(lint, between):
    assert not lint(BiasBeforeBatchnorm(), TEXT.replace("-> BN", f"-> {between} -> BN")).findings


def test_a_convolution_that_others_read_too_keeps_its_bias(lint):
    assert not lint(BiasBeforeBatchnorm(), "INPUT 16x12x12 -> CONV 16 3x3 same -> RES[BN -> RELU]").findings


def test_a_scale_and_shift_that_is_left_of_a_norm_subtracts_no_mean(lint):
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1, 3, 8, 8] x) => (float[1, 4, 6, 6] y) {
        kernel_shape = Constant <value_ints = [4, 3, 3, 3]> ()
        kernel = ConstantOfShape (kernel_shape)
        bias_shape = Constant <value_ints = [4]> ()
        bias = ConstantOfShape (bias_shape)
        convolved = Conv (x, kernel, bias)
        channel_shape = Constant <value_ints = [4, 1, 1]> ()
        per_channel = ConstantOfShape (channel_shape)
        scaled = Mul (convolved, per_channel)
        y = Add (scaled, per_channel)
    }
    """
    walk = lint(BiasBeforeBatchnorm(), text)
    assert not walk.findings
    assert "only a scale and a shift" in walk.near_misses["BN002"][0].reason

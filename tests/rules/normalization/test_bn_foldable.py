from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

import zoo
from cnnlint.frontends import load
from cnnlint.frontends.notation import to_onnx
from cnnlint.testing import to_graph
from cnnlint_rules.normalization.bn_foldable import BnFoldable

TEXT = "INPUT 3x12x12 -> CONV 16 3x3 same -> BN -> RELU -> GAP -> FC 10"


def test_the_formula_of_the_page_gives_the_same_outputs():
    model = to_onnx("INPUT 3x12x12 -> CONV 16 3x3 same -> BN")
    convolution, norm = model.graph.node[0], model.graph.node[1]
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kernel, bias = (arrays[name] for name in convolution.input[1:])
    gamma, beta, mean, variance = (arrays[name] for name in norm.input[1:])
    epsilon = next((attribute.f for attribute in norm.attribute if attribute.name == "epsilon"), 1e-5)
    x = np.random.default_rng(2).normal(size=(1, 3, 12, 12)).astype(np.float32)

    def run():
        session = onnxruntime.InferenceSession(model.SerializeToString())
        return session.run(None, {session.get_inputs()[0].name: x})[0]

    before = run()
    scale = gamma / np.sqrt(variance + epsilon)
    folded = {
        convolution.input[1]: kernel * scale[:, None, None, None],
        convolution.input[2]: beta + scale * (bias - mean),
        norm.input[1]: np.ones_like(gamma),
        norm.input[2]: np.zeros_like(beta),
        norm.input[3]: np.zeros_like(mean),
        norm.input[4]: np.ones_like(variance) - epsilon,
    }
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(folded[tensor.name].astype(np.float32), tensor.name))
    np.testing.assert_allclose(run(), before, atol=1e-5)


def test_savings_are_what_the_folded_network_has_less(lint):
    folded = to_graph(TEXT.replace("-> BN", "")).parameters
    (found,) = lint(BnFoldable(), TEXT).findings
    assert found.layers == ("bn1", "conv1")
    assert found.savings.parameters == to_graph(TEXT).parameters - folded
    (found,) = lint(BnFoldable(), TEXT.replace("same", "same nobias")).findings
    assert found.savings.parameters == to_graph(TEXT.replace("same", "same nobias")).parameters - folded
    assert found.evidence["operations"] == 2 * 16 * 12 * 12


def test_a_keras_file_is_a_training_graph(lint):
    assert not lint(BnFoldable(), TEXT, source="keras").findings


@pytest.mark.parametrize("change", ["RELU -> BN", "POOL 2 -> BN", "BN training"])
def test_a_norm_that_cannot_be_folded_is_left_alone(lint, change):
    assert not lint(BnFoldable(), TEXT.replace("BN", change)).findings


@pytest.mark.parametrize(("name", "foldable", "norms"), [("resnet50", 53, 53), ("inception_v2", 69, 69)])
def test_every_norm_of_a_conv_bn_network_is_foldable(lint, name, foldable, norms):
    graph = load(str(zoo.light_path(name)))
    assert len(lint(BnFoldable(), graph).findings) == foldable
    assert sum(layer.kind == "BatchNorm" for layer in graph.layers) == norms


def test_densenets_pre_activation_norms_are_not_foldable(lint):
    # 121 norms (Huang et al., table 1): the stem's and the one inside each of 58 dense layers follow a convolution.
    assert len(lint(BnFoldable(), load(str(zoo.light_path("densenet121")))).findings) == 1 + 58

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

from cnnlint.analysis.context import Context
from cnnlint.frontends.notation import to_onnx
from cnnlint.testing import to_graph
from cnnlint_rules.dense_head.linear_dense_stack import LinearDenseStack

BODY = "INPUT 3x16x16 -> CONV 32 3x3 -> RELU -> GAP"


def test_the_outputs_are_those_of_the_product_matrix():
    model = to_onnx("INPUT 32 -> FC 64 -> FC 10")
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kernels = sorted((array for array in weights.values() if array.ndim == 2), key=lambda array: -array.size)
    biases = sorted((array for array in weights.values() if array.ndim == 1), key=lambda array: -array.size)
    first, second = (
        kernel if kernel.shape[0] in (32, 64) and kernel.shape[1] != 32 else kernel.T for kernel in kernels
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.random.default_rng(0).normal(size=(1, 32)).astype(np.float32)
    (got,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(got, x @ (first @ second) + (biases[0] @ second + biases[1]), rtol=1e-4, atol=1e-5)


def test_savings_are_what_the_network_with_one_matrix_has_less(lint):
    (found,) = lint(LinearDenseStack(), f"{BODY} -> FC 64 -> FC 10").findings
    both, one = to_graph(f"{BODY} -> FC 64 -> FC 10"), to_graph(f"{BODY} -> FC 10")
    assert found.evidence["parameters_after"] == 32 * 10 + 10
    assert found.savings.parameters == both.parameters - one.parameters
    assert found.savings.macs == Context(both).macs - Context(one).macs


@pytest.mark.parametrize("between", ["DROPOUT 0.5 ->", "BN ->", "DROPOUT 0.2 -> BN ->"])
def test_dropout_and_normalization_do_not_make_it_non_linear(lint, between):
    found = lint(LinearDenseStack(), f"{BODY} -> FC 64 -> {between} FC 10").findings
    assert [finding.layers for finding in found] == [("fc1", "fc2")]


@pytest.mark.parametrize("between", ["RELU", "SIGMOID", "BN -> RELU", "SOFTMAX"])
def test_an_activation_between_is_fine(lint, between):
    assert not lint(LinearDenseStack(), f"{BODY} -> FC 64 -> {between} -> FC 10").findings


def test_a_narrow_middle_is_a_low_rank_factorization(lint):
    walk = lint(LinearDenseStack(), f"{BODY} -> FC 4 -> FC 100")
    assert not walk.findings
    assert "32 → 4 → 100 takes 528 weights, the product 3,200" in walk.near_misses["FC003"][0].reason


def test_the_border_between_factorization_and_waste_is_the_number_of_weights(lint):
    # 32 → m → 32 takes 64 m weights and the product 1024: even at m = 16
    assert not lint(LinearDenseStack(), "INPUT 32 -> FC 15 -> FC 32").findings
    assert lint(LinearDenseStack(), "INPUT 32 -> FC 16 -> FC 32").findings


def test_each_pair_of_a_longer_stack_is_reported(lint):
    found = lint(LinearDenseStack(), f"{BODY} -> FC 64 -> FC 64 -> FC 10").findings
    assert [finding.layers for finding in found] == [("fc1", "fc2"), ("fc2", "fc3")]


def test_a_middle_that_others_read_is_not_a_stack(lint):
    assert not lint(LinearDenseStack(), f"{BODY} -> FC 64 -> RES[FC 64]").findings

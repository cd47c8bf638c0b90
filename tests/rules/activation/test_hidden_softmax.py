from __future__ import annotations

import pytest

from cnnlint_rules.activation.hidden_softmax import HiddenSoftmax

BODY = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP"


def test_a_softmax_behind_a_global_pooling_of_scores_is_a_head(lint):
    assert not lint(HiddenSoftmax(), "INPUT 3x16x16 -> CONV 10 3x3 -> RELU -> GAP -> SOFTMAX").findings


def test_a_softmax_on_hidden_features_is_a_warning(lint):
    found = lint(HiddenSoftmax(), f"{BODY} -> FC 64 -> SOFTMAX -> FC 10 -> SOFTMAX").findings
    assert [(finding.severity, finding.layers) for finding in found] == [("warning", ("softmax1", "fc2"))]
    assert found[0].evidence == {"features": 64}


def test_the_expected_value_of_a_distribution_is_no_hidden_feature(lint):
    walk = lint(HiddenSoftmax(), "INPUT 16x8x8 -> SOFTMAX -> CONV 1 1x1")
    assert not walk.findings
    assert "expected value" in walk.near_misses["AC003"][0].reason


def test_the_softmax_of_attention_is_no_head(lint):
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    attention (float[1, 8, 16] q, float[1, 16, 8] k, float[1, 8, 16] v) => (float[1, 8, 16] y) {
        scores = MatMul (q, k)
        [weights] weights = Softmax <axis = -1> (scores)
        y = MatMul (weights, v)
    }
    """
    walk = lint(HiddenSoftmax(), text)
    assert not walk.findings
    assert walk.near_misses["AC003"][0].layers == ("weights",)


def test_a_gate_of_softmax_weights_is_no_head(lint):
    assert not lint(HiddenSoftmax(), "INPUT 16x8x8 -> GATE[CONV 16 1x1 -> SOFTMAX] -> GAP -> FC 10").findings


ATTENTION = """<ir_version: 8, opset_import: ["": 17]>
net (float[1,3,8,8] x) => (float[1,64,5] y) {{
    k_shape = Constant <value_ints = [16, 3, 3, 3]> ()  kernel = ConstantOfShape (k_shape)
    map = Conv <pads = [1, 1, 1, 1]> (x, kernel)
    flat = Constant <value_ints = [1, 16, 64]> ()  lines = Reshape (map, flat)
    tokens = Transpose <perm = [0, 2, 1]> (lines)
    {body}
}}"""


def weight(name: str, rows: int, columns: int) -> str:
    return f"{name}_s = Constant <value_ints = [{rows}, {columns}]> ()  {name} = ConstantOfShape ({name}_s)\n"


@pytest.mark.parametrize(
    "body",
    [
        "scores = MatMul (tokens, lines)  shares = Softmax <axis = -1> (scores)"
        + weight("values", 64, 5) + "[read] y = MatMul (shares, values)",
        "half = Constant <value = float {0.5}> ()  products = MatMul (tokens, lines)  scores = Mul (products, half)"
        "  shares = Softmax <axis = -1> (scores)" + weight("values", 64, 5) + "[read] y = MatMul (shares, values)",
        "shares = Softmax <axis = 1> (tokens)" + weight("values", 16, 5) + "[read] y = MatMul (shares, values)",
    ],
    ids=["scores are products", "scaled products", "a sum over positions, read along the features"],
)  # fmt: skip
def test_an_attention_whose_values_are_learned_is_no_hidden_softmax(lint, body):
    walk = lint(HiddenSoftmax(), ATTENTION.format(body=body))
    assert not walk.findings
    assert [miss.layers[0] for miss in walk.near_misses["AC003"]]


def test_a_softmax_over_the_features_that_a_dense_layer_reads_stays_one(lint):
    body = "shares = Softmax <axis = -1> (tokens)" + weight("values", 16, 5) + "[read] y = MatMul (shares, values)"
    assert [finding.layers[1] for finding in lint(HiddenSoftmax(), ATTENTION.format(body=body)).findings] == ["read"]

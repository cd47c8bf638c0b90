from __future__ import annotations

import pytest

import zoo
from cnnlint.frontends import load
from cnnlint.graph.training import Loss, Training
from cnnlint.testing import to_graph
from cnnlint_rules.dense_head.flatten_dense_dominates import FlattenDenseDominates

BODY = "INPUT 3x32x32 -> CONV 32 3x3 same -> RELU -> POOL 2 -> CONV 64 3x3 same -> RELU -> POOL 2"
HEAD = "FC 128 -> RELU -> FC 10 -> SOFTMAX"


def test_vgg19_gives_the_published_size_of_its_first_dense_layer(lint):
    found = lint(FlattenDenseDominates(), load(str(zoo.light_path("vgg19")))).findings
    assert len(found) == 1
    assert found[0].evidence["parameters"] == 4096 * 512 * 7 * 7 + 4096
    assert found[0].evidence["parameters_after"] == 4096 * 512 + 4096
    assert found[0].evidence["share"] == pytest.approx(102_764_544 / 143_667_240)
    assert "102,764,544 of 143,667,240 parameters (72%)" in found[0].message


def test_savings_are_what_the_network_with_global_pooling_has_less(lint):
    (found,) = lint(FlattenDenseDominates(), f"{BODY} -> FLATTEN -> {HEAD}").findings
    flat, pooled = to_graph(f"{BODY} -> FLATTEN -> {HEAD}"), to_graph(f"{BODY} -> GAP -> {HEAD}")
    assert found.savings.parameters == flat.parameters - pooled.parameters
    assert found.savings.bytes == 4 * found.savings.parameters


@pytest.mark.parametrize("between", ["DROPOUT 0.5", "BN", "RELU"])
def test_what_keeps_the_vector_is_looked_through(lint, between):
    found = lint(FlattenDenseDominates(), f"{BODY} -> FLATTEN -> {between} -> {HEAD}").findings
    assert [finding.layers for finding in found] == [("fc1",)]


def test_a_flattened_1x1_map_is_a_vector_already(lint):
    walk = lint(FlattenDenseDominates(), f"{BODY} -> POOL 8 -> FLATTEN -> {HEAD}")
    assert not walk.findings
    assert "64 × 1 × 1: a vector already" in walk.near_misses["FC001"][0].reason


def test_a_small_share_is_a_near_miss_that_names_the_option(lint):
    text = f"{BODY} -> CONV 512 3x3 same -> RELU -> POOL 8 -> CONV 2 1x1 -> FLATTEN -> FC 4"
    wide = text.replace("POOL 8", "POOL 4")
    walk = lint(FlattenDenseDominates(), wide)
    assert not walk.findings
    assert "min-share = 20%" in walk.near_misses["FC001"][0].reason
    assert len(lint(FlattenDenseDominates(min_share=0.0), wide).findings) == 1


def test_a_regression_may_need_the_positions(lint):
    coordinates = f"{BODY} -> FLATTEN -> FC 128 -> RELU -> FC 30"
    (found,) = lint(FlattenDenseDominates(), coordinates, training=Training((Loss("mean_squared_error"),))).findings
    assert found.severity == "info"
    (found,) = lint(FlattenDenseDominates(), coordinates).findings
    assert found.severity == "warning"


def test_a_network_that_gives_back_a_map_keeps_its_positions(lint):
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    detector (float[1, 3, 8, 8] x) => (float[1, 4, 3, 3] y) {
        kernel_shape = Constant <value_ints = [16, 3, 3, 3]> ()
        kernel = ConstantOfShape (kernel_shape)
        matrix_shape = Constant <value_ints = [576, 36]> ()
        matrix = ConstantOfShape (matrix_shape)
        convolved = Conv (x, kernel)
        activated = Relu (convolved)
        flat = Flatten (activated)
        [fc1] cells = MatMul (flat, matrix)
        target = Constant <value_ints = [1, 4, 3, 3]> ()
        y = Reshape (cells, target)
    }
    """
    walk = lint(FlattenDenseDominates(), text)
    assert not walk.findings
    assert walk.near_misses["FC001"][0].layers == ("fc1",)
    assert "outputs maps" in walk.near_misses["FC001"][0].reason


def test_two_heads_on_one_flattened_map_are_both_found(lint):
    found = lint(FlattenDenseDominates(), f"{BODY} -> FLATTEN -> CAT[FC 64 -> RELU | FC 32 -> RELU] -> FC 10").findings
    assert [finding.layers for finding in found] == [("fc1",), ("fc2",)]

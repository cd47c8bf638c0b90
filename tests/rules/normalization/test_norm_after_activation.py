from __future__ import annotations

import pytest

import zoo
from cnnlint.frontends import load
from cnnlint_rules.normalization.norm_after_activation import NormAfterActivation

START = "INPUT 3x32x32 -> CONV 16 3x3 same"
END = "CONV 32 3x3 same -> RELU -> GAP -> FC 10"


def test_an_activation_between_is_named_with_the_operations_that_stay(lint):
    (found,) = lint(NormAfterActivation(), f"{START} -> RELU -> BN -> {END}").findings
    assert found.layers == ("bn1", "conv1", "relu1")
    assert found.evidence["operations"] == 2 * 16 * 32 * 32
    assert "relu1 keeps this normalisation from being folded into conv1" in found.message


@pytest.mark.parametrize(
    ("around", "order"),
    [
        ("BN -> RELU", "conv-bn-act"),
        ("BN", "conv-bn-act"),
        ("POOL 2 -> BN -> RELU", "conv-pool-bn-act"),
        ("RELU -> BN", "conv-act-bn"),
        ("RELU -> POOL 2 -> BN", "conv-act-pool-bn"),
        ("POOL 2 -> RELU -> BN", "conv-pool-act-bn"),
        ("RELU -> BN -> RELU", "bn-act-conv"),
        ("RELU -> POOL 2 -> BN -> RELU", "bn-act-conv"),
        ("BN -> RELU -> POOL 2", "conv-bn-act"),
    ],
)
def test_each_order_is_told_apart_and_can_be_allowed(lint, around, order):
    text = f"{START} -> {around} -> {END}"
    assert not lint(NormAfterActivation(orders=(order,)), text).findings
    others = {"conv-bn-act", "conv-pool-bn-act", "bn-act-conv", "conv-act-bn", "conv-act-pool-bn", "conv-pool-act-bn"}
    assert lint(NormAfterActivation(orders=tuple(sorted(others - {order}))), text).findings


def test_pre_activation_behind_a_sum_or_a_concat_is_fine(lint):
    block = "BN -> RELU -> CONV 16 3x3 same"
    assert not lint(NormAfterActivation(), f"{START} -> RES[{block}] -> RES[{block}] -> BN -> RELU -> GAP").findings
    assert not lint(NormAfterActivation(), f"{START} -> CAT[{block} | {block}] -> BN -> RELU -> GAP").findings


def test_a_norm_behind_global_pooling_is_not_judged(lint):
    assert not lint(NormAfterActivation(), f"{START} -> RELU -> GAP -> BN -> FC 10").findings


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "inception_v2", "shufflenet"])
def test_published_networks_keep_to_the_default_orders(lint, name):
    walk = lint(NormAfterActivation(), load(str(zoo.light_path(name))))
    assert not walk.findings
    assert len(walk.near_misses["BN001"]) >= 49

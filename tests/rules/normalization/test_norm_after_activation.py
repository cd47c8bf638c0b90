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
    assert "relu1 keeps this normalization from being folded into conv1" in found.message


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


DESIGNS = {
    "ConvMixer, depthwise part": (f"{START} -> RES[CONV 16 3x3 same groups 16 -> GELU -> BN] -> {END}", "adds what it"),
    "ConvMixer, pointwise part": (
        f"{START} -> CONV 16 1x1 -> GELU -> BN -> RES[CONV 16 3x3 same] -> {END}", "a residual trunk",
    ),
    "RepVGG's identity branch": (
        "INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> RES[BN] -> CONV 16 1x1 -> GAP -> FC 10", "adds what it",
    ),
    "a dense layer behind": (f"{START} -> GAP -> FC 64 -> RELU -> BN -> FC 10", "folds into fc2"),
    "a dense layer behind an average": (f"{START} -> RELU -> BN -> GAP -> FC 10", "folds into fc1"),
    "a convolution that pads nothing": (f"{START} -> RELU -> BN -> CONV 8 1x1 -> GAP -> FC 10", "folds into conv2"),
}  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_where_the_norm_costs_nothing_or_stands_by_design_there_is_no_warning(lint, design):
    text, says = DESIGNS[design]
    walk = lint(NormAfterActivation(min_share=0), text)
    assert not walk.findings
    assert says in " ".join(miss.reason for miss in walk.near_misses["BN001"])


def test_a_maximum_does_not_let_a_norm_through(lint):
    """max(γx) is γ max(x) for positive γ only, which a kernel's shape does not say."""
    assert lint(
        NormAfterActivation(), f"{START} -> RELU -> BN -> POOL 2 -> CONV 8 1x1 -> RELU -> GAP -> FC 10"
    ).findings


def test_a_pass_over_little_is_not_worth_a_word(lint):
    small = f"{START} -> [CONV 64 3x3 same -> RELU]*4 -> CONV 64 3x3 stride 32 -> RELU -> BN -> CONV 64 3x3 same -> GAP"
    walk = lint(NormAfterActivation(), small)
    assert not walk.findings
    assert "less than min-share = 0.1%" in walk.near_misses["BN001"][0].reason
    assert lint(NormAfterActivation(min_share=0), small).findings

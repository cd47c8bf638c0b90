"""The design smells of the literature: their cases are found, and what their tools say in error is not."""

from __future__ import annotations

import pytest

import zoo
from cnnlint.engine.registry import load_rules
from cnnlint.frontends import load
from cnnlint_rules.architecture.heterogeneous_conv_block import HeterogeneousConvBlock
from cnnlint_rules.architecture.no_downsampling import NoDownsampling
from cnnlint_rules.architecture.non_expanding_filters import NonExpandingFilters
from cnnlint_rules.architecture.non_max_downsampling import NonMaxDownsampling
from cnnlint_rules.architecture.pooling_after_every_conv import PoolingAfterEveryConv
from cnnlint_rules.architecture.shrinking_kernel import ShrinkingKernel
from cnnlint_rules.architecture.too_few_conv import TooFewConv
from cnnlint_rules.architecture.widening_dense import WideningDense

VGG16 = " -> ".join(
    " -> ".join([*[f"CONV {filters} 3x3 -> RELU"] * depth, "POOL 2"])
    for filters, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
)
ALEXNET = (
    "CONV 96 11x11 stride 4 valid -> RELU -> POOL 3 stride 2 -> CONV 256 5x5 -> RELU -> POOL 3 stride 2"
    " -> CONV 384 3x3 -> RELU -> CONV 384 3x3 -> RELU -> CONV 256 3x3 -> RELU -> POOL 3 stride 2"
)
HEAD = "FLATTEN -> FC 512 -> RELU -> FC 10"

SMELLS = [rule for rule in load_rules() if rule.code.startswith("AR") and rule.code >= "AR003"]


def test_smells_are_opinions_and_information():
    assert len(SMELLS) == 7
    assert {(rule.confidence.value, rule.severity.value) for rule in SMELLS} == {("opinion", "info")}


@pytest.mark.parametrize("rule", SMELLS, ids=lambda rule: rule.name)
def test_vgg16_has_none(lint, rule):
    assert not lint(rule(), f"INPUT 3x224x224 -> {VGG16} -> {HEAD}").findings


def test_alexnet_shrinks_its_kernels_and_in_the_end_its_filters(lint):
    text = f"INPUT 3x227x227 -> {ALEXNET} -> {HEAD}"
    (found,) = lint(ShrinkingKernel(), text).findings
    assert found.layers == ("conv2", "conv3", "conv4", "conv5")
    (found,) = lint(ShrinkingKernel(exempt_stem=True), text).findings
    assert found.layers == ("conv3", "conv4", "conv5")
    (found,) = lint(NonExpandingFilters(), text).findings
    assert found.layers == ("conv5",)


def test_kernels_on_parallel_branches_are_not_compared(lint):
    text = "INPUT 3x32x32 -> CAT[CONV 8 5x5 -> RELU | CONV 8 3x3 -> RELU] -> CONV 16 5x5 -> RELU -> GAP -> FC 10"
    assert not lint(ShrinkingKernel(), text).findings


def test_a_decoder_and_a_scorer_may_have_fewer_filters(lint):
    text = (
        "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> CONV 64 3x3 -> RELU"
        " -> DECONV 32 2x2 stride 2 -> RELU -> CONV 16 3x3 -> RELU -> CONV 2 3x3"
    )
    assert not lint(NonExpandingFilters(), text).findings


def test_blocks_are_compared_within_and_not_with_one_another(lint):
    same = "[CONV 32 3x3 -> RELU]*2 -> POOL 2 -> [CONV 64 5x5 -> RELU]*2 -> POOL 2"
    rule = HeterogeneousConvBlock(min_layers=2)
    assert not lint(rule, f"INPUT 3x64x64 -> {same} -> GAP -> FC 10").findings
    mixed = "CONV 32 3x3 -> RELU -> CONV 48 3x3 -> RELU -> POOL 2"
    (found,) = lint(rule, f"INPUT 3x64x64 -> {same} -> {mixed} -> GAP -> FC 10").findings
    assert found.layers == ("conv5", "conv6")


def test_few_layers_are_not_judged_by_the_rules_that_count_to_ten(lint):
    text = f"INPUT 3x64x64 -> [CONV 16 3x3 -> RELU -> AVGPOOL 2]*4 -> {HEAD}"
    for rule in (HeterogeneousConvBlock(), PoolingAfterEveryConv(), NonMaxDownsampling()):
        assert not lint(rule, text).findings


def test_the_stem_of_a_resnet_is_no_hasty_pooling(lint):
    text = (
        "INPUT 3x64x64 -> CONV 64 7x7 stride 2 -> RELU -> POOL 3 stride 2 same"
        " -> [RES[CONV 64 3x3 -> RELU -> CONV 64 3x3] -> RELU]*5 -> GAP -> FC 10"
    )
    assert not lint(PoolingAfterEveryConv(), text).findings


def test_averages_ahead_of_a_max_pooling_are_not_counted(lint):
    text = (
        "INPUT 3x64x64 -> [[CONV 16 3x3 -> RELU]*2 -> AVGPOOL 2]*3 -> [CONV 16 3x3 -> RELU]*2 -> POOL 2 -> GAP -> FC 10"
    )
    assert not lint(NonMaxDownsampling(), text).findings


def test_a_wider_output_layer_is_no_smell_and_a_wider_hidden_one_is_named_with_the_narrowest_ahead(lint):
    text = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> GAP -> FC 64 -> RELU -> FC 32 -> RELU -> FC 48 -> RELU -> FC 1000"
    (found,) = lint(WideningDense(), text).findings
    assert found.layers == ("fc3", "fc2")


@pytest.mark.parametrize(
    ("channels", "convolutions", "found"), [(1, 1, True), (1, 2, False), (3, 2, True), (3, 3, False)]
)
def test_gray_images_need_two_convolutions_and_color_images_three(lint, channels, convolutions, found):
    text = f"INPUT {channels}x32x32 -> [CONV 16 3x3 -> RELU -> POOL 2]*{convolutions} -> FLATTEN -> FC 10 -> SOFTMAX"
    assert bool(lint(TooFewConv(), text).findings) == found


def test_a_map_that_keeps_its_size_is_a_warning_on_images_and_information_on_digits(lint):
    def severities(size: int) -> list[str]:
        text = f"INPUT 3x{size}x{size} -> [CONV 8 3x3 -> RELU]*3 -> GAP -> FC 10"
        return [found.severity.value for found in lint(NoDownsampling(), text).findings]

    assert [severities(size) for size in (96, 32, 19)] == [["warning"], ["info"], []]


@pytest.mark.parametrize("name", zoo.light_names())
def test_no_published_network_lacks_downsampling(lint, name):
    assert not lint(NoDownsampling(), load(str(zoo.light_path(name)))).findings

from __future__ import annotations

import pytest

import zoo
from cnnlint.analysis.context import Context
from cnnlint.frontends import load
from cnnlint.testing import to_graph
from cnnlint_rules.convolution.prefer_small_kernel_stack import PreferSmallKernelStack

START = "INPUT 3x32x32 -> CONV 64 3x3 same nobias -> RELU"


@pytest.mark.parametrize(("kernel", "depth", "saved"), [(5, 2, 1 - 18 / 25), (7, 3, 1 - 27 / 49), (9, 4, 1 - 36 / 81)])
def test_from_c_to_c_channels_the_shares_are_those_of_simonyan_and_zisserman(lint, kernel, depth, saved):
    (found,) = lint(PreferSmallKernelStack(), f"{START} -> CONV 64 {kernel}x{kernel} same -> RELU -> GAP").findings
    assert found.layers == ("conv2",)
    assert found.evidence["stack_depth"] == depth
    assert found.evidence["saved_share"] == pytest.approx(saved)


@pytest.mark.parametrize("filters", [48, 64, 96])
def test_savings_are_what_the_network_with_the_stack_has_less(lint, filters):
    wide = max(64, filters)
    large = f"{START} -> CONV {filters} 7x7 same nobias -> RELU -> GAP"
    stack = f"{START} -> [CONV {wide} 3x3 same nobias -> RELU]*2 -> CONV {filters} 3x3 same nobias -> RELU -> GAP"
    (found,) = lint(PreferSmallKernelStack(), large).findings
    before, after = to_graph(large), to_graph(stack)
    assert found.savings.parameters == before.parameters - after.parameters
    assert found.savings.macs == Context(before).macs - Context(after).macs


def test_the_stack_sees_as_much_as_the_large_kernel():
    large = Context(to_graph(f"{START} -> CONV 64 7x7 same"))
    stack = Context(to_graph(f"{START} -> [CONV 64 3x3 same]*3"))
    assert large.receptive_fields["conv2"] == stack.receptive_fields["conv4"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("INPUT 3x32x32 -> CONV 3 7x7 same -> RELU -> GAP", "first convolution"),
        (f"{START} -> CONV 64 7x7 same groups 64 -> CONV 64 1x1 -> RELU -> GAP", "grouped"),
        (f"{START} -> CONV 64 1x7 same -> CONV 64 7x1 same -> RELU -> GAP", "narrow on another axis"),
        (f"{START} -> CONV 64 5x5 same dilation 2 -> RELU -> GAP", "dilated"),
        (f"{START} -> CONV 64 8x8 stride 8 valid -> RELU -> GAP", "patches"),
        (f"{START} -> CONV 64 32x32 valid -> RELU -> FLATTEN", "covers the whole map"),
        (f"{START} -> CONV 128 5x5 same -> RELU -> GAP", "would hold 221,184 weights, the one of 5 × 5 204,800"),
    ],
)
def test_large_kernels_that_are_no_smell(lint, text, reason):
    walk = lint(PreferSmallKernelStack(), text)
    assert not walk.findings
    assert reason in walk.near_misses["CV001"][0].reason


def test_a_stem_can_be_held_to_the_rule_too(lint):
    text = "INPUT 64x32x32 -> CONV 64 7x7 same -> RELU -> GAP"
    assert not lint(PreferSmallKernelStack(), text).findings
    assert lint(PreferSmallKernelStack(exempt_stem=False), text).findings


@pytest.mark.parametrize("name", ["bvlc_alexnet", "zfnet512", "inception_v1", "resnet50"])
def test_large_kernels_of_published_networks_pay_for_a_stack(lint, name):
    walk = lint(PreferSmallKernelStack(), load(str(zoo.light_path(name))))
    assert not walk.findings
    assert walk.near_misses["CV001"]

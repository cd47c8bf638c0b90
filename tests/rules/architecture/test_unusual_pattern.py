from __future__ import annotations

import pytest

import zoo
from analyzer.analysis.nets import Net
from cnnlint.frontends import load
from cnnlint.testing import to_graph
from cnnlint_rules.architecture.unusual_pattern import UnusualPattern, textbook

LENET = (
    "INPUT 1x32x32 -> CONV 6 5x5 -> TANH -> AVGPOOL 2 -> CONV 16 5x5 -> TANH -> AVGPOOL 2"
    " -> FLATTEN -> FC 120 -> TANH -> FC 84 -> TANH -> FC 10 -> SOFTMAX"
)


def test_lenet_5_follows_the_pattern(lint):
    walk = lint(UnusualPattern(), LENET)
    assert not walk.findings
    assert "follows the pattern with N ≤ 1, M = 2 and K = 2" in walk.near_misses["AR001"][0].reason


@pytest.mark.parametrize("name", ["bvlc_alexnet", "zfnet512"])
def test_the_plain_networks_of_2012_and_2013_follow_it(lint, name):
    assert not lint(UnusualPattern(), load(str(zoo.light_path(name)))).findings


def test_vgg19_has_four_convolutions_in_a_stage(lint):
    (found,) = lint(UnusualPattern(), load(str(zoo.light_path("vgg19")))).findings
    assert (found.confidence, found.evidence["convolutions"], found.evidence["stages"]) == ("opinion", 4, 5)
    assert not lint(UnusualPattern(max_convolutions=4), load(str(zoo.light_path("vgg19")))).findings


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "inception_v1", "squeezenet", "shufflenet"])
def test_networks_with_branches_are_not_judged(lint, name):
    walk = lint(UnusualPattern(), load(str(zoo.light_path(name))))
    assert not walk.findings
    assert "not sequential" in walk.near_misses["AR001"][0].reason


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("INPUT 3x16x16 -> CONV 8 3x3 -> CONV 8 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 10", ("conv1",)),
        ("INPUT 3x16x16 -> CONV 8 3x3 -> RELU -> GAP -> FC 16 -> FC 10", ("fc1",)),
        ("INPUT 3x16x16 -> CONV 8 3x3 -> RELU -> GAP -> [FC 16 -> RELU]*3 -> FC 10", ()),
    ],
)
def test_departures_name_the_layer_if_there_is_one(lint, text, layers):
    assert [finding.layers for finding in lint(UnusualPattern(), text).findings] == [layers]


def test_the_form_gives_n_for_each_stage_and_k():
    form = textbook(to_graph(
        "INPUT 3x32x32 -> [[CONV 8 3x3 -> BN -> RELU]*2 -> POOL 2]*2 -> CONV 8 3x3 -> TANH -> FC 8 -> RELU -> FC 4"
    ))  # fmt: skip
    assert form is not None
    assert (form.convolutions, form.hidden, form.misfit) == ((2, 2, 1), 1, None)


@pytest.mark.parametrize(
    ("network", "misfit"),
    [
        ("CONV 8 3x3 -> CONV 8 3x3 -> RELU -> FC 4", "conv1"),
        ("CONV 8 3x3 -> RELU -> DECONV 8 3x3 -> RELU -> FC 4", "deconv1"),
        ("CONV 8 3x3 -> RELU -> RELU -> FC 4", "relu2"),
        ("CONV 8 3x3 -> RELU -> FC 4 -> FC 4", "fc1"),
        ("CONV 8 3x3 -> RELU", ""),
        ("CONV 8 3x3 -> RELU -> UPSAMPLE 2 -> FC 4", "upsample1"),
    ],
)
def test_the_first_layer_that_does_not_fit_the_form_is_named(network, misfit):
    form = textbook(to_graph(f"INPUT 3x8x8 -> {network}"))
    assert form is not None
    assert form.misfit == misfit
    assert form.reason


def test_the_form_is_for_sequential_networks():
    assert textbook(to_graph("INPUT 3x8x8 -> RES[CONV 3x3] -> FC 4")) is None


def test_pooling_may_stand_before_its_activation():
    net = Net()
    x = net.act(net.bn(net.pool(net.conv(net.input(3, 16, 16), 8))))
    form = textbook(net.graph(net.dense(net.flatten(x), 4)))
    assert form is not None
    assert form.misfit is None

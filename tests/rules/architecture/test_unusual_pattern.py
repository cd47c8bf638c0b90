from __future__ import annotations

import pytest

import zoo
from cnnlint.frontends import load
from cnnlint_rules.architecture.unusual_pattern import UnusualPattern

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

from __future__ import annotations

import pytest

import zoo
from cnnlint.frontends import load
from cnnlint_rules.dense_head.deep_dense_head import DeepDenseHead

BODY = "INPUT 3x16x16 -> CONV 32 3x3 -> RELU -> GAP"


@pytest.mark.parametrize("name", ["vgg19", "bvlc_alexnet", "zfnet512"])
def test_two_hidden_dense_layers_of_the_classics_are_fine(lint, name):
    walk = lint(DeepDenseHead(), load(str(zoo.light_path(name))))
    assert not walk.findings
    assert walk.near_misses["FC005"][0].reason.startswith("2 hidden dense layers")


def test_three_hidden_layers_are_counted_with_what_they_hold(lint):
    text = f"{BODY} -> FC 64 -> RELU -> DROPOUT 0.5 -> FC 64 -> BN -> RELU -> FC 32 -> RELU -> FC 10 -> SOFTMAX"
    (found,) = lint(DeepDenseHead(), text).findings
    assert found.layers == ("fc1", "fc2", "fc3")
    assert found.evidence["parameters"] == (32 * 64 + 64) + (64 * 64 + 64) + (64 * 32 + 32)


def test_a_network_without_convolutions_has_no_head_to_speak_of(lint):
    walk = lint(DeepDenseHead(), "INPUT 32 -> [FC 32 -> RELU]*5 -> FC 10")
    assert not walk.findings
    assert "no convolution" in walk.near_misses["FC005"][0].reason


def test_each_output_has_a_head_of_its_own(lint):
    text = f"{BODY} -> CAT[FC 8 -> RELU -> FC 8 -> RELU -> FC 8 | FC 8] -> FC 10"
    assert not lint(DeepDenseHead(), text).findings

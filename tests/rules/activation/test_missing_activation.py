from __future__ import annotations

import pytest

import zoo
from cnnlint.engine.registry import load_rules
from cnnlint.engine.walker import walk
from cnnlint.frontends import load
from cnnlint.testing import to_graph
from cnnlint_rules.activation.missing_activation import MissingActivation

START = "INPUT 16x32x32"
END = "RELU -> GAP -> FC 10"


@pytest.mark.parametrize(
    "between",
    [
        "POOL 2",
        "AVGPOOL 2",
        "BN -> POOL 2",
        "DROPOUT 0.3 -> POOL 2",
        "POOL 2 -> DROPOUT 0.3",
        "GN 4",
        "LRN",
        "UPSAMPLE 2",
    ],
)
def test_what_is_no_activation_does_not_pass_for_one(lint, between):
    (found,) = lint(MissingActivation(), f"{START} -> CONV 32 3x3 -> {between} -> CONV 32 3x3 -> {END}").findings
    assert found.layers == ("conv1", "conv2")


@pytest.mark.parametrize(
    "between", ["RELU -> POOL 2", "POOL 2 -> RELU", "BN -> RELU -> POOL 2", "POOL 2 -> BN -> SWISH"]
)
def test_an_activation_anywhere_between_is_enough(lint, between):
    assert not lint(MissingActivation(), f"{START} -> CONV 32 3x3 -> {between} -> CONV 32 3x3 -> {END}").findings


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        ("CONV 32 3x3 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", "CV002"),
        ("CONV 32 3x3 -> BN -> CONV 32 3x3 -> RELU -> GAP -> FC 10", "CV002"),
        ("CONV 32 3x3 -> RELU -> GAP -> FC 64 -> FC 10", "FC003"),
        ("CONV 32 3x3 -> RELU -> GAP -> FC 64 -> DROPOUT 0.2 -> FC 10", "FC003"),
        ("CONV 32 3x3 -> POOL 2 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", "AC005"),
        ("CONV 32 3x3 -> FLATTEN -> FC 10", "AC005"),
        ("CONV 32 3x3 -> BN -> GAP -> FC 10", "AC005"),
    ],
)
def test_one_smell_has_one_code(pair, code):
    rules = [rule() for rule in load_rules() if rule.code in ("AC005", "CV002", "FC003")]
    assert [found.code for found in walk(to_graph(f"{START} -> {pair}"), rules).findings] == [code]


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        ("DWCONV 3x3 -> AVGPOOL 2 -> CONV 32 1x1", "grouped"),
        ("CONV 32 3x3 -> POOL 2 -> DWCONV 3x3", "channels by themselves"),
        ("CONV 8 1x1 -> AVGPOOL 2 -> CONV 32 3x3", "linear bottleneck"),
        ("CONV 64 4x4 stride 4 -> LN -> CONV 64 3x3", "moves by its own size"),
    ],
)
def test_what_is_left_out_on_purpose_is_no_smell(lint, net, reason):
    walk = lint(MissingActivation(), f"{START} -> {net} -> {END}")
    assert not walk.findings
    assert any(reason in miss.reason for miss in walk.near_misses["AC005"])


def test_all_readers_have_to_be_without_one(lint):
    both = "INPUT 16x32x32 -> CONV 32 3x3 -> POOL 2 -> CAT[CONV 8 3x3 -> RELU | CONV 8 1x1 -> RELU] -> GAP -> FC 10"
    assert lint(MissingActivation(), both).findings
    assert not lint(MissingActivation(), both.replace("| CONV", "| RELU -> CONV")).findings


def test_a_residual_sum_is_left_alone(lint):
    text = f"{START} -> RES[CONV 16 3x3 -> RELU -> CONV 16 3x3] -> POOL 2 -> CONV 16 3x3 -> {END}"
    assert not lint(MissingActivation(), text).findings


@pytest.mark.parametrize("name", zoo.light_names())
def test_no_published_network_has_one(lint, name):
    assert not lint(MissingActivation(), load(str(zoo.light_path(name)))).findings

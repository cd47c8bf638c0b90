from __future__ import annotations

import pytest

import zoo
from cnnlint.analysis.context import Context
from cnnlint.engine.telling import told
from cnnlint.frontends import load
from cnnlint.testing import to_graph
from cnnlint_rules.convolution.missing_bottleneck import MissingBottleneck

START = "INPUT 256x28x28"


@pytest.mark.parametrize("convolution", ["CONV 256 3x3 same", "CONV 384 5x5 same", "CONV 512 3x3 same stride 2"])
def test_the_numbers_are_those_of_the_network_with_the_reduction(lint, convolution):
    plain = f"{START} -> {convolution} nobias -> RELU -> GAP"
    reduced = f"{START} -> CONV 64 1x1 nobias -> RELU -> {convolution} nobias -> RELU -> GAP"
    (found,) = lint(MissingBottleneck(), plain).findings
    assert found.evidence["weights"] == to_graph(plain).parameters
    assert found.evidence["weights_after"] == to_graph(reduced).parameters
    assert found.evidence["macs"] == Context(to_graph(plain)).macs
    assert found.evidence["macs_after"] == Context(to_graph(reduced)).macs


def test_the_page_names_the_numbers_of_512_channels(lint):
    (found,) = lint(MissingBottleneck(), "INPUT 512x14x14 -> CONV 512 3x3 same -> RELU -> GAP").findings
    assert (found.evidence["weights"], found.evidence["weights_after"]) == (2_359_296, 655_360)


@pytest.mark.parametrize(
    "text",
    [
        f"{START} -> CONV 256 1x1 -> RELU -> GAP",
        f"{START} -> CONV 256 3x3 same groups 256 -> RELU -> GAP",
        "INPUT 255x28x28 -> CONV 256 3x3 same -> RELU -> GAP",
        "INPUT 1024x28x28 -> CONV 256 1x1 -> BN -> RELU -> CONV 256 3x3 same -> RELU -> GAP",
        "INPUT 256x7x7 -> CONV 512 7x7 valid -> RELU -> FLATTEN",
    ],
)
def test_what_needs_no_reduction(lint, text):
    assert not lint(MissingBottleneck(), text).findings


def test_a_small_share_of_the_network_is_a_near_miss(lint):
    walk = lint(MissingBottleneck(min_share=0.5), f"{START} -> [CONV 256 3x3 same -> RELU]*3 -> GAP")
    assert not walk.findings
    assert "33.3% of the multiply-accumulates" in walk.near_misses["CV003"][0].reason


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "inception_v1", "squeezenet", "shufflenet"])
def test_networks_with_bottlenecks_have_them(lint, name):
    assert not lint(MissingBottleneck(min_share=0.01), load(str(zoo.light_path(name)))).findings


def test_all_of_a_network_are_one_finding_whose_numbers_are_those_of_its_places(lint):
    text = f"{START} -> CONV 256 3x3 same -> RELU -> CONV 512 3x3 same -> RELU -> GAP"
    graph = to_graph(text)
    (found,) = told(lint(MissingBottleneck(), graph).hits, Context(graph), "")
    assert found.layers == ("conv1", "conv2")
    assert [place.evidence["weights"] for place in found.places] == [9 * 256 * 256, 9 * 256 * 512]
    assert found.evidence["weights"] == 9 * 256 * 256 + 9 * 256 * 512
    assert found.evidence["share"] == 1
    assert found.savings.parameters == found.evidence["weights"] - found.evidence["weights_after"]

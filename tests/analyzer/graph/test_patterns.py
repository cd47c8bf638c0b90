"""Patterns of layers in a finished graph and in one under construction."""

from __future__ import annotations

import pytest

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.graph import Graph, Source
from cnnlint.graph.layers import Activation, Conv, Dropout
from cnnlint.graph.patterns import Many, Maybe, Op
from cnnlint.graph.tensor import Tensor

CONV, DROPOUT, ACTIVATION = Op(Conv), Maybe(Dropout), Op(Activation, where=lambda layer: layer.function == "relu")
PATTERN = CONV >> DROPOUT >> ACTIVATION


def conv(builder: GraphBuilder, name: str, source: Tensor) -> Tensor:
    fields = {"kernel_size": (1,), "strides": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    return builder.add(Conv(name=name, inputs=(source,), filters=2, use_bias=False, **fields))[0]


def relu(builder: GraphBuilder, name: str, source: Tensor) -> Tensor:
    return builder.add(Activation(name=name, inputs=(source,), function="relu"))[0]


@pytest.fixture
def builder() -> GraphBuilder:
    """Return conv1 -> relu1 -> conv2 -> drop -> relu2 -> conv3, which two activations read."""
    builder = GraphBuilder()
    tensor = builder.add_input("x", ("N", 2, 8), "float32").tensor
    tensor = conv(builder, "conv2", relu(builder, "relu1", conv(builder, "conv1", tensor)))
    tensor = builder.add(Dropout(name="drop", inputs=(tensor,), rate=0.5))[0]
    tensor = conv(builder, "conv3", relu(builder, "relu2", tensor))
    builder.outputs += [relu(builder, "left", tensor), relu(builder, "right", tensor)]
    return builder


def finished(builder: GraphBuilder) -> Graph:
    return builder.freeze(Source(path="", format="onnx"))


def test_a_finished_graph_and_one_under_construction_have_the_same_matches(builder: GraphBuilder) -> None:
    for place in (builder, finished(builder)):
        names = [[layer.name for layer in match.layers] for match in PATTERN.find(place)]
        assert names == [["conv1", "relu1"], ["conv2", "drop", "relu2"]]


def test_an_optional_element_is_there_or_not(builder: GraphBuilder) -> None:
    dropouts = [match.get(DROPOUT) for match in PATTERN.find(builder)]
    assert [layer and layer.name for layer in dropouts] == [None, "drop"]


def test_a_repeated_element_takes_all_that_follow(builder: GraphBuilder) -> None:
    rest = Many(Conv, Activation, Dropout)
    (match, *_) = (Op(Conv) >> rest).find(builder)
    assert [layer.name for layer in match.all(rest)] == ["relu1", "conv2", "drop", "relu2", "conv3"]


def test_only_a_match_in_a_finished_graph_has_a_graph(builder: GraphBuilder) -> None:
    graph = finished(builder)
    assert next(PATTERN.find(graph)).graph is graph
    with pytest.raises(LookupError, match="not finished"):
        _ = next(PATTERN.find(builder)).graph


def test_what_is_fused_while_matches_are_found_is_not_found_again(builder: GraphBuilder) -> None:
    for match in PATTERN.find(builder):
        layers = match.layers
        builder.fuse(layers, Activation(name=layers[-1].name, inputs=layers[0].inputs, function="fused"))
    assert [layer.name for layer in builder] == ["relu1", "relu2", "conv3", "left", "right"]
    assert not list(PATTERN.find(builder))

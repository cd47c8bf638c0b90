from __future__ import annotations

import pytest

from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.notation import to_onnx
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Activation, BatchNorm, Conv, Dense
from cnnlint.graph.queries import following, is_nonlinear, preceding
from cnnlint.graph.tensor import Tensor


def network(text: str) -> Graph:
    return load_onnx_bytes(to_onnx(text).SerializeToString())


def layer(graph: Graph, name: str):
    return next(layer for layer in graph.layers if layer.name == name)


def test_following_stops_at_the_first_layer_that_is_not_walked_through():
    graph = network("INPUT 3x8x8 -> CONV 4 3x3 -> BN -> RELU -> CONV 4 3x3 -> RELU")
    found = following(graph, layer(graph, "conv1"), lambda layer: isinstance(layer, Activation | BatchNorm))
    assert found is layer(graph, "conv2")


def test_following_gives_up_at_forks_and_outputs():
    graph = network("INPUT 4x8x8 -> CONV 4 3x3 -> RES[RELU -> CONV 4 3x3 same]")
    assert following(graph, layer(graph, "conv1"), is_nonlinear) is None
    assert following(graph, graph.layers[-1], is_nonlinear) is None


def test_preceding_walks_back_to_the_first_layer_that_is_not_walked_through():
    graph = network("INPUT 3x8x8 -> CONV 4 3x3 -> BN -> RELU -> CONV 4 3x3 -> RELU")
    found = preceding(graph, layer(graph, "conv2"), lambda layer: isinstance(layer, Activation | BatchNorm))
    assert found is layer(graph, "conv1")
    assert preceding(graph, layer(graph, "conv1"), lambda layer: True) is None


@pytest.mark.parametrize(("step", "inert", "affine"), [
    ("DROPOUT 0.5", True, True), ("BN", False, True), ("BN training", False, False), ("RELU", False, False),
    ("LN", False, False),
])  # fmt: skip
def test_what_keeps_values_and_what_only_scales_them(step, inert, affine):
    graph = network(f"INPUT 3x8x8 -> CONV 4 3x3 -> {step} -> CONV 4 3x3")
    (between,) = (found for found in graph.layers if not found.name.startswith("conv"))
    assert (between.is_identity_at_inference, between.is_affine_per_channel) == (inert, affine)


@pytest.mark.parametrize(("axis", "shape", "expected"), [(-1, (1, 49, 128), 2), (2, (1, 49, 128), 2), (1, (1, 128), 1)])
def test_the_bias_of_a_dense_layer_runs_along_its_features(axis, shape, expected):
    dense = Dense(
        name="fc", inputs=(Tensor("x", (*shape[:-1], 64)),), outputs=(Tensor("y", shape),), units=128, axis=axis
    )
    norm = BatchNorm(name="bn", inputs=dense.outputs, axis=-1)
    assert dense.channel_axis == norm.channel_axis == expected


def test_the_bias_of_a_convolution_runs_along_its_channels():
    graph = network("INPUT 3x8x8 -> CONV 4 3x3 -> BN")
    assert next(graph.of_kind(Conv)).channel_axis == next(graph.of_kind(BatchNorm)).channel_axis == 1

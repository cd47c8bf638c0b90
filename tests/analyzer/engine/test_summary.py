"""A summary has a row for every layer, exact numbers that add up, and says what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import zoo
from analyzer.analysis.nets import Net
from cnnlint.engine.summary import summarize
from cnnlint.frontends import load
from cnnlint.graph.graph import Graph, Source
from cnnlint.graph.layer import Part
from cnnlint.graph.layers import Opaque
from cnnlint.results import LayerSummary, ModelSummary
from cnnlint.testing import to_graph

FIXTURES = Path(__file__).parents[3] / "fixtures" / "models"


def row(summary: ModelSummary, name: str) -> LayerSummary:
    (found,) = [layer for layer in summary.layers if layer.name == name]
    return found


@pytest.mark.parametrize("suffix", ["keras", "h5", "onnx"])
def test_seed_network_shows_its_formulas_and_shapes(suffix: str) -> None:
    summary = summarize(load(str(FIXTURES / f"seed_cnn.{suffix}")))
    assert summary.parameters == 19_189
    assert [layer.formula for layer in summary.layers if layer.formula] == [
        "(16 × 2 × 2 × 3) + 16 = 208",
        "(32 × 2 × 2 × 16) + 32 = 2,080",
        "(64 × 2 × 2 × 32) + 64 = 8,256",
        "(133 × 64) + 133 = 8,645",
    ]
    maps = [layer.output_shape for layer in summary.layers if layer.kind in ("Conv", "MaxPool")]
    assert [shape and shape[1] for shape in maps] == [223, 111, 110, 55, 54, 27]
    assert summary.pattern == "INPUT -> [CONV -> RELU -> POOL]*3 -> GAP -> FC"
    assert summary.trainable_parameters == (None if suffix == "onnx" else 19_189)


def test_seed_network_s_macs_and_receptive_fields_are_exact() -> None:
    summary = summarize(load(str(FIXTURES / "seed_cnn.onnx")))
    by_hand = 223**2 * 16 * 4 * 3 + 110**2 * 32 * 4 * 16 + 54**2 * 64 * 4 * 32 + 133 * 64
    assert summary.macs == by_hand == sum(layer.macs or 0 for layer in summary.layers)
    fields = [layer.receptive_field for layer in summary.layers if layer.kind in ("Conv", "MaxPool")]
    assert fields == [(2, 2), (3, 3), (5, 5), (7, 7), (11, 11), (15, 15)]
    assert summary.weight_bytes == 4 * 19_189
    assert summary.file_bytes == (FIXTURES / "seed_cnn.onnx").stat().st_size
    assert (
        next(layer for layer in summary.layers if layer.kind == "Conv").output_formulas
        == ("⌊(224 + 0 − 2) / 1⌋ + 1 = 223",) * 2
    )


def test_rows_stand_in_topological_order_inputs_first() -> None:
    graph = to_graph("INPUT 3x8x8 -> CONV 4 3x3 -> BN -> RELU -> GAP -> FC 10")
    summary = summarize(graph)
    assert [layer.name for layer in summary.layers] == ["input", "conv1", "bn1", "relu1", "gap1", "fc1"]
    first = summary.layers[0]
    assert (first.kind, first.output_shape, first.parameters, first.macs) == ("Input", (3, 8, 8), 0, 0)
    assert (first.receptive_field, first.activation_bytes) == ((1, 1), 4 * 3 * 8 * 8)


def test_symbolic_extents_make_costs_unknown_and_parameters_stay_exact() -> None:
    summary = summarize(to_graph("INPUT 3xHxW -> CONV 4 3x3 -> RELU -> GAP -> FC 10"))
    assert (summary.parameters, summary.macs, summary.peak_activation_bytes) == (4 * 28 + 50, None, None)
    assert row(summary, "conv1").output_shape == (4, None, None)
    assert row(summary, "conv1").macs is None
    assert row(summary, "conv1").mac_formula is None
    assert row(summary, "fc1").macs == 40


def test_an_opaque_layer_makes_macs_unknown_but_not_its_parameters() -> None:
    net = Net()
    x = net.conv(net.input(3, 8, 8), 4)
    x = net.add_layer(Opaque, x, op="Mystery", reason="a subclassed layer", shapes=(("N", 4, 8, 8),))
    summary = summarize(net.graph(x))
    assert (summary.macs, row(summary, "opaque1").macs, summary.parameters) == (None, None, 112)


def test_shared_weights_are_counted_once_and_say_with_whom() -> None:
    net = Net()
    left, right = net.input(3, 8, 8), net.input(3, 8, 8)
    first = net.conv(left, 4)
    weights = net.layers[0].weights
    second = net.conv(right, 4, weights=weights)
    half = net.conv(first, 4, weights=(replace(weights[0], key="own", shape=(3, 3, 4, 4)), weights[1]))
    summary = summarize(net.graph(net.add(half, second)))
    assert summary.parameters == 112 + 144
    assert [row(summary, name).shared_with for name in ("conv1", "conv2", "conv3")] == [None, "conv1", None]
    assert row(summary, "conv2").parameters == 112


def test_trainable_parameters_are_only_stated_when_every_weight_says_so() -> None:
    net = Net()
    x = net.dense(net.input(8), 4)
    weights = net.layers[0].weights
    known = tuple(replace(weight, trainable=weight.role == "kernel") for weight in weights)
    for held, trainable in ((weights, None), ((known[0], weights[1]), None), (known, 32)):
        graph = Graph((replace(net.layers[0], weights=held),), tuple(net.inputs), (x,), Source("", "keras"))
        assert summarize(graph).trainable_parameters == trainable


def merged(source: Source, *parts: Part) -> list[tuple[str, str | None]]:
    """Return names and hosts of the rows of a convolution that was raised from `parts`."""
    net = Net()
    x = net.conv(net.input(3, 8, 8), 4, name="block/conv", origin=parts)
    summary = summarize(Graph(tuple(net.layers), tuple(net.inputs), (x,), source))
    return [(layer.name, layer.merged_into) for layer in summary.layers[1:]]


PARTS = (
    Part("pad", "ZeroPadding2D", ("N", 3, 10, 10)),
    Part("block", "SeparableConv2D", ("N", 4, 8, 8)),
    Part("block/conv", "Conv2D", ("N", 4, 8, 8)),
    Part("nowhere", "Identity"),
    Part("behind", "Rescaling", ("N", 4, 8, 8)),
)


def test_keras_layers_merged_into_another_have_rows_of_their_own() -> None:
    rows = merged(Source("", "keras"), *PARTS)
    assert rows == [("pad", "block/conv"), ("block/conv", None), ("behind", "block/conv")]


def test_onnx_nodes_merged_into_a_layer_have_none() -> None:
    assert merged(Source("", "onnx"), *PARTS) == [("block/conv", None)]


def test_a_merged_padding_shows_its_shape_without_costs() -> None:
    summary = summarize(load(str(FIXTURES / "resnet_style.keras")))
    pad = row(summary, "stem_pad")
    assert (pad.kind, pad.merged_into, pad.parameters, pad.macs) == ("ZeroPadding2D", "stem_conv", 0, 0)
    assert pad.output_shape == (3, 34, 34)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.*")), ids=lambda path: path.name)
def test_rows_add_up_to_the_totals(path: Path) -> None:
    summary = summarize(load(str(path)))
    assert summary.parameters == sum(layer.parameters for layer in summary.layers if layer.shared_with is None)
    assert summary.macs == sum(layer.macs or 0 for layer in summary.layers)
    for layer in summary.layers:
        assert (layer.formula is not None) == bool(layer.parameters)
        if layer.formula is not None:
            assert layer.formula.endswith(f"= {layer.parameters:,}") or layer.formula == f"{layer.parameters:,}"
        if layer.mac_formula is not None and layer.macs:
            assert layer.mac_formula.endswith(f"= {layer.macs:,}")


@pytest.mark.slow
@pytest.mark.tf
@pytest.mark.parametrize("name", ["VGG16", "ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121"])
def test_totals_of_applications_are_those_of_keras(name: str) -> None:
    truth: dict[str, Any] = zoo.truth(name)
    summary = summarize(load(str(zoo.keras_path(name))))
    assert summary.parameters == truth["parameters"]
    assert summary.trainable_parameters == truth["trainable_parameters"]


def test_the_oldest_release_of_a_runtime_that_supports_the_file_is_that_of_its_opset_and_of_onnx_alone() -> None:
    # opset 15 and IR version 8 are those of ONNX 1.10, which onnxruntime has had since 1.9
    (found,) = summarize(load(str(FIXTURES / "vgg_style.onnx"))).supported_by
    assert (found.runtime, found.release, found.besides) == ("onnxruntime", "1.9", ())
    assert summarize(load(str(FIXTURES / "seed_cnn.keras"))).supported_by == ()

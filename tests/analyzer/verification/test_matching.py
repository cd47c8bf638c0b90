"""Layers find their counterparts whatever the exporter called them and whatever stands between."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnlint import frontends
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Conv
from cnnlint.verification.matching import match_layers
from networks import graph_of

MODELS = Path(__file__).parents[3] / "fixtures" / "models"


def matched(before: Graph, after: Graph) -> list[tuple[str, str]]:
    return list(match_layers(before, after).items())


@pytest.mark.parametrize("name", ["seed_cnn", "vgg_style", "resnet_style", "mobile_style", "smelly"])
def test_a_keras_model_and_its_conversion_match_by_name(name: str) -> None:
    before, after = (frontends.load(str(MODELS / f"{name}.{suffix}")) for suffix in ("keras", "onnx"))
    pairs = match_layers(before, after)
    assert all(left == right for left, right in pairs.items())
    assert {layer.kind for layer in before.layers if layer.name not in pairs} <= {"Dropout"}
    assert len(pairs) == len(after.layers)


def test_both_calls_of_a_shared_model_match_whatever_the_order_of_the_file() -> None:
    before, after = (frontends.load(str(MODELS / f"branches.{suffix}")) for suffix in ("keras", "onnx"))
    pairs = match_layers(before, after)
    assert after.layers[0].name == "encoder_2/conv"  # the file begins with the second call
    assert pairs["encoder/conv"] == "encoder/conv"
    assert pairs["encoder/conv_2"] == "encoder_2/conv"
    assert pairs["encoder/pool_2"] == "encoder_2/pool"


def test_a_layer_that_was_inserted_has_no_counterpart_though_numbered_names_move() -> None:
    before = graph_of("INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> CONV 8 3x3 -> RELU -> GAP -> FC 10")
    after = graph_of("INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> CONV 4 5x5 -> RELU -> CONV 8 3x3 -> RELU -> GAP -> FC 10")
    layers = {layer.name: layer for layer in after.layers}
    pairs = match_layers(before, after)
    lost = [layer.name for layer in after.layers if layer.name not in pairs.values()]
    assert [layers[name].kind for name in lost] in (["Conv", "Activation"], ["Activation", "Conv"])
    images = [layers[pairs[conv.name]] for conv in before.of_kind(Conv)]
    assert [conv.filters for conv in images if isinstance(conv, Conv)] == [4, 8]
    assert [conv.kernel_size for conv in images if isinstance(conv, Conv)] == [(3, 3), (3, 3)]


def test_a_layer_that_changed_keeps_its_counterpart() -> None:
    before = graph_of("INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> POOL 2 -> CONV 8 3x3 -> RELU -> GAP -> FC 10")
    after = graph_of("INPUT 3x16x16 -> CONV 4 5x5 -> RELU -> POOL 2 -> CONV 8 3x3 -> RELU -> GAP -> FC 10")
    assert len(match_layers(before, after)) == len(before.layers)


def test_a_norm_and_its_folded_form_do_not_part_the_layers_around_it() -> None:
    before = graph_of("INPUT 3x16x16 -> CONV 4 3x3 -> BN -> RELU -> CONV 8 3x3 -> BN -> RELU -> GAP -> FC 10")
    after = graph_of("INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> CONV 8 3x3 -> RELU -> GAP -> FC 10")
    pairs = match_layers(before, after)
    assert {layer.kind for layer in before.layers if layer.name not in pairs} == {"BatchNorm"}
    assert len(pairs) == len(after.layers)

"""Stages are those of the papers: by the size of the map, the way up told from the way down, gates with their map."""

from __future__ import annotations

import pytest

import zoo
from acceptance.command import MODELS
from cnnlint.analysis.resolutions import stages
from cnnlint.api.linting import load
from cnnlint.graph.graph import Graph
from cnnlint.testing import to_graph


def sizes(graph: Graph) -> list[tuple[str, int]]:
    return [(stage.name, len(stage.layers)) for stage in stages(graph)]


def test_each_pooling_begins_a_stage_and_padding_begins_none() -> None:
    graph = to_graph("INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> CONV 8 3x3 valid -> POOL -> CONV 8 3x3 -> GAP -> FC 10")
    assert [name for name, _ in sizes(graph)] == ["32×32", "15×15", "head"]


def test_every_layer_is_in_one_stage() -> None:
    for path in sorted(MODELS.glob("*.onnx")):
        graph = load(path)
        told = [name for stage in stages(graph) for name in stage.layers]
        assert sorted(told) == sorted(layer.name for layer in graph.layers), path.name


def test_a_gate_belongs_to_the_map_that_it_scales() -> None:
    found = {name: stage.name for stage in stages(load(MODELS / "mobile_style.onnx")) for name in stage.layers}
    assert {found[f"block2_{part}"] for part in ("squeeze", "reduce", "excite", "scale")} == {"8×8"}
    assert found["predictions"] == "head"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ResNet50", {"56×56": 10, "28×28": 13, "14×14": 19, "7×7": 10}),  # He et al. 2016, table 1, and projections
        ("DenseNet121", {"56×56": 13, "28×28": 25, "14×14": 49, "7×7": 32}),  # Huang et al. 2017, table 1, transitions
    ],
)
def test_convolutions_of_a_stage_are_those_of_the_paper(name: str, expected: dict[str, int]) -> None:
    graph = load(zoo.keras_path(name))
    kinds = {layer.name: layer.kind for layer in graph.layers}
    found = {stage.name: sum(kinds[layer] == "Conv" for layer in stage.layers) for stage in stages(graph)}
    assert {stage: found[stage] for stage in expected} == expected

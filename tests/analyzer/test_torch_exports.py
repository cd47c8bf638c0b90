"""Networks as PyTorch users write them: every exporter gives PyTorch's own numbers and one list of layers."""

from __future__ import annotations

import pytest

import cnnlint
from cnnlint.analysis.context import Context
from cnnlint.frontends import load
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Opaque, Operator
from distinct_layers import distinct_layers
from intermediates import mismatches
from said_of_both import numbers_of_both
from torch_cases import EXPORTERS, INSTALLED, NAMES, folder, truth

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not INSTALLED, reason="torch and onnxscript are not installed")]


def exported(name: str, exporter: str) -> Graph:
    return load(str(folder() / f"{name}.{exporter}.onnx"))


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NAMES)
def test_an_export_has_the_parameters_and_macs_of_its_module(name: str, exporter: str) -> None:
    facts, graph = truth(name), exported(name, exporter)
    statistics = 0 if EXPORTERS[exporter] else facts["statistics"]
    saved = facts["saved_by_folding"] if EXPORTERS[exporter] else 0
    assert graph.parameters == facts["parameters"] + statistics - saved
    assert Context(graph).macs == facts["macs"]


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NAMES)
def test_an_export_has_known_layers_of_the_shapes_that_onnxruntime_computes(name: str, exporter: str) -> None:
    graph = exported(name, exporter)
    assert [layer.name for layer in graph.layers if isinstance(layer, Opaque | Operator)] == []
    assert mismatches(folder() / f"{name}.{exporter}.onnx", graph) == []


@pytest.mark.parametrize("exporter", [exporter for exporter in EXPORTERS if exporter != "script"])
@pytest.mark.parametrize("name", NAMES)
def test_all_exporters_give_one_list_of_layers(name: str, exporter: str) -> None:
    assert distinct_layers(exported(name, exporter)) == distinct_layers(exported(name, "script"))


@pytest.mark.parametrize("name", NAMES)
def test_all_exporters_give_the_same_findings_and_numbers(name: str) -> None:
    paths = [str(folder() / f"{name}.{exporter}.onnx") for exporter in EXPORTERS]
    models = cnnlint.lint(paths, isolated=True, static=True, pedantic=True).models
    first, *others = (numbers_of_both(model.findings) for model in models)
    assert [other for other in others if other != first] == []

"""Every net of keras.applications: the static reader, Keras, the conversion and its graph all agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import cnnlint
import corpus
import zoo
from cnnlint.analysis.context import Context
from cnnlint.frontends import load
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Conv, Dense
from distinct_layers import distinct_layers, representatives
from intermediates import mismatches
from keras_cases.agreement import disagreements
from parity import TOLERANCE
from said_of_both import said_of_both
from zoo.architectures import GIANTS, NETS, SETTLED, SMALL

pytestmark = pytest.mark.tf

ALWAYS = ("small_densenet", "small_mobilenet_v3")
"""Between them: joins, shortcuts, gates, depthwise kernels, folded norms, hard activations."""

EVERY = [*ALWAYS, *(pytest.param(name, marks=pytest.mark.slow) for name in (*SMALL, *NETS) if name not in ALWAYS)]


@pytest.fixture(scope="module", params=EVERY)
def net(request: pytest.FixtureRequest) -> Iterator[zoo.Proved]:
    with zoo.proved(request.param) as proved:
        yield proved


@pytest.fixture(scope="module")
def graphs(net: zoo.Proved) -> tuple[Graph, Graph]:
    """Return the graphs of the archive and of its conversion, with open rows and columns filled in."""
    return tuple(load(str(path), inputs=net.filled_inputs()) for path in (net.keras, net.onnx))


def test_the_static_reader_says_what_keras_says(net: zoo.Proved) -> None:
    assert disagreements(load(str(net.keras)), net.truth) == []


def test_the_conversion_computes_what_keras_computes(net: zoo.Proved) -> None:
    assert net.proof.get("failure") is None
    assert net.proof["way"] == "weightless"
    # In the deepest nets, each block makes more of the rounding of those before it.
    assert net.proof["error"] <= TOLERANCE * (3 if net.proof["net"] in SETTLED else 1)


def test_the_conversion_has_the_layers_of_the_archive(graphs: tuple[Graph, Graph]) -> None:
    keras, onnx = graphs
    assert distinct_layers(keras) == distinct_layers(onnx)
    assert Context(keras).macs == Context(onnx).macs
    assert Context(keras).macs


def test_the_conversion_calls_convolutions_and_dense_layers_as_keras_does(graphs: tuple[Graph, Graph]) -> None:
    keras, onnx = ({layer.name for layer in graph.of_kind(Conv, Dense)} for graph in graphs)
    assert keras == onnx


def test_the_conversion_has_the_findings_of_the_archive(net: zoo.Proved, graphs: tuple[Graph, Graph]) -> None:
    models = [str(net.keras), str(net.onnx)]
    report = cnnlint.lint(models, isolated=True, static=True, pedantic=True, inputs=net.filled_inputs())
    assert [model.error for model in report.models] == [None, None]
    # What the converter made one layer of is one finding there.
    first = representatives(graphs[0])
    keras, onnx = (said_of_both(model.findings, first) for model in report.models)
    assert keras == onnx


def test_what_is_said_of_the_archive_was_judged(net: zoo.Proved) -> None:
    if net.proof["net"] in NETS:
        corpus.check(f"keras/{net.proof['net']}", net.keras)


def test_the_conversion_has_the_shapes_that_onnxruntime_produces(net: zoo.Proved) -> None:
    name = net.proof["net"]
    if name in GIANTS or net.filled_inputs():
        pytest.skip("too large to keep every tensor, or of any extent; a smaller relative has the same layers")
    assert mismatches(net.onnx, load(str(net.onnx))) == []


def test_every_net_that_keras_has_is_listed() -> None:
    spec = find_spec("keras")
    assert spec is not None
    assert spec.origin is not None
    exports = (Path(spec.origin).parent / "applications" / "__init__.py").read_text()
    assert sorted(re.findall(r" as ([A-Z]\w+),?$", exports, re.MULTILINE)) == sorted(NETS)

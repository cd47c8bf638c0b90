"""Every layer's shape is the one that onnxruntime, or onnx's own test suite, has for its tensor."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import zoo
from cnnlint.analysis.context import Context
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.graph.graph import Graph
from intermediates import mismatches

MODELS = Path(__file__).parents[4] / "fixtures" / "models"


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_fixtures_have_the_shapes_that_onnxruntime_produces(path: Path) -> None:
    assert mismatches(path, load(str(path))) == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in {"inception_v1", "shufflenet"} else pytest.mark.exhaustive)
        for name in zoo.light_names()
    ],
)
def test_light_zoo_models_have_the_shapes_that_onnxruntime_produces(name: str) -> None:
    path = zoo.light_path(name)
    graph = load(str(path))
    assert all(isinstance(dim, int) for layer in graph.layers for dim in layer.output.shape or (None,))
    assert mismatches(path, graph) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121"])
def test_keras_applications_converted_have_the_shapes_that_onnxruntime_produces(name: str) -> None:
    path = zoo.onnx_path(name)
    assert mismatches(path, load(str(path))) == []


@pytest.mark.usefixtures("onnx_answers_here")
def test_every_operator_case_of_onnx_is_raised_with_the_shapes_of_its_outputs() -> None:
    models = zoo.operator_cases()
    assert len(models) > 1500
    wrong = list[str]()
    compared = 0
    for model in models:
        graph = load_onnx_bytes(model.SerializeToString())
        _ask_everything(graph)
        for declared, tensor in zip(model.graph.output, graph.outputs, strict=True):
            shape = _static_shape(declared)
            if shape is None or tensor.shape is None or not all(isinstance(dim, int) for dim in tensor.shape):
                continue
            compared += 1
            if sorted(shape) != sorted(dim for dim in tensor.shape if isinstance(dim, int)):
                wrong.append(f"{model.graph.name}: {tensor.shape}, onnx has {shape}")
    assert wrong == []
    assert compared > 1000


def _static_shape(value: onnx.ValueInfoProto) -> list[int] | None:
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value for dim in dims] if all(dim.HasField("dim_value") for dim in dims) else None


def _ask_everything(graph: Graph) -> None:
    """No question about a graph may crash, whatever the graph."""
    context = Context(graph)
    assert context.macs is None or context.macs >= 0
    assert context.peak_activation_bytes is None or context.peak_activation_bytes >= 0
    for layer in graph.layers:
        layer.parameter_formula()
        layer.output_formulas()
        context.layer_macs(layer)
    assert len(context.receptive_fields) == len(graph.layers)

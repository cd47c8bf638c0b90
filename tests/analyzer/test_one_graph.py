"""One network gives one graph, whatever it is written in: Keras, tf2onnx, PyTorch's exporters, quantized."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import cnnlint
import zoo
from cnnlint.analysis.context import Context
from cnnlint.frontends import load
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Activation, BatchNorm, Dropout
from said_of_both import said_of_both, stem

FIXTURES = Path(__file__).parents[2] / "fixtures"
NETS = sorted(path.stem for path in (FIXTURES / "models").glob("*.onnx"))
TWINS = [*sorted((FIXTURES / "torch").glob("*.onnx")), FIXTURES / "models" / "torch_twin.onnx"]


def layers(graph: Graph) -> Counter[tuple[object, ...]]:
    """Count the layers by kind, function, shape and cost; without those that training alone needs."""
    context = Context(graph)
    return Counter(
        (
            layer.kind,
            layer.function if isinstance(layer, Activation) else "",
            layer.output.sample_shape,
            context.layer_macs(layer),
            context.receptive_fields[layer.name],
        )
        for layer in graph.layers
        if not isinstance(layer, Dropout | BatchNorm) and getattr(layer, "function", "") != "linear"
    )


@pytest.mark.parametrize("name", NETS)
def test_a_keras_fixture_and_its_conversion_give_the_same_layers(name: str) -> None:
    keras, onnx = (load(str(FIXTURES / "models" / f"{name}.{ending}")) for ending in ("keras", "onnx"))
    assert layers(keras) == layers(onnx)
    assert Context(keras).macs == Context(onnx).macs


@pytest.mark.parametrize("name", NETS)
def test_a_keras_fixture_and_its_conversion_give_the_same_findings(name: str) -> None:
    models = [str(FIXTURES / "models" / f"{name}.{ending}") for ending in ("keras", "onnx")]
    keras, onnx = cnnlint.lint(models, isolated=True, static=True, pedantic=True).models
    stems = {layer.name: stem(layer.name) for path in models for layer in load(path).layers}
    assert said_of_both(keras.findings, stems) == said_of_both(onnx.findings, stems)


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_every_exporter_of_one_architecture_gives_the_layers_of_its_keras_twin(path: Path) -> None:
    twin = load(str(FIXTURES / "models" / "torch_twin.keras"))
    export = load(str(path))
    assert layers(export) == layers(twin)
    assert Context(export).macs == Context(twin).macs


@pytest.mark.parametrize("name", ["training", "dynamo_raw"])
def test_an_export_that_folds_nothing_has_every_parameter(name: str) -> None:
    assert load(str(FIXTURES / "torch" / f"{name}.onnx")).parameters == 1_160


def test_layers_of_pytorch_exports_have_the_names_of_their_modules() -> None:
    named = [{layer.name for layer in load(str(path)).layers} for path in TWINS[:-1]]
    modules = {"stem.0", "block1.conv1", "block1.conv2", "block2.down.0", "gate.reduce", "gate.expand", "pool", "fc"}
    assert all(modules <= names for names in named)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121", "Xception"])
def test_a_large_net_and_its_tf2onnx_conversion_give_the_same_layers(name: str) -> None:
    keras, onnx = load(str(zoo.keras_path(name))), load(str(zoo.onnx_path(name)))
    assert layers(keras) == layers(onnx)


@pytest.mark.parametrize("name", ["resnet_style", "mobile_style", "vgg_style"])
@pytest.mark.parametrize("way", ["qdq", "operators", "dynamic"])
@pytest.mark.filterwarnings("ignore")
def test_a_quantized_net_has_the_layers_and_parameters_of_the_float_one(name: str, way: str, tmp_path: Path) -> None:
    import numpy as np
    from onnxruntime import quantization

    source = FIXTURES / "models" / f"{name}.onnx"
    original = load(str(source))

    class Images(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            rng = np.random.default_rng(0)
            self.images = iter([{"image": rng.random((1, 32, 32, 3), np.float32)} for _ in range(2)])

        def get_next(self) -> dict[str, object] | None:
            return next(self.images, None)

    target = tmp_path / "quantized.onnx"
    if way == "dynamic":
        quantization.quantize_dynamic(source, target, weight_type=quantization.QuantType.QUInt8)
    else:
        form = quantization.QuantFormat.QDQ if way == "qdq" else quantization.QuantFormat.QOperator
        quantization.quantize_static(source, target, Images(), quant_format=form)
    quantized = load(str(target))
    counted = [
        Counter(layer.kind for layer in graph.layers if layer.kind not in ("Elementwise", "Transpose"))
        for graph in (original, quantized)
    ]
    assert counted[0] == counted[1]
    assert quantized.parameters == original.parameters
    assert Context(quantized).macs == Context(original).macs


@pytest.mark.parametrize("name", ["resnet_style", "mobile_style", "vgg_style"])
def test_half_precision_changes_bytes_and_nothing_else(name: str, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, numpy_helper

    source, target = FIXTURES / "models" / f"{name}.onnx", tmp_path / "half.onnx"
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, target)
    single, half = load(str(source)), load(str(target))
    assert layers(half) == layers(single)
    assert half.parameters == single.parameters
    for fact in ("weight_bytes", "peak_activation_bytes"):
        assert getattr(Context(half), fact) * 2 == getattr(Context(single), fact)
    (report,) = cnnlint.lint(target, isolated=True).models
    assert not [finding for finding in report.findings if finding.code.startswith("RT")]

"""A fault that is planted in a conversion is located at its layer, whether norms are folded or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from cnnlint.conversion import convert_keras
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends import load_onnx_bytes
from cnnlint.linting.models import open_model
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.records import ComparisonReport
from cnnlint.verification.verify import compare

pytestmark = pytest.mark.tf

MODELS = Path(__file__).parents[3] / "fixtures" / "models"


def perturbed(name: str) -> Any:
    """Return a fixture whose norms, biases and kernels are all far from trivial."""
    model = toolchain().keras.saving.load_model(MODELS / f"{name}.keras", compile=False)
    rng = np.random.default_rng(7)
    for weight in model.weights:
        if weight.name in {"gamma", "moving_variance"}:
            weight.assign(rng.uniform(0.3, 1.5, weight.shape))
        elif weight.name in {"beta", "moving_mean", "bias"}:
            weight.assign(rng.normal(0, 0.5, weight.shape))
    return model


@pytest.fixture(scope="module", params=["mobile_style", pytest.param("resnet_style", marks=pytest.mark.exhaustive)])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("faults") / f"{request.param}.keras"
    with quiet():  # Keras's own warnings
        perturbed(request.param).save(path)
    return str(path)


def converted(path: str, *, fold: bool, change: Callable[[Any], None] | None = None) -> onnx.ModelProto:
    """Return a conversion to plant a fault in, made once if nothing is changed before it."""
    return onnx.ModelProto.FromString(_converted(path, fold, change))


@cache
def _converted(path: str, fold: bool, change: Callable[[Any], None] | None) -> bytes:
    model = toolchain().keras.saving.load_model(path, compile=False)
    if change is not None:
        change(model)
    return convert_keras(model, fold=fold).model.SerializeToString()


def side(proto: onnx.ModelProto) -> OnnxRunner:
    content = proto.SerializeToString()
    return OnnxRunner("faulty.onnx", Program(content), load_onnx_bytes(content))


def node_of(proto: onnx.ModelProto, kind: str, layer: str = "") -> onnx.NodeProto:
    return next(node for node in proto.graph.node if node.op_type == kind and layer in node.name)


def weight_of(proto: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(weight for weight in proto.graph.initializer if weight.name == name)


def first_conv(path: str, taps: int = 3) -> str:
    """Return the name of the first ordinary convolution with `taps` taps an axis that has a convolution before it."""
    model = toolchain().keras.saving.load_model(path, compile=False)
    found = [layer for layer in model.layers if type(layer).__name__ in {"Conv2D", "DepthwiseConv2D"}]
    return next(layer.name for layer in found[1:] if layer.kernel_size == (taps, taps))


@pytest.mark.parametrize("fold", [True, False])
def test_a_sound_conversion_is_equal_in_every_layer(network: str, fold: bool) -> None:
    report = compare(open_model(network).runner(), side(converted(network, fold=fold)))
    assert report.equal
    assert not report.origins
    assert {row.verdict for row in report.layers} <= {"equal", "view", "unmatched"}
    assert [row.kind for row in report.layers if row.verdict == "unmatched"] in ([], ["Dropout"])
    assert sum(row.verdict == "equal" for row in report.layers) > 15


@pytest.mark.parametrize("fold", [True, False])
def test_a_transposed_kernel_is_located_and_named(network: str, fold: bool) -> None:
    proto = converted(network, fold=fold)
    layer = first_conv(network)
    kernel = weight_of(proto, node_of(proto, "Conv", layer + "/").input[1])
    turned = numpy_helper.to_array(kernel).transpose(0, 1, 3, 2)
    kernel.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned), kernel.name))
    report = located(network, proto, layer)
    if not fold:
        assert "kernel has the same values in a different order" in report.origins[0].causes


@pytest.mark.parametrize("fold", [True, False])
def test_another_epsilon_is_located_at_its_norm(network: str, fold: bool) -> None:
    model = toolchain().keras.saving.load_model(network, compile=False)
    index = [type(layer).__name__ for layer in model.layers].index("BatchNormalization")
    norm, before = model.layers[index], model.layers[index - 1]
    assert norm.epsilon == pytest.approx(1e-3)

    def change(live: Any) -> None:
        live.get_layer(norm.name).epsilon = 1e-5

    report = compare(open_model(network).runner(), side(converted(network, fold=fold, change=change)))
    assert not report.equal
    assert [origin.before for origin in report.origins] == [before.name if fold else norm.name]
    assert fold == any(norm.name in row.note for row in report.layers)


@pytest.mark.parametrize("fold", [True, False])
def test_padding_on_the_wrong_side_is_located(network: str, fold: bool) -> None:
    proto = converted(network, fold=fold)
    node = next(n for n in proto.graph.node if n.op_type == "Conv" and pads_of(n) and any(pads_of(n).ints))
    pads = pads_of(node)
    before, after = list(pads.ints[:2]), list(pads.ints[2:])
    changed = [*after, *before] if before != after else [before[0] + 1, before[1], after[0] - 1, after[1]]
    pads.ints[:] = changed
    layer = node.name.partition("/")[0]
    report = located(network, proto, layer)
    assert any(cause.startswith("padding") for cause in report.origins[0].causes)


def test_a_swapped_channel_order_is_located_at_the_first_layer(network: str) -> None:
    proto = converted(network, fold=True)
    image = proto.graph.input[0].name
    for node in proto.graph.node:
        for index, name in enumerate(node.input):
            if name == image:
                node.input[index] = "swapped"
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "order"))
    proto.graph.node.insert(0, helper.make_node("Gather", [image, "order"], ["swapped"], axis=3, name="swap"))
    report = located(network, proto, open_model(network).runner().graph.layers[0].name)
    assert "only the second model has swap (Operator) before it" in report.origins[0].causes


def test_a_dropped_bias_is_located_and_named(network: str) -> None:
    proto = converted(network, fold=False)
    dense = toolchain().keras.saving.load_model(network, compile=False).layers[-1]
    node = node_of(proto, "Add", f"{dense.name}/")
    bias = weight_of(proto, node.input[1])
    bias.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(bias)), bias.name))
    report = located(network, proto, dense.name)
    assert any(cause.startswith("bias values differ") for cause in report.origins[0].causes)


def test_a_bias_that_is_gone_is_named_as_such() -> None:
    proto = onnx.ModelProto.FromString((MODELS / "vgg_style.onnx").read_bytes())
    node = node_of(proto, "Conv", "block2_conv1")
    del node.input[2:]
    report = compare(open_model(MODELS / "vgg_style.onnx").runner(), side(proto))
    assert [origin.before for origin in report.origins] == ["block2_conv1"]
    assert "use bias yes vs. no" in report.origins[0].causes


def test_relu_instead_of_relu6_is_located_and_named(tmp_path: Path) -> None:
    path = tmp_path / "mobile.keras"
    perturbed("mobile_style").save(path)
    proto = converted(str(path), fold=True)
    clip = [node for node in proto.graph.node if node.op_type == "Clip"][1]
    layer = clip.name.partition("/")[0]
    clip.op_type = "Relu"
    del clip.input[1:]
    report = located(str(path), proto, layer)
    assert report.origins[0].causes == ("function relu6 vs. relu",)


def located(network: str, proto: onnx.ModelProto, layer: str) -> ComparisonReport:
    """Compare and require that the one difference begins at `layer`."""
    report = compare(open_model(network).runner(), side(proto))
    assert not report.equal
    assert [origin.before for origin in report.origins] == [layer]
    return report


def pads_of(node: onnx.NodeProto) -> Any:
    return next((attribute for attribute in node.attribute if attribute.name == "pads"), None)

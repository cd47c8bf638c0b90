"""Untrained networks of keras.applications are verified as converted, and faults planted in them are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from cnnlint.conversion import convert_keras
from cnnlint.conversion.runners import KerasRunner
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.records import ComparisonReport
from cnnlint.verification.verify import compare

pytestmark = [pytest.mark.slow, pytest.mark.tf]

SEEDS = range(5)


def judged(model: Any, archive: Path, proto: onnx.ModelProto) -> ComparisonReport:
    content = proto.SerializeToString()
    after = OnnxRunner("converted.onnx", Program(content), load_onnx_bytes(content))
    return compare(KerasRunner(str(archive), model, load(str(archive))), after)


@pytest.mark.parametrize(
    ("name", "seed"), [*(("MobileNetV3Small", seed) for seed in SEEDS), ("MobileNetV2", 0), ("EfficientNetB0", 0)]
)
def test_the_conversion_of_any_untrained_network_is_verified(name: str, seed: int, tmp_path: Path) -> None:
    keras: Any = toolchain().keras
    keras.utils.set_random_seed(seed)
    # smaller than usual, for time: what rounds is the depth
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
    model.save(tmp_path / "model.keras")
    report = judged(model, tmp_path / "model.keras", convert_keras(model).model)
    assert report.equal, report.verification
    assert report.verification is not None
    assert report.verification.regions > 90
    assert not report.verification.by_region
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, onnx.ModelProto]:
    """Return an EfficientNetV2B0 whose biases and norms are far from trivial, its file, and its conversion."""
    with quiet():
        keras: Any = toolchain().keras
        keras.utils.set_random_seed(0)
        model = keras.applications.EfficientNetV2B0(weights=None, input_shape=(96, 96, 3))
        rng = np.random.default_rng(7)
        for weight in model.weights:
            if weight.name in {"gamma", "moving_variance"}:
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
            elif weight.name in {"beta", "moving_mean", "bias"}:
                weight.assign(rng.normal(0, 0.3, weight.shape))
        path = tmp_path_factory.mktemp("large") / "model.keras"
        model.save(path)
        return model, path, convert_keras(model).model


def kernel_of(proto: onnx.ModelProto, layer: str, place: int = 1) -> onnx.TensorProto:
    node = next(node for node in proto.graph.node if node.op_type == "Conv" and node.name.startswith(f"{layer}/"))
    return next(weight for weight in proto.graph.initializer if weight.name == node.input[place])


def assign(weight: onnx.TensorProto, change: Callable[[np.ndarray], np.ndarray]) -> None:
    values = np.ascontiguousarray(change(numpy_helper.to_array(weight)))
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


def transposed_kernel(proto: onnx.ModelProto) -> None:
    assign(kernel_of(proto, "block3a_expand_conv"), lambda values: values.transpose(0, 1, 3, 2))


def another_epsilon(proto: onnx.ModelProto) -> None:
    # its norm has an epsilon of 1e-3, folded; with 1e-5 each filter would be larger by half of what that makes
    assign(kernel_of(proto, "block5d_project_conv"), lambda values: values * np.float32(1 + 0.5 * (1e-3 - 1e-5)))


def padding_side(proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        pads = next((item for item in node.attribute if item.name == "pads"), None)
        if node.name.startswith("block6a_dwconv2/") and pads is not None:
            pads.ints[:] = [*pads.ints[2:], *pads.ints[:2]]


def channel_order(proto: onnx.ModelProto) -> None:
    assign(kernel_of(proto, "block6d_expand_conv"), lambda values: values[:, ::-1])


def dropped_bias(proto: onnx.ModelProto) -> None:
    assign(kernel_of(proto, "block6h_se_reduce", 2), np.zeros_like)


def clipped(proto: onnx.ModelProto) -> None:
    """Clip a swish at 6, as the network of another family would."""
    node = next(n for n in proto.graph.node if n.op_type == "Mul" and n.name.startswith("top_activation/"))
    inner, output = f"{node.output[0]}/open", node.output[0]
    node.output[0] = inner
    place = [other.name for other in proto.graph.node].index(node.name) + 1
    for name, bound in (("least", -100.0), ("most", 6.0)):
        proto.graph.initializer.append(numpy_helper.from_array(np.float32(bound), name))
    proto.graph.node.insert(place, helper.make_node("Clip", [inner, "least", "most"], [output], name="top_clip"))


@pytest.mark.parametrize(
    ("fault", "layer"),
    [
        (transposed_kernel, "block3a_expand_conv"),
        (another_epsilon, "block5d_project_conv"),
        (padding_side, "block6a_dwconv2"),
        (channel_order, "block6d_expand_conv"),
        (dropped_bias, "block6h_se_reduce"),
    ],
)
def test_a_fault_is_found_at_its_layer_in_an_efficientnet(
    fault: Callable[[onnx.ModelProto], None], layer: str, network: tuple[Any, Path, onnx.ModelProto]
) -> None:
    model, path, sound = network
    proto = onnx.ModelProto.FromString(sound.SerializeToString())
    fault(proto)
    report = judged(model, path, proto)
    assert not report.equal
    assert [origin.before for origin in report.origins] == [layer]


def test_a_clip_that_usual_values_do_not_reach_is_found(network: tuple[Any, Path, onnx.ModelProto]) -> None:
    model, path, sound = network
    proto = onnx.ModelProto.FromString(sound.SerializeToString())
    clipped(proto)
    report = judged(model, path, proto)
    assert not report.equal
    assert report.verification is not None
    (origin,) = report.origins
    assert report.verification.failed == ("avg_pool",)
    assert origin.causes == ("only the second model has top_clip (Elementwise) before it",)


def test_the_sound_conversion_of_it_is_verified(network: tuple[Any, Path, onnx.ModelProto]) -> None:
    report = judged(*network)
    assert report.equal, report.verification
    assert not report.origins

"""A Keras network and the same network with channels first, other names and other weights' layouts are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from cnnlint.conversion.toolchain import toolchain
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.notation import to_onnx
from cnnlint.linting.models import open_model
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner, Port
from cnnlint.verification.error import channels_first, error
from cnnlint.verification.feeding import stored_axes
from cnnlint.verification.verify import compare

NOTATION = "INPUT 3x12x10 -> CONV 4 3x3 -> BN -> RELU -> POOL 2 -> CONV 6 3x3 -> RELU -> FLATTEN -> FC 5 -> SOFTMAX"


def weights_of(proto: onnx.ModelProto) -> dict[str, list[np.ndarray]]:
    """Return the weights of each weighted node, in order, by operator."""
    held = {weight.name: numpy_helper.to_array(weight) for weight in proto.graph.initializer}
    found: dict[str, list[np.ndarray]] = {}
    for node in proto.graph.node:
        arrays = [held[name] for name in node.input if name in held]
        if arrays and node.op_type in {"Conv", "BatchNormalization", "Gemm"}:
            found.setdefault(node.op_type, []).append(arrays)  # pyright: ignore[reportArgumentType]
    return found


def twin(proto: onnx.ModelProto) -> Any:
    """Build in Keras, with channels last, what the notation says, and give it the weights of `proto`."""
    keras = toolchain().keras
    layers = keras.layers
    found = weights_of(proto)
    (conv, again), (norm,), (dense,) = found["Conv"], found["BatchNormalization"], found["Gemm"]
    epsilon = next(
        attribute.f
        for node in proto.graph.node
        if node.op_type == "BatchNormalization"
        for attribute in node.attribute
        if attribute.name == "epsilon"
    )
    net = keras.Sequential(
        [
            layers.Input((12, 10, 3), name="picture"),
            layers.Conv2D(4, 3, padding="same", name="first"),
            layers.BatchNormalization(epsilon=epsilon, name="normed"),
            layers.ReLU(name="rectified"),
            layers.MaxPooling2D(name="halved"),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="second"),
            layers.Flatten(name="vector"),
            layers.Dense(5, activation="softmax", name="scores"),
        ]
    )
    net.get_layer("first").set_weights([conv[0].transpose(2, 3, 1, 0), conv[1]])
    net.get_layer("normed").set_weights(norm)
    net.get_layer("second").set_weights([again[0].transpose(2, 3, 1, 0), again[1]])
    kernel = dense[0] if dense[0].shape[1] == 5 else dense[0].T
    reordered = kernel.reshape(6, 6, 5, 5).transpose(1, 2, 0, 3).reshape(-1, 5)
    net.get_layer("scores").set_weights([reordered, dense[1]])
    return net


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    model = to_onnx(NOTATION)
    rng = np.random.default_rng(5)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32:
            drawn = rng.uniform(0.4, 1.4, values.shape) if values.ndim == 1 else rng.normal(0, 0.3, values.shape)
            weight.CopyFrom(numpy_helper.from_array(drawn.astype(np.float32), weight.name))
    return model


def side(model: onnx.ModelProto) -> OnnxRunner:
    content = model.SerializeToString()
    return OnnxRunner("channels_first.onnx", Program(content), load_onnx_bytes(content))


@pytest.mark.tf
def test_every_layer_of_the_twin_is_equal(proto: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "twin.keras"
    twin(proto).save(path)
    report = compare(open_model(str(path)).runner(), side(proto))
    assert report.equal
    compared = [(row.before, row.kind) for row in report.layers if row.verdict == "equal"]
    assert [kind for _, kind in compared] == [
        "Conv", "BatchNorm", "Activation", "MaxPool", "Conv", "Activation", "Dense", "Activation",
    ]  # fmt: skip
    assert all(row.before != row.after for row in report.layers)  # no name says which layer is which


@pytest.mark.tf
def test_a_twin_with_one_other_weight_differs_at_its_layer(proto: onnx.ModelProto, tmp_path: Path) -> None:
    net = twin(proto)
    kernel, bias = net.get_layer("second").get_weights()
    kernel[0, 2, 1, 3] += 1
    net.get_layer("second").set_weights([kernel, bias])
    net.save(tmp_path / "twin.keras")
    report = compare(open_model(str(tmp_path / "twin.keras")).runner(), side(proto))
    assert [origin.before for origin in report.origins] == ["second"]
    assert [cause for cause in report.origins[0].causes if cause.startswith("kernel")] == [
        "kernel values differ by up to 1"
    ]


def test_an_input_is_fed_in_the_order_that_fits_its_shape() -> None:
    image = ("batch", 3, 32, 24)
    assert stored_axes(Port("x", (None, 32, 24, 3), image, "float32"), image, "channels_first") == (0, 2, 3, 1)
    assert stored_axes(Port("x", (None, 3, 32, 24), image, "float32"), image, "channels_last") == (0, 1, 2, 3)
    assert stored_axes(Port("x", (None, 3, 24, 32), image, "float32"), image, "channels_last") is None
    cube = ("batch", 3, 3, 3)  # both orders fit, and the model's usual one decides
    assert stored_axes(Port("x", cube, cube, "float32"), cube, "channels_last") == (0, 2, 3, 1)


def test_both_orders_are_kept_where_a_shape_cannot_tell_them_apart() -> None:
    value = np.arange(2 * 4 * 4 * 4).reshape(2, 4, 4, 4)
    assert len(channels_first(value, ("batch", 4, 4, 4))) == 2
    (only,) = channels_first(value[:, :3], ("batch", 4, 3, 4))
    assert only.shape == (2, 4, 3, 4)


@pytest.mark.parametrize(
    ("expected", "actual", "relative"),
    [
        ([1.0, -4.0], [1.0, -4.4], 0.1),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 1e-9], float("inf")),
        ([1.0, np.nan], [1.0, np.nan], 0.0),
        ([1.0, 2.0], [1.0, np.inf], float("inf")),
        ([1.0, 2.0], [1.0, 2.0, 3.0], float("inf")),
    ],
)
def test_an_error_is_relative_to_the_largest_magnitude(
    expected: list[float], actual: list[float], relative: float
) -> None:
    assert error(np.array(expected), np.array(actual)).relative == pytest.approx(relative)


def test_a_model_that_takes_one_sample_only_is_fed_one_though_it_declares_an_open_batch() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], name="conv"),
        helper.make_node("Reshape", ["c", "shape"], ["y"], name="flat"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 32])],
        [
            numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "k"),
            numpy_helper.from_array(np.array([1, 32]), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    report = compare(side(model), side(model))
    assert report.equal
    assert report.conditions[0].startswith("x 1×3×4×4")

"""A network that turns one rounding into more than the cap is verified by its regions, and does not pass faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnnlint.frontends import load_onnx_bytes
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.records import ComparisonReport
from cnnlint.verification.rounding import CAPS, RATIO
from cnnlint.verification.verify import compare

DEPTH, CHANNELS, CLASSES = 26, 8, 5

GAIN = 3.0
"""Standard deviation of a sum's inputs: tanh layers above 1 pull neighboring inputs apart (Poole et al. 2016)."""


def chaotic() -> onnx.ModelProto:
    """Return convolutions with norms and tanh whose differences grow from layer to layer, a relu6 among them."""
    rng = np.random.default_rng(3)
    nodes, weights = list[onnx.NodeProto](), list[TensorProto]()

    def held(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    held("zero", np.array(0.0))
    held("six", np.array(6.0))
    source, channels = "x", 3
    for index in range(DEPTH):
        layer = f"conv{index}"
        kernel = rng.normal(0, GAIN / np.sqrt(9 * channels), (CHANNELS, channels, 3, 3))
        inputs = [source, held(f"{layer}.weight", kernel), held(f"{layer}.bias", rng.normal(0, 0.5, CHANNELS))]
        # odd extents and a stride of 2 once, so that padding has sides
        strides, pads = ([2, 2], [1, 1, 0, 0]) if index == 5 else ([1, 1], [1, 1, 1, 1])
        nodes.append(helper.make_node("Conv", inputs, [layer], name=layer, pads=pads, strides=strides))
        vectors = [
            held(f"norm{index}.{role}", values)
            for role, values in (
                ("scale", rng.uniform(0.7, 1.4, CHANNELS)), ("shift", rng.normal(0, 0.3, CHANNELS)),
                ("mean", rng.normal(0, 0.3, CHANNELS)), ("var", rng.uniform(0.7, 1.4, CHANNELS)),
            )
        ]  # fmt: skip
        norm = f"norm{index}"
        nodes.append(helper.make_node("BatchNormalization", [layer, *vectors], [norm], name=norm, epsilon=1e-3))
        if index == 8:
            nodes.append(helper.make_node("Clip", [norm, "zero", "six"], [f"act{index}"], name=f"act{index}"))
        else:
            nodes.append(helper.make_node("Tanh", [norm], [f"act{index}"], name=f"act{index}"))
        source, channels = f"act{index}", CHANNELS
    nodes += [
        helper.make_node("GlobalAveragePool", [source], ["pool"], name="pool"),
        helper.make_node("Flatten", ["pool"], ["flat"], name="flat"),
        helper.make_node(
            "Gemm",
            ["flat", held("fc.weight", rng.normal(0, 1, (CLASSES, CHANNELS))), held("fc.bias", np.ones(CLASSES))],
            ["fc"],
            name="fc",
            transB=1,
        ),
        helper.make_node("Softmax", ["fc"], ["y"], name="probabilities"),
    ]
    graph = helper.make_graph(
        nodes,
        "chaotic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 17, 17])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weight(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def assign(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    weight(model, name).CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))


def values(model: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(weight(model, name))


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its norms folded in float64: the same function, rounded at other places."""
    model = copied(model)
    for index in range(DEPTH):
        scale, shift, mean, var = (
            values(model, f"norm{index}.{role}").astype(np.float64) for role in ("scale", "shift", "mean", "var")
        )
        factor = scale / np.sqrt(var + 1e-3)
        assign(model, f"conv{index}.weight", values(model, f"conv{index}.weight") * factor[:, None, None, None])
        assign(model, f"conv{index}.bias", (values(model, f"conv{index}.bias") - mean) * factor + shift)
        node(model, f"conv{index}").output[0] = f"norm{index}"
        model.graph.node.remove(node(model, f"norm{index}"))
    return model


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(model.SerializeToString())


def runner(model: onnx.ModelProto) -> OnnxRunner:
    content = model.SerializeToString()
    return OnnxRunner(f"{model.graph.name}.onnx", Program(content), load_onnx_bytes(content))


def compared(before: onnx.ModelProto, after: onnx.ModelProto) -> ComparisonReport:
    return compare(runner(before), runner(after))


def test_the_same_network_rounded_at_other_places_is_verified_by_region() -> None:
    report = compared(chaotic(), folded(chaotic()))
    verification = report.verification
    assert verification is not None
    assert verification.noise_floor > CAPS["float32"] / RATIO
    assert verification.max_rel_error > CAPS["float32"]
    assert report.equal
    assert verification.equivalent
    assert verification.by_region
    assert verification.regions >= 2 * DEPTH
    assert f"this network turns rounding into {verification.noise_floor:.2g}" in verification.words
    assert not report.origins
    assert {row.verdict for row in report.layers} <= {"equal", "view"}


def transposed_kernel(model: onnx.ModelProto) -> None:
    assign(model, "conv11.weight", values(model, "conv11.weight").transpose(0, 1, 3, 2))


def epsilon(model: onnx.ModelProto) -> None:
    node(model, "norm13").attribute[0].f = 1e-5


def padding_side(model: onnx.ModelProto) -> None:
    pads = next(attribute for attribute in node(model, "conv5").attribute if attribute.name == "pads")
    pads.ints[:] = [0, 0, 1, 1]


def channel_order(model: onnx.ModelProto) -> None:
    assign(model, "conv17.weight", values(model, "conv17.weight")[:, ::-1])


def dropped_bias(model: onnx.ModelProto) -> None:
    del node(model, "conv20").input[2:]


def relu_for_relu6(model: onnx.ModelProto) -> None:
    clip = node(model, "act8")
    clip.op_type = "Relu"
    del clip.input[1:]


FAULTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "transposed kernel": (transposed_kernel, "conv11"),
    "epsilon": (epsilon, "norm13"),
    "padding side": (padding_side, "conv5"),
    "channel order": (channel_order, "conv17"),
    "dropped bias": (dropped_bias, "conv20"),
    "relu for relu6": (relu_for_relu6, "act8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_at_its_layer_all_the_same(fault: str) -> None:
    change, layer = FAULTS[fault]
    wrong = chaotic()
    change(wrong)
    report = compared(chaotic(), wrong)
    assert not report.equal
    assert [origin.before for origin in report.origins] == [layer]
    assert report.verification is not None
    assert report.verification.failed == (layer,)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "epsilon"])
def test_a_fault_is_found_where_the_norms_are_folded_too(fault: str) -> None:
    change, layer = FAULTS[fault]
    wrong = folded(chaotic())
    change(wrong)
    assert [origin.before for origin in compared(chaotic(), wrong).origins] == [layer]


def test_an_epsilon_that_was_folded_is_found_at_its_convolution() -> None:
    wrong = chaotic()
    var = values(wrong, "norm13.var")
    assign(wrong, "norm13.var", var - (1e-3 - 1e-5))
    report = compared(chaotic(), folded(wrong))
    assert [origin.before for origin in report.origins] == ["conv13"]


def test_outputs_alone_do_not_verify_it(tmp_path: Path) -> None:
    report = compare(runner(chaotic()), runner(folded(chaotic())), layers=False)
    assert not report.equal
    assert report.verification is not None
    assert not report.verification.by_region

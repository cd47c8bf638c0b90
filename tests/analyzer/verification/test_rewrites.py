"""A rewrite is verified where it keeps the function and not where it does not, an untrained softmax after it or not."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnnlint.errors import RuntimeCheckError
from cnnlint.frontends import load_onnx_bytes
from cnnlint.runtime.probe import Probe
from cnnlint.runtime.program import Program
from cnnlint.verification.changed import changed_region
from cnnlint.verification.trial import RUNS, verify_rewrite

RNG = np.random.default_rng(7)


def tensor(name: str, *shape: int, scale: float = 1.0) -> TensorProto:
    return numpy_helper.from_array((RNG.standard_normal(shape) * scale).astype(np.float32), name)


@pytest.fixture
def model() -> onnx.ModelProto:
    """A small net whose softmax is untrained: all outputs are about 1/1000."""
    nodes = [
        helper.make_node("Conv", ["x", "k1", "b1"], ["c1"]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "k2", "b2"], ["c2"]),
        helper.make_node("BatchNormalization", ["c2", "s", "b", "m", "v"], ["n2"], epsilon=1e-3),
        helper.make_node("Relu", ["n2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "d"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["y"]),
    ]
    weights = [
        tensor("k1", 6, 3, 3, 3, scale=0.3), tensor("b1", 6),
        tensor("k2", 8, 6, 3, 3, scale=0.1), tensor("b2", 8),
        numpy_helper.from_array(np.full(8, 0.9, np.float32), "s"), tensor("b", 8), tensor("m", 8),
        numpy_helper.from_array(np.full(8, 0.05, np.float32), "v"),
        tensor("w", 1000, 8, scale=1e-3), tensor("d", 1000, scale=1e-3),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1000])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def probe_of(model: onnx.ModelProto) -> Probe:
    return Probe(Program.from_proto(model), load_onnx_bytes(model.SerializeToString()))


def weight(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def assign(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    weight(model, name).CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def test_folding_a_norm_into_its_convolution_is_equivalent(model: onnx.ModelProto) -> None:
    folded = copy_of(model)
    k, b, s, shift, m, v = (numpy_helper.to_array(weight(model, name)) for name in ("k2", "b2", "s", "b", "m", "v"))
    factor = s / np.sqrt(v + 1e-3)
    assign(folded, "k2", k * factor[:, None, None, None])
    assign(folded, "b2", (b - m) * factor + shift)
    norm = next(node for node in folded.graph.node if node.op_type == "BatchNormalization")
    norm.CopyFrom(helper.make_node("Identity", ["c2"], ["n2"]))
    verification = verify_rewrite(probe_of(model), folded)
    assert verification.equivalent
    assert 0 < verification.max_rel_error <= verification.tolerance
    assert verification.runs == RUNS
    assert verification.noise_floor > 0
    assert set(verification.tensors) == {"y", "logits"}


def test_an_untouched_model_has_nothing_to_compare(model: onnx.ModelProto) -> None:
    verification = verify_rewrite(probe_of(model), copy_of(model))
    assert verification.equivalent
    assert verification.max_abs_error == 0
    assert verification.tensors == ()


def transposed_kernel(model: onnx.ModelProto) -> None:
    assign(model, "k2", numpy_helper.to_array(weight(model, "k2")).transpose(0, 1, 3, 2))


def swapped_filters(model: onnx.ModelProto) -> None:
    assign(model, "k1", numpy_helper.to_array(weight(model, "k1"))[[1, 0, 2, 3, 4, 5]])


def permuted_dense(model: onnx.ModelProto) -> None:
    assign(model, "w", np.roll(numpy_helper.to_array(weight(model, "w")), 1, axis=1))


def dropped_bias(model: onnx.ModelProto) -> None:
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    del gemm.input[2]


def smaller_epsilon(model: onnx.ModelProto) -> None:
    norm = next(node for node in model.graph.node if node.op_type == "BatchNormalization")
    norm.attribute[0].f = 1e-5


def bounded_activation(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
    node = model.graph.node[1]
    node.CopyFrom(helper.make_node("Min", ["rr", "one"], ["r1"]))
    model.graph.node.insert(1, helper.make_node("Relu", ["c1"], ["rr"]))


@pytest.mark.parametrize(
    "fault",
    [transposed_kernel, swapped_filters, permuted_dense, dropped_bias, smaller_epsilon, bounded_activation],
    ids=lambda fault: fault.__name__,
)
def test_a_planted_fault_is_caught_after_an_untrained_softmax(model: onnx.ModelProto, fault: object) -> None:
    wrong = copy_of(model)
    fault(wrong)  # type: ignore[operator]
    verification = verify_rewrite(probe_of(model), wrong)
    assert not verification.equivalent
    assert verification.max_rel_error > verification.tolerance


def test_the_outputs_of_an_untrained_softmax_alone_would_hide_the_fault(model: onnx.ModelProto) -> None:
    wrong = copy_of(model)
    dropped_bias(wrong)
    x = np.random.default_rng(0).standard_normal((2, 3, 12, 12), dtype=np.float32)
    right, left = (ort.InferenceSession(each.SerializeToString()).run(None, {"x": x})[0] for each in (model, wrong))
    assert np.abs(right - left).max() < 1e-5


def test_a_rewrite_that_loses_an_output_is_refused(model: onnx.ModelProto) -> None:
    wrong = copy_of(model)
    wrong.graph.node[-1].output[0] = "z"
    with pytest.raises(RuntimeCheckError, match="lacks y"):
        verify_rewrite(probe_of(model), wrong)


def test_a_rewrite_that_hides_the_values_before_the_softmax_is_refused(model: onnx.ModelProto) -> None:
    wrong = copy_of(model)
    wrong.graph.node[-2].output[0] = wrong.graph.node[-1].input[0] = "renamed"
    with pytest.raises(RuntimeCheckError, match="lacks logits"):
        verify_rewrite(probe_of(model), wrong)


def test_only_what_changed_is_run_again(model: onnx.ModelProto) -> None:
    wrong = copy_of(model)
    dropped_bias(wrong)
    region = changed_region(model, wrong, ["logits"])
    assert region.border == ("f",)
    assert set(region.compared) == {"y", "logits"}


def test_tensors_that_follow_from_one_another_are_not_given_apart(model: onnx.ModelProto) -> None:
    """A rewrite may use that r1 is the Relu of c1, so the two must not be shuffled independently."""
    wrong = copy_of(model)
    wrong.graph.node.insert(2, helper.make_node("Sub", ["r1", "c1"], ["negative"]))
    wrong.graph.node.insert(3, helper.make_node("Add", ["negative", "c1"], ["again"]))
    next(node for node in wrong.graph.node if node.output[0] == "c2").input[0] = "again"
    assert changed_region(model, wrong).border == ("c1",)
    assert verify_rewrite(probe_of(model), wrong).equivalent


def test_nothing_is_said_of_values_that_are_not_finite(model: onnx.ModelProto) -> None:
    assign(model, "d", np.full(1000, np.inf, np.float32))
    wrong = copy_of(model)
    dropped_bias(wrong)
    with pytest.raises(RuntimeCheckError, match="not finite"):
        verify_rewrite(probe_of(model), wrong)


def test_another_shape_or_type_is_no_small_error(model: onnx.ModelProto) -> None:
    wrong = copy_of(model)
    wrong.graph.node[-1].output[0] = "narrow"
    wrong.graph.node.append(helper.make_node("Cast", ["narrow"], ["y"], to=TensorProto.DOUBLE))
    wrong.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    assert verify_rewrite(probe_of(model), wrong).failed == ("y",)

"""Folding per-channel arithmetic changes no output, and is left alone where it would."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnnlint.conversion.constants import Constants
from cnnlint.conversion.norms import fold_norms
from parity import run_onnx

RNG = np.random.default_rng(0)


def floats(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.uniform(0.5, 1.5, shape).astype(dtype) * np.where(RNG.random(shape) < 0.5, -1, 1).astype(dtype)


def model(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shape: list[int], dtype: int = 1
) -> onnx.ModelProto:
    last = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(last, dtype, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(proto, strict_mode=True)


def folded(proto: onnx.ModelProto) -> tuple[list[str], float]:
    """Return the operators left after folding, and the largest relative error that it brought."""
    shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(proto.graph.input[0].type.tensor_type.elem_type)
    inputs = [np.random.default_rng(1).normal(size=shape).astype(dtype)]
    before = run_onnx(proto, inputs)[0]
    constants = Constants(proto.graph, {}, {})
    constants.fold()
    fold_norms(constants)
    constants.write()
    onnx.checker.check_model(proto, full_check=True)
    error = np.abs(run_onnx(proto, inputs)[0] - before).max() / np.abs(before).max()
    return [node.op_type for node in proto.graph.node], float(error)


CONVOLUTIONS = {
    "plain": ("Conv", (4, 3, 3, 3), {}, 4, 2),
    "grouped": ("Conv", (6, 1, 3, 3), {"group": 3}, 6, 2),
    "one-dimensional": ("Conv", (4, 3, 3), {}, 4, 1),
    "three-dimensional": ("Conv", (4, 3, 2, 2, 2), {}, 4, 3),
    "transposed": ("ConvTranspose", (3, 5, 2, 2), {"strides": [2, 2]}, 5, 2),
    "transposed grouped": ("ConvTranspose", (3, 2, 2, 2), {"group": 3}, 6, 2),
}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_scale_and_shift_become_part_of_a_convolution(kind: str, bias: bool) -> None:
    operator, shape, attributes, filters, rank = CONVOLUTIONS[kind]
    ones = (1,) * rank
    constants = {"w": floats(*shape), "s": floats(1, filters, *ones), "t": floats(filters, *ones)}
    inputs = ["x", "w"]
    if bias:
        constants["b"] = floats(filters)
        inputs.append("b")
    nodes = [
        helper.make_node(operator, inputs, ["c"], **attributes),
        helper.make_node("Mul", ["c", "s"], ["m"]),
        helper.make_node("Add", ["t", "m"], ["y"]),
    ]
    left, error = folded(model(nodes, constants, [2, 3, *(6,) * rank]))
    assert left == [operator]
    assert error < 1e-6


def test_a_batch_normalization_becomes_part_of_its_convolution() -> None:
    constants = {"w": floats(4, 3, 3, 3), "v": np.abs(floats(4))} | {name: floats(4) for name in ("g", "b", "m")}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["y"], epsilon=1e-2),
    ]
    left, error = folded(model(nodes, constants, [2, 3, 6, 6]))
    assert left == ["Conv"]
    assert error < 1e-6


def test_a_scale_becomes_part_of_a_matrix_product() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Mul", ["p", "s"], ["y"])]
    left, error = folded(model(nodes, {"w": floats(5, 4), "s": floats(4)}, [2, 5]))
    assert left == ["MatMul"]
    assert error < 1e-6


def test_subtraction_of_a_constant_is_a_shift_and_from_a_constant_is_not() -> None:
    constants = {"w": floats(4, 3, 3, 3), "t": floats(4, 1, 1)}
    convolution = helper.make_node("Conv", ["x", "w"], ["c"])
    shift = model([convolution, helper.make_node("Sub", ["c", "t"], ["y"])], constants, [2, 3, 6, 6])
    mirrored = model([convolution, helper.make_node("Sub", ["t", "c"], ["y"])], constants, [2, 3, 6, 6])
    assert folded(shift)[0] == ["Conv"]
    assert folded(mirrored)[0] == ["Conv", "Sub"]


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 4, 1), (4,), (2, 4, 1, 1), (4, 4, 4), (1, 1, 4, 1, 1)],
    ids=["rows", "columns", "samples", "map", "rank"],
)
def test_arithmetic_along_another_axis_than_the_channels_stays(shape: tuple[int, ...]) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Mul", ["c", "s"], ["y"])]
    left, error = folded(model(nodes, {"w": floats(4, 3, 3, 3), "s": floats(*shape)}, [2, 3, 6, 6]))
    assert left == ["Conv", "Mul"]
    assert error == 0.0


def test_the_sum_of_a_hard_sigmoid_stays_before_its_clip() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["h"]),
        helper.make_node("Add", ["h", "three"], ["s"]),
        helper.make_node("Clip", ["s", "zero", "six"], ["c"]),
        helper.make_node("Mul", ["c", "sixth"], ["y"]),
    ]
    numbers = {"three": 3.0, "zero": 0.0, "six": 6.0, "sixth": 1 / 6}
    constants = {name: np.float32(value).reshape(()) for name, value in numbers.items()}
    for shape in [(), (1,), (1, 1, 1, 1)]:
        constants["three"] = np.full(shape, 3, np.float32)
        kernel = floats(4, 3, 1, 1)
        kinds, _ = folded(model(nodes, {**constants, "kernel": kernel}, [2, 3, 5, 5]))
        assert kinds == ["Conv", "Add", "Clip", "Mul"]


def test_a_shared_kernel_is_not_changed_for_one_of_its_users() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Mul", ["c", "s"], ["m"]),
        helper.make_node("Conv", ["x", "w"], ["d"]),
        helper.make_node("Add", ["m", "d"], ["y"]),
    ]
    left, error = folded(model(nodes, {"w": floats(4, 3, 3, 3), "s": floats(4, 1, 1)}, [2, 3, 6, 6]))
    assert left == ["Conv", "Mul", "Conv", "Add"]
    assert error == 0.0


def test_a_convolution_that_something_else_reads_keeps_its_output() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Mul", ["c", "s"], ["m"]),
        helper.make_node("Add", ["m", "c"], ["y"]),
    ]
    left, error = folded(model(nodes, {"w": floats(4, 3, 3, 3), "s": floats(4, 1, 1)}, [2, 3, 6, 6]))
    assert left == ["Conv", "Mul", "Add"]
    assert error == 0.0


def test_a_bias_that_two_convolutions_share_is_copied_and_not_changed() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"]),
        helper.make_node("Mul", ["c", "s"], ["m"]),
        helper.make_node("Conv", ["x", "v", "b"], ["d"]),
        helper.make_node("Add", ["m", "d"], ["y"]),
    ]
    constants = {"w": floats(4, 3, 3, 3), "v": floats(4, 3, 3, 3), "b": floats(4), "s": floats(4, 1, 1)}
    left, error = folded(model(nodes, constants, [2, 3, 6, 6]))
    assert left == ["Conv", "Conv", "Add"]
    assert error < 1e-6


def test_half_precision_is_left_alone() -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Mul", ["c", "s"], ["y"])]
    constants = {"w": floats(4, 3, 3, 3, dtype="float16"), "s": floats(4, 1, 1, dtype="float16")}
    left, _ = folded(model(nodes, constants, [2, 3, 6, 6], TensorProto.FLOAT16))
    assert left == ["Conv", "Mul"]

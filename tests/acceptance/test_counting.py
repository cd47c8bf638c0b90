"""Counts are exact, or said to be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from acceptance.command import cnnlint, lint_json, summary_json
from acceptance.nets import CONV, array, model, node, value, write

VECTOR = (value("x", [1, 16]),)


MAP = [value("y", [1, 4, "rows", "columns"])]
"""What a convolution of `CONV` makes, declared as a valid file declares it."""


def count(tmp_path: Path, net: onnx.ModelProto) -> dict[str, Any]:
    (found,) = summary_json(write(tmp_path / "net.onnx", net))
    assert found["error"] is None
    return found


def test_a_weight_that_two_layers_use_counts_once_through_identity_and_cast(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", "one", pads=[1, 1, 1, 1]),
        node("Relu", "a", "b", "relu"),
        node("Identity", "w", "same"),
        node("Cast", "same", "cast", to=TensorProto.FLOAT),
        node("Conv", "b cast", "y", "two", pads=[1, 1, 1, 1]),
    ]
    found = count(tmp_path, model(nodes, [array("w", 3, 3, 3, 3)]))
    assert (found["parameters"], found["weight_bytes"]) == (81, 4 * 81)
    assert found["macs"] == 2 * 8 * 8 * 81


@pytest.mark.parametrize(
    "way",
    [
        [node("Transpose", "w", "tied", perm=[1, 0])],
        [node("Reshape", "w shape", "flat"), node("Reshape", "flat turned", "tied")],
        [node("Unsqueeze", "w front", "row"), node("Squeeze", "row front", "back"), node("Transpose", "back", "tied")],
    ],
)
def test_a_weight_that_is_tied_through_its_shape_counts_once(tmp_path: Path, way: Sequence[onnx.NodeProto]) -> None:
    nodes = [node("MatMul", "x w", "a", "one"), node("Relu", "a", "b"), *way, node("MatMul", "b tied", "y", "two")]
    helpers = [
        numpy_helper.from_array(np.array(numbers, np.int64), name)
        for name, numbers in (("shape", [-1]), ("turned", [5, 16]), ("front", [0]))
    ]
    found = count(tmp_path, model(nodes, [array("w", 16, 5), *helpers], inputs=VECTOR))
    assert (found["parameters"], found["macs"]) == (80, 160)


def test_what_both_branches_of_an_if_hold_is_counted_and_its_cost_is_unknown(tmp_path: Path) -> None:
    branches = [
        helper.make_graph([node("Conv", f"x {name}", "out")], name, [], [value("out", None)], [array(name, 4, 3, 3, 3)])
        for name in ("left", "right")
    ]
    choice = node("If", "which", "y", "choice", then_branch=branches[0], else_branch=branches[1])
    inputs = [value("x", [1, 3, 8, 8]), value("which", [], TensorProto.BOOL)]
    found = count(tmp_path, model([choice], [], inputs=inputs, outputs=[value("y", [1, 4, 6, 6])]))
    assert (found["parameters"], found["macs"], found["peak_activation_bytes"]) == (2 * 108, None, None)
    done = cnnlint(tmp_path / "net.onnx", "--isolated", "--static")
    assert "216 parameters · unknown MACs" in done.stdout
    assert "there is no convolution" not in done.stdout, "there are two, inside"


def test_what_a_loop_holds_is_counted(tmp_path: Path) -> None:
    body = helper.make_graph(
        [node("Conv", "state w", "next", pads=[1, 1, 1, 1]), node("Identity", "on", "still")],
        "body",
        [value("step", [], TensorProto.INT64), value("on", [], TensorProto.BOOL), value("state", [1, 3, 8, 8])],
        [value("still", [], TensorProto.BOOL), value("next", [1, 3, 8, 8])],
        [array("w", 3, 3, 3, 3)],
    )
    true = numpy_helper.from_array(np.array(True), "true")
    inputs = [value("x", [1, 3, 8, 8]), value("times", [], TensorProto.INT64)]
    found = count(tmp_path, model([node("Loop", "times true x", "y", "loop", body=body)], [true], inputs=inputs))
    assert (found["parameters"], found["macs"]) == (81, None)


def test_functions_are_counted_for_every_call(tmp_path: Path) -> None:
    inside = [node("Conv", "X W", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "Y")]
    block = helper.make_function("local", "Block", ["X", "W"], ["Y"], inside, [helper.make_opsetid("", 17)])
    calls = [node("Block", "x one", "a", "first", "local"), node("Block", "a two", "y", "second", "local")]
    net = model(calls, [array("one", 4, 3, 3, 3), array("two", 5, 4, 3, 3)], functions=[block], domains=["local"])
    found = count(tmp_path, net)
    assert (found["parameters"], found["macs"]) == (108 + 180, 64 * (108 + 180))
    assert found["pattern"] == "INPUT -> [CONV -> RELU]*2"


def test_quantized_weights_count_and_their_scales_and_zero_points_do_not(tmp_path: Path) -> None:
    nodes = [node("DequantizeLinear", "w s z", "f", axis=0), node("Conv", "x f", "y", "conv")]
    arrays = [array("w", 4, 3, 3, 3, dtype=np.int8), array("s", 4), array("z", 4, dtype=np.int8)]
    found = count(tmp_path, model(nodes, arrays))
    assert (found["parameters"], found["weight_bytes"], found["macs"]) == (108, 108, 36 * 108)


def test_weights_without_values_count(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([4, 3, 3, 3], np.int64), "shape")
    found = count(tmp_path, model([node("ConstantOfShape", "shape", "w"), CONV], [shape]))
    assert (found["parameters"], found["macs"]) == (108, 36 * 108)


def test_four_bit_weights_take_half_a_byte(tmp_path: Path) -> None:
    packed = helper.make_tensor("w", TensorProto.INT4, [16, 8], np.zeros(128, np.int8))
    nodes = [node("DequantizeLinear", "w s", "f"), node("MatMul", "x f", "y", "dense")]
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "s")
    found = count(tmp_path, model(nodes, [packed, scale], inputs=VECTOR, opset=21))
    assert (found["parameters"], found["weight_bytes"], found["macs"]) == (128, 64, 128)


@pytest.mark.parametrize(
    ("conv", "kernel", "extents", "output", "macs"),
    [
        (node("Conv", "x w", "y"), (8, 4, 3), (4, 20), [8, 18], 18 * 8 * 4 * 3),
        (node("Conv", "x w", "y", group=4), (8, 1, 3, 3), (4, 9, 9), [8, 7, 7], 49 * 8 * 9),
        (node("Conv", "x w", "y", dilations=[2, 2]), (8, 4, 3, 3), (4, 9, 9), [8, 5, 5], 25 * 8 * 4 * 9),
        (node("Conv", "x w", "y"), (2, 4, 3, 3, 3), (4, 5, 5, 5), [2, 3, 3, 3], 27 * 2 * 4 * 27),
        (node("ConvTranspose", "x w", "y", strides=[2, 2]), (4, 6, 4, 4), (4, 8, 8), [6, 18, 18], 64 * 4 * 6 * 16),
    ],
    ids=["1-d", "grouped", "dilated", "3-d", "transposed"],
)
def test_convolutions_of_every_kind_cost_what_they_multiply(
    tmp_path: Path,
    conv: onnx.NodeProto,
    kernel: tuple[int, ...],
    extents: tuple[int, ...],
    output: list[int],
    macs: int,
) -> None:
    found = count(tmp_path, model([conv], [array("w", *kernel)], inputs=[value("x", ["N", *extents])]))
    assert (found["layers"][-1]["output_shape"], found["macs"]) == (output, macs)
    assert found["parameters"] == np.prod(kernel)


def test_an_initializer_that_nothing_uses_is_reported_and_is_no_parameter(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", model([CONV], [array("w", 4, 3, 3, 3), array("unused", 1000)], outputs=MAP))
    (found,) = lint_json(path, "--isolated", "--static")
    assert (found["parameters"], found["weight_bytes"]) == (108, 432)
    (dead,) = found["findings"]
    assert (dead["code"], dead["name"]) == ("EX001", "dead-initializer")
    assert 4000 in dead["evidence"].values()
    assert "4,000 bytes" in dead["message"]


def test_a_budget_on_an_unknown_quantity_fails_with_its_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", model(inputs=[value("x", [1, 3, "height", "width"])], outputs=MAP))
    done = cnnlint(path, "--isolated", "--static", "--max-macs", "1G", "--max-params", "1k")
    assert done.returncode == 1
    assert "MACs per sample cannot be checked because shapes at conv are not known in numbers" in " ".join(
        done.stdout.split()
    )
    assert "1 of 2 budgets kept" in done.stdout
    known = cnnlint(path, "--isolated", "--static", "--max-macs", "1G", "--input", "x=1x3x8x8")
    assert known.returncode == 0
    assert "3,888 of 1,000,000,000" in known.stdout

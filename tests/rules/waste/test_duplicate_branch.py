"""WA003: branches that repeat others, by the same weights or by copies of them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cnnlint.frontends.notation import to_onnx
from cnnlint.testing import findings
from cnnlint_rules.waste.duplicate_branch import DuplicateBranch

BRANCH = "CONV 4 1x1 -> RELU -> CONV 4 3x3"
NET = f"INPUT 3x8x8 -> CONV 4 3x3 -> CAT[{BRANCH} | {BRANCH}] -> GAP -> FC 10"


def copied(*names: tuple[str, str]) -> onnx.ModelProto:
    """Return the network with weights of the first of each pair of layers given to the second."""
    model = to_onnx(NET)
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    for source, target in names:
        for mine, theirs in zip(nodes[source].input[1:], nodes[target].input[1:], strict=True):
            array = numpy_helper.to_array(arrays[mine])
            arrays[theirs].CopyFrom(numpy_helper.from_array(np.array(array), theirs))
    return model


def test_a_branch_of_copied_weights_is_one_finding_with_what_it_costs():
    (found,) = findings(DuplicateBranch, copied(("conv2", "conv4"), ("conv3", "conv5")))
    assert found.layers[:2] == ("conv4", "conv2")
    assert found.evidence["layers"] == 3
    # 8 × 8 positions of 4 × 4 weights, and of 4 × 4 × 9; kernels and biases
    assert found.savings is not None
    assert (found.savings.macs, found.savings.parameters) == (64 * 16 + 64 * 144, 20 + 148)


def test_what_follows_a_difference_is_no_duplicate():
    (found,) = findings(DuplicateBranch, copied(("conv2", "conv4")))
    assert found.evidence["layers"] == 2
    assert not findings(DuplicateBranch, copied(("conv3", "conv5")))


def test_branches_that_differ_are_left_alone():
    assert not findings(DuplicateBranch, to_onnx(NET))


def test_one_element_makes_a_difference():
    model = copied(("conv2", "conv4"))
    node = next(node for node in model.graph.node if node.name == "conv4")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    array = np.array(numpy_helper.to_array(tensor))
    array.reshape(-1)[-1] += 1
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    assert not findings(DuplicateBranch, model)


@pytest.mark.parametrize(
    ("second", "count"),
    [("MaxPool <kernel_shape = [2, 2]>", 1), ("MaxPool <kernel_shape = [3, 3], pads = [1, 1, 0, 0]>", 0)],
)
def test_poolings_of_one_input_are_compared_by_their_settings(second, count):
    text = f"""<ir_version: 8, opset_import: ["" : 15]> net (float[1, 2, 8, 8] x) => (float[1, 2, 7, 7] y) {{
        a = MaxPool <kernel_shape = [2, 2]> (x)
        b = {second} (x)
        c = Sigmoid (b)
        y = Mul (a, c)
    }}"""
    assert len(findings(DuplicateBranch, text)) == count


def test_activations_that_repeat_are_how_blocks_are_written():
    text = """<ir_version: 8, opset_import: ["" : 15]> net (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y) {
        a = Relu (x) b = Relu (x) c = Sigmoid (b) y = Mul (a, c) }"""
    assert not findings(DuplicateBranch, text)

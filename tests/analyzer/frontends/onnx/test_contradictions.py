"""Operators that contradict their definition: kept as opaque ones with the reason, the rest of the network linted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from cnnlint import limits
from cnnlint.api.linting import lint, summarize
from cnnlint.errors import ModelError
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.onnx import strip
from cnnlint.frontends.onnx.inlining import expansion
from cnnlint.frontends.onnx.skeleton import read_bytes
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Opaque

Array = np.ndarray[Any, Any]
INT64_MAX = 2**63 - 1


def model(
    nodes: Sequence[NodeProto],
    shape: Sequence[int | str] = (1, 4, 8, 8),
    *,
    functions: Sequence[Any] = (),
    **constants: Array,
) -> ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("l", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions))


def raised(proto: ModelProto) -> Graph:
    return load_onnx_bytes(proto.SerializeToString(), "model.onnx")


def ints(*numbers: int) -> Array:
    return np.array(numbers, dtype=np.int64)


KERNEL = np.ones((4, 4, 3, 3), dtype=np.float32)
NAN = np.array([1, 1, float("nan"), 2], dtype=np.float32)

CASES: dict[str, tuple[NodeProto, dict[str, Array], str]] = {
    "stride 0": (helper.make_node("Conv", ["x", "w"], ["z"], strides=[0, 1]), {"w": KERNEL}, "its strides are 0 × 1"),
    "dilation 0": (helper.make_node("Conv", ["x", "w"], ["z"], dilations=[1, 0]), {"w": KERNEL}, "dilations are 1 × 0"),
    "strides of another rank": (helper.make_node("Conv", ["x", "w"], ["z"], strides=[1]), {"w": KERNEL}, "2 axes"),
    "pads of another rank": (helper.make_node("Conv", ["x", "w"], ["z"], pads=[1] * 6), {"w": KERNEL}, "6 pads for 2"),
    "no groups": (helper.make_node("Conv", ["x", "w"], ["z"], group=0), {"w": KERNEL}, "number of groups is 0"),
    "groups that do not divide": (helper.make_node("Conv", ["x", "w"], ["z"], group=3), {"w": KERNEL}, "3 groups"),
    "a kernel of another rank": (
        helper.make_node("Conv", ["x", "w"], ["z"]), {"w": KERNEL[..., 0]}, "its kernel has 1 axes, but",
    ),
    "a kernel without taps": (
        helper.make_node("Conv", ["x", "w"], ["z"]), {"w": np.ones((4, 4, 0, 3), np.float32)}, "its kernel is 0",
    ),
    "pool stride 0": (helper.make_node("MaxPool", ["x"], ["z"], kernel_shape=[2, 2], strides=[0, 0]), {}, "strides"),
    "pool of another rank": (helper.make_node("MaxPool", ["x"], ["z"], kernel_shape=[2]), {}, "its kernel has 1 axes"),
    "block size 0": (helper.make_node("DepthToSpace", ["x"], ["z"], blocksize=0), {}, "block size is 0"),
    "blocks that do not fit": (helper.make_node("SpaceToDepth", ["x"], ["z"], blocksize=3), {}, "3 do not fit"),
    "a transpose that is none": (helper.make_node("Transpose", ["x"], ["z"], perm=[0, 1, 1, 5]), {}, "is not a"),
    "a softmax of no axis": (helper.make_node("Softmax", ["x"], ["z"], axis=7), {}, "there is no axis 7"),
    "a mean over no axis": (helper.make_node("ReduceMean", ["x"], ["z"], axes=[9]), {}, "there is no axis 9"),
    "a flatten beyond": (helper.make_node("Flatten", ["x"], ["z"], axis=6), {}, "there is no axis 6"),
    "a split of no axis": (helper.make_node("Split", ["x"], ["z", "q"], axis=4), {}, "there is no axis 4"),
    "a split of other parts": (helper.make_node("Split", ["x", "s"], ["z", "q"]), {"s": ints(1)}, "1 sizes for"),
    "a slice of step 0": (
        helper.make_node("Slice", ["x", "a", "b", "c", "s"], ["z"]),
        {"a": ints(0), "b": ints(4), "c": ints(2), "s": ints(0)}, "or a step is 0",
    ),
    "a slice of no axis": (
        helper.make_node("Slice", ["x", "a", "b", "c"], ["z"]), {"a": ints(0), "b": ints(4), "c": ints(8)}, "no axis 8",
    ),
    "pads for other axes": (helper.make_node("Pad", ["x", "p"], ["z"]), {"p": ints(1, 1, 1)}, "3 pads for 4 axes"),
    "repeats for other axes": (helper.make_node("Tile", ["x", "p"], ["z"]), {"p": ints(1, 2)}, "2 repeats for 4 axes"),
    "an axis added twice": (helper.make_node("Unsqueeze", ["x", "p"], ["z"]), {"p": ints(1, 1)}, "cannot add the axes"),
    "a scale of NaN": (helper.make_node("Resize", ["x", "", "s"], ["z"]), {"s": NAN}, "scales an axis by nan"),
    "B of three axes": (
        helper.make_node("Gemm", ["x", "w"], ["z"]), {"w": np.ones((2, 3, 4), np.float32)}, "its B has 3 axes",
    ),
    "an equation of three": (
        helper.make_node("Einsum", ["x", "w"], ["z"], equation="ab,bc,cd->ad"), {"w": np.ones((2, 3), np.float32)},
        "its equation does not fit",
    ),
    "no inputs": (helper.make_node("Concat", [], ["z"], axis=0), {}, "it has no inputs"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_operator_that_contradicts_its_definition_is_opaque_and_says_why(case: str) -> None:
    node, constants, reason = CASES[case]
    proto = model(
        [node, helper.make_node("Relu", ["z"], ["r"]), helper.make_node("Sigmoid", ["r"], ["y"])], **constants
    )
    opaque, relu, sigmoid = raised(proto).layers
    assert isinstance(opaque, Opaque)
    assert reason in opaque.reason
    assert (relu.kind, sigmoid.kind) == ("Activation", "Activation")
    report = lint(proto, static=True, isolated=True).models[0]
    assert report.error is None
    assert any(reason in note for note in report.notes)
    summary = summarize(proto).models[0]
    assert summary.error is None
    assert summary.macs is None


def test_an_output_that_an_operator_does_not_have_is_opaque() -> None:
    graph = raised(model([helper.make_node("Relu", ["x"], ["a", "b"]), helper.make_node("Add", ["a", "b"], ["y"])]))
    assert [layer.kind for layer in graph.layers] == ["Activation", "Opaque", "Add"]


def test_extents_beyond_64_bits_are_unknown_and_so_are_the_macs() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2**62, 2**62])
    graph = raised(model([node], w=KERNEL))
    assert graph.layers[0].output.shape == (1, 4, None, None)
    wide = raised(model([helper.make_node("Relu", ["x"], ["y"])], [1, *[2**62] * 20]))
    assert wide.outputs[0].sample_bytes is None
    assert summarize(model([helper.make_node("Relu", ["x"], ["y"])], [1, *[2**62] * 20])).models[0].error is None


def doubling(op: str, rounds: int, **attributes: int) -> list[NodeProto]:
    names = ["c", *(f"k{index}" for index in range(rounds))]
    nodes = [helper.make_node(op, [a, a], [b], **attributes) for a, b in pairwise(names)]
    return [*nodes, helper.make_node("Reshape", ["x", names[-1]], ["y"])]


wraps = pytest.mark.skipif(
    onnx.__version__.startswith("1.18."), reason="its own shape inference, which is asked, wraps around"
)


@wraps
def test_shape_arithmetic_is_spelled_out_up_to_the_limit() -> None:
    def rank(rounds: int) -> int | None:
        return raised(model(doubling("Concat", rounds, axis=0), c=ints(1, 1))).layers[-1].output.rank

    assert rank(5) == 64 == limits.MAX_RANK
    assert rank(6) is None
    assert rank(40) is None


def test_onnx_is_told_not_to_follow_shapes_that_grow_beyond_the_limit() -> None:
    small = read_bytes(model(doubling("Concat", 5, axis=0), c=ints(1, 1)).SerializeToString())
    assert strip.elements_followed(small.graph.nodes, small.graph) < 1000
    large = read_bytes(model(doubling("Concat", 40, axis=0), c=ints(1, 1)).SerializeToString())
    assert strip.elements_followed(large.graph.nodes, large.graph) > limits.MAX_FOLDED_IN_ALL


@wraps
def test_products_of_constants_beyond_64_bits_are_unknown() -> None:
    shape = raised(model(doubling("Mul", 30), c=ints(3, 7))).layers[-1].output.shape
    assert shape is not None
    assert [dim for dim in shape if isinstance(dim, int)] == []
    assert raised(model(doubling("Mul", 1), c=ints(8, 4))).layers[-1].output.shape == (64, 16)


@pytest.mark.parametrize("extent", [2**28, 2**40, INT64_MAX])
def test_a_reshape_to_a_rank_that_no_tensor_has_is_unknown(extent: int) -> None:
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["r"]), helper.make_node("Reshape", ["x", "r"], ["y"])]
    assert raised(model(nodes, s=ints(extent))).layers[-1].output.shape is None


def function(name: str, nodes: Sequence[NodeProto]) -> Any:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("l", 1)]
    return helper.make_function("l", name, ["a"], ["b"], list(nodes), opsets)


def call(name: str, source: str, target: str) -> NodeProto:
    return helper.make_node(name, [source], [target], domain="l")


def laughs(levels: int) -> list[Any]:
    inner = [function(f"f{i}", [call(f"f{i + 1}", "a", "t"), call(f"f{i + 1}", "t", "b")]) for i in range(levels)]
    return [*inner, function(f"f{levels}", [helper.make_node("Relu", ["a"], ["b"])])]


def test_functions_that_call_functions_twice_are_inlined_with_names_of_their_own() -> None:
    graph = raised(model([call("f0", "x", "y")], functions=laughs(3)))
    assert [layer.kind for layer in graph.layers] == ["Activation"] * 8
    names = [layer.output.name for layer in graph.layers]
    assert len(set(names)) == 8


def test_calls_that_come_to_more_than_the_limit_are_refused_by_name() -> None:
    proto = model([call("f0", "x", "y")], functions=laughs(40))
    record = read_bytes(proto.SerializeToString())
    assert expansion(record.graph.nodes, record) > limits.MAX_INLINED
    with pytest.raises(ModelError, match=r"more than 262,144 names and numbers .* which is cnnlint's limit"):
        raised(proto)


def test_calls_in_a_subgraph_that_come_to_more_than_the_limit_are_left_to_nobody() -> None:
    body: GraphProto = helper.make_graph(
        [call("f0", "x", "o")], "b", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    assert {attribute.type for attribute in node.attribute} == {AttributeProto.GRAPH}
    proto = model([node], functions=laughs(40), c=np.array(True))
    record = read_bytes(proto.SerializeToString())
    assert strip.infer(record, record.graph.nodes) == {}
    assert isinstance(raised(proto).layers[0], Opaque)


def test_calls_may_be_as_deep_as_a_writer_likes() -> None:
    chain = [function(f"f{index}", [call(f"f{index + 1}", "a", "b")]) for index in range(200)]
    chain.append(function("f200", [helper.make_node("Relu", ["a"], ["b"])]))
    assert [layer.kind for layer in raised(model([call("f0", "x", "y")], functions=chain)).layers] == ["Activation"]


def test_recursive_functions_are_refused_even_from_a_subgraph() -> None:
    circle = [function("f0", [call("f1", "a", "b")]), function("f1", [call("f0", "a", "b")])]
    with pytest.raises(ModelError, match="its functions are recursive"):
        raised(model([call("f0", "x", "y")], functions=circle))


def test_a_constant_without_an_output_in_a_branch_is_read_by_nobody() -> None:
    value = helper.make_tensor_value_info("a", TensorProto.FLOAT, [2])
    constant = helper.make_node("Constant", [], [], value=helper.make_tensor("c", TensorProto.FLOAT, [2], [1, 2]))
    branch = helper.make_graph([constant, helper.make_node("Relu", ["x"], ["a"])], "branch", [], [value])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)
    given = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
    ]
    graph = helper.make_graph([node], "net", given, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])
    raised_graph = load_onnx_bytes(helper.make_model(graph, ir_version=8).SerializeToString())
    assert [layer.parameters for layer in raised_graph.layers] == [0]

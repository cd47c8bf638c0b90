"""What rules about the file are told of it."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import cast

import onnx.parser
import pytest
from onnx import helper

from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.onnx.file import FileContext
from cnnlint.frontends.onnx.skeleton import read_bytes


def file_of(text: str) -> FileContext:
    graph = load_onnx_bytes(onnx.parser.parse_model(text).SerializeToString())
    return cast("FileContext", graph.file)


def test_nodes_that_call_an_operator_alike_are_one_call() -> None:
    file = file_of(
        """<ir_version: 8, opset_import: ["": 15]> net (float[1, 2] x) => (float[1, 2] y)
        { a = Relu (x) b = Relu (a) c = Flatten <axis = 1> (b) y = Flatten <axis = 0> (c) }"""
    )
    assert [(call.nodes[0].op_type, len(call.nodes)) for call in file.calls] == [("Relu", 2), ("Flatten", 2)]


def test_domains_and_versions_outside_the_standard_are_counted_and_not_judged() -> None:
    file = file_of(
        """<ir_version: 8, opset_import: ["": 15, "com.microsoft": 1]> net (float[1, 2] x) => (float[1, 2] y)
        { a = com.microsoft.Gelu (x) y = Relu (a) }"""
    )
    assert dict(file.unchecked) == {"com.microsoft": 1}
    assert [call.nodes[0].op_type for call in file.calls] == ["Relu"]


def test_a_name_of_a_branch_is_gone_after_it() -> None:
    file = file_of(
        """<ir_version: 8, opset_import: ["": 15]> net (bool flag, float[2] x) => (float[2] y, float[2] z)
        {
            y = If (flag) <then_branch = yes () => (float[2] a) { a = Relu (x) },
                           else_branch = no () => (float[2] a) { a = Abs (x) }>
            z = If (flag) <then_branch = yes () => (float[2] b) { b = Relu (a) },
                           else_branch = no () => (float[2] a) { a = Abs (x) }>
        }"""
    )
    assert list(file.undefined) == [("b", "a")]
    assert not file.repeated


@pytest.mark.parametrize("nodes", [4_000])
def test_the_walk_is_linear_in_branches_of_a_large_graph(nodes: int) -> None:
    def seconds(count: int) -> float:
        yes = helper.make_graph([helper.make_node("Relu", ["x"], ["a"])], "yes", [], [_float("a")])
        body = [helper.make_node("If", ["flag"], [f"y{i}"], then_branch=yes, else_branch=yes) for i in range(count)]
        graph = helper.make_graph(
            body, "net", [_float("x"), helper.make_tensor_value_info("flag", 9, [])], [_float("y0")]
        )
        record = read_bytes(helper.make_model(graph, ir_version=8).SerializeToString())
        return _cheapest(lambda: FileContext(record).repeated)

    assert seconds(2 * nodes) < 4 * seconds(nodes) + 0.05


def _float(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, 1, [2])


def _cheapest(call: Callable[[], object]) -> float:
    found = list[float]()
    for _ in range(3):
        begun = process_time()
        call()
        found.append(process_time() - begun)
    return min(found)

"""What rules about the file are told of it."""

from __future__ import annotations

from typing import cast

import onnx.parser
import pytest

from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.onnx.file import FileContext


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


@pytest.mark.parametrize(
    ("reduction", "shape"),
    [
        ("ReduceMean <axes = [0, 2], keepdims = 0> (w)", "float[3]"),
        ("ReduceMean <axes = [-1], keepdims = 1> (w)", "float[2, 3, 1]"),
        ("ReduceSum <keepdims = 0> (w)", "float"),
        ("ReduceSum <keepdims = 0, noop_with_empty_axes = 1> (w)", "float[2, 3, 4]"),
    ],
)
def test_what_is_reduced_of_weights_has_the_shape_that_onnx_gives_it(reduction: str, shape: str) -> None:
    numbers = ", ".join(map(str, range(24)))
    text = f"""<ir_version: 8, opset_import: ["": 13]> net (float[1] x) => ({shape} y)
        <float[2, 3, 4] w = {{{numbers}}}> {{ y = {reduction} }}"""
    onnx.checker.check_model(onnx.parser.parse_model(text), full_check=True)
    assert not file_of(text).contradicted

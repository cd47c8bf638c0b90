"""WA005: pairs that undo each other, held against what onnxruntime computes."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest

from cnnlint.testing import findings, lint, to_graph
from cnnlint_rules.waste.undone_reshape import UndoneReshape

CONSTANTS = """<int64[4] shape = {2, 3, 4, 5}, int64[2] flat = {2, 60}, int64[4] other = {2, 4, 5, 3},
    int64[1] first = {1}, int64[3] tokens = {2, 3, 20}>"""

UNDONE = {
    "transposes": "c = Transpose <perm = [0, 2, 3, 1]> (a) b = Transpose <perm = [0, 3, 1, 2]> (c)",
    "reshapes": "c = Reshape (a, flat) b = Reshape (c, shape)",
    "flatten and reshape": "c = Flatten (a) b = Reshape (c, shape)",
    "unsqueeze and squeeze": "c = Unsqueeze (a, first) b = Squeeze (c, first)",
}
NOT = {
    "a transpose done twice": "c = Transpose <perm = [0, 2, 3, 1]> (a) b = Transpose <perm = [0, 2, 3, 1]> (c)",
    "a reshape of what a transpose moved": "c = Transpose <perm = [0, 2, 3, 1]> (a) b = Reshape (c, shape)",
    "another shape": "c = Reshape (a, tokens) b = Reshape (c, other)",
    "one between": "c = Reshape (a, flat) d = Softmax (c) b = Reshape (d, shape)",
}


def text_of(body: str) -> str:
    return (
        f'<ir_version: 10, opset_import: ["" : 21]> net (float[2, 3, 4, 5] x) => (y) {CONSTANTS}'
        f" {{ a = Relu (x) {body} y = Abs (b) }}"
    )


def is_identity(body: str) -> bool:
    """Return whether onnxruntime computes the same for a and b."""
    model = onnx.parser.parse_model(text_of(body))
    model.graph.output.extend([onnx.helper.make_tensor_value_info(name, 1, None) for name in ("a", "b")])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.random.default_rng(5).normal(size=(2, 3, 4, 5)).astype(np.float32)
    return np.array_equal(*session.run(["a", "b"], {"x": x}))


@pytest.mark.parametrize("name", UNDONE)
def test_a_pair_that_gives_back_its_input_is_found(name):
    assert is_identity(UNDONE[name])
    (hit,) = lint(UndoneReshape(), to_graph(text_of(UNDONE[name]))).hits
    assert [node.outputs for node in hit.where] == [("c",), ("b",)]


@pytest.mark.parametrize("name", NOT)
def test_a_pair_that_changes_its_input_is_left_alone(name):
    assert not is_identity(NOT[name])
    assert not findings(UndoneReshape, text_of(NOT[name]))


def test_a_first_one_that_something_else_reads_stays():
    text = text_of(UNDONE["transposes"]).replace("y = Abs (b)", "y = Abs (b) z = Neg (c)").replace("(y)", "(y, z)")
    (found,) = findings(UndoneReshape, text)
    assert "something else reads that one, which stays" in found.message


def test_transposes_of_axes_of_one_element_are_reshapes_too():
    text = """<ir_version: 8, opset_import: ["" : 15]>
        pooled (float[N, 8, 4, 4] x) => (float[N, 8, 1, 1] y) <int64[4] shape = {0, 8, 1, 1}> {
            a = GlobalAveragePool (x)
            b = Transpose <perm = [0, 2, 3, 1]> (a)
            c = Reshape (b, shape)
            y = Abs (c)
        }"""
    assert len(findings(UndoneReshape, text)) == 1

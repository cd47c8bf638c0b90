"""EX003: transposes around elementwise layers, held against the network without them under onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest

from cnnlint.testing import findings, lint, to_graph
from cnnlint_rules.export.leftover_transposes import LeftoverTransposes

LAST, FIRST = "Transpose <perm = [0, 2, 3, 1]>", "Transpose <perm = [0, 3, 1, 2]>"

GOES = {
    "an activation": (f"t = {LAST} (a) b = Relu (t) c = {FIRST} (b)", "c = Relu (a)", 2),
    "a gate": (f"t = {LAST} (a) b = Sigmoid (t) d = Mul (t, b) c = {FIRST} (d)", "b = Sigmoid (a) c = Mul (a, b)", 2),
    "a sum": (f"t = {LAST} (a) u = {LAST} (z) b = Add (t, u) c = {FIRST} (b)", "c = Add (a, z)", 3),
    "a scale": (f"t = {LAST} (a) b = Mul (t, s) c = {FIRST} (b)", "c = Mul (a, s)", 2),
    "two ends": (
        f"t = {LAST} (a) b = Relu (t) d = {FIRST} (b) e = {FIRST} (b) c = Add (d, e)",
        "d = Relu (a) c = Add (d, d)",
        3,
    ),
}  # fmt: skip
STAYS = {
    "a product of the channels": f"t = {LAST} (a) b = MatMul (t, k) c = {FIRST} (b)",
    "another order": f"t = {LAST} (a) b = Relu (t) c = {LAST} (b)",
    "an output in between": f"t = {LAST} (a) out = Relu (t) c = {FIRST} (out)",
    "something that is not transposed": f"t = {LAST} (a) u = Neg (z) b = Add (t, u) c = {FIRST} (b)",
    "a softmax": f"t = {LAST} (a) b = Softmax (t) c = {FIRST} (b)",
    "nothing in between": f"t = {LAST} (a) c = {FIRST} (t)",
}


def text_of(body: str) -> str:
    out = ", float[1, 4, 4, 4] out" if "out =" in body else ""
    return f"""<ir_version: 10, opset_import: ["" : 21]> net (float[1, 4, 4, 4] x) => (y{out})
        <float s = {{0.5}}, float[4, 4] k = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}}>
        {{ a = Relu (x) z = Neg (x) {body} y = Abs (c) }}"""


def run(body: str) -> np.ndarray:
    session = onnxruntime.InferenceSession(onnx.parser.parse_model(text_of(body)).SerializeToString())
    x = np.random.default_rng(5).normal(size=(1, 4, 4, 4)).astype(np.float32)
    return session.run(["y"], {"x": x})[0]


@pytest.mark.parametrize("name", GOES)
def test_without_the_transposes_that_are_found_the_network_computes_the_same(name):
    body, without, transposes = GOES[name]
    np.testing.assert_array_equal(run(body), run(without))
    (hit,) = lint(LeftoverTransposes(), to_graph(text_of(body))).hits
    assert hit.finding.evidence["transposes"] == transposes
    assert sum(node.op_type == "Transpose" for node in hit.where) == transposes


@pytest.mark.parametrize("name", STAYS)
def test_transposes_that_something_depends_on_are_left_alone(name):
    assert not findings(LeftoverTransposes, text_of(STAYS[name]))


def test_a_part_that_is_made_of_something_else_is_found_not_to_be_transposed():
    body = f"t = {LAST} (a) u = Softmax (z) v = Relu (u) b = Add (t, v) c = {FIRST} (b)"
    assert not findings(LeftoverTransposes, text_of(body))

"""WA004: what no output depends on, held against onnx's own extractor."""

from __future__ import annotations

import onnx
import pytest

from cnnlint.testing import findings, lint, to_graph, to_model
from cnnlint_rules.waste.dead_branch import DeadBranch

NET = """<ir_version: 8, opset_import: ["" : 15]>
    net (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y)
    <float[2, 2, 1, 1] kernel = {{1, 2, 3, 4}}, float[5, 2, 1, 1] wide = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 0}}> {{
        a = Relu (x)
        {body}
        y = Conv (a, kernel)
    }}"""


@pytest.mark.parametrize(
    ("body", "parameters", "macs"),
    [
        ("b = Conv (a, wide) c = Relu (b)", 10, 8 * 8 * 10),
        ("b = Conv (a, kernel)", 0, 8 * 8 * 4),  # the kernel is that of a layer that is needed
        ("b = Sigmoid (a) c, d = Split <axis = 1> (b)", 0, 0),
    ],
)
def test_what_the_extractor_drops_is_found_with_what_it_costs(body, parameters, macs, tmp_path):
    model = to_model(NET.format(body=body))
    (hit,) = lint(DeadBranch(), to_graph(model)).hits
    assert (hit.finding.evidence["parameters"], hit.finding.evidence["macs"]) == (parameters, macs)
    kept = onnx.utils.Extractor(model).extract_model(["x"], ["y"])
    dropped = {node.output[0] for node in model.graph.node} - {node.output[0] for node in kept.graph.node}
    assert {node.outputs[0] for node in hit.where} == dropped
    assert hit.finding.severity == "warning"


def test_an_output_that_is_read_keeps_its_node():
    assert not findings(
        DeadBranch, NET.format(body="b, c = Split <axis = 1> (a)").replace("Conv (a, kernel)", "Relu (c)")
    )


def test_what_a_branch_of_an_if_reads_is_needed():
    text = NET.format(body="b = Neg (a) t = Constant <value = bool {1}> ()").replace(
        "y = Conv (a, kernel)",
        "y = If (t) <then_branch = p () => (float[1, 2, 8, 8] u) { u = Abs (b) },"
        " else_branch = q () => (float[1, 2, 8, 8] v) { v = Neg (b) }>",
    )
    assert not findings(DeadBranch, text)


def test_a_leftover_constant_is_information():
    (found,) = findings(DeadBranch, NET.format(body="b = Constant <value_float = 1.0> ()"))
    assert found.severity == "info"

"""BG001: what is said of a budget that is broken, kept, or cannot be measured."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

import networks
from cnnlint.engine.budget import Budget
from cnnlint.engine.walker import walk
from cnnlint.frontends import load_onnx_bytes
from cnnlint.testing import findings
from cnnlint_rules.budget.over_budget import OverBudget

NET = "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10"
"""448 + 170 parameters."""


def test_a_broken_budget_gives_measured_limit_margin_and_the_top_contributors():
    (found,) = findings(OverBudget, NET, budgets=({"params": 600, "message": "fits the sensor"},))
    assert found.evidence["params"] == 448 + 170
    assert found.evidence["params_limit"] == 600
    assert found.evidence["params_margin"] == -18
    top = [value for name, value in found.evidence.items() if name.startswith("params of ")]
    assert top == [448, 170]
    assert "618 parameters, 18 over the budget of 600 (fits the sensor)" in found.message
    assert found.severity == "error"


def test_each_broken_limit_is_a_finding_of_its_own_with_its_own_identity():
    tight = {"params": 1, "macs": 1, "weight-bytes": 1, "peak-activation-bytes": 1, "layers": 1, "layer-share": "1 %"}
    found = findings(OverBudget, NET, budgets=(tight,))
    assert len(found) == len(tight)
    assert len({finding.places[0].identity for finding in found}) == len(tight)


def test_an_identity_does_not_change_with_the_numbers():
    small, large = (
        findings(
            OverBudget, f"INPUT 3x32x32 -> CONV {filters} 3x3 -> RELU -> GAP -> FC 10", budgets=({"params": limit},)
        )
        for filters, limit in ((16, 600), (64, 100))
    )
    assert small[0].places[0].identity == large[0].places[0].identity
    assert small[0].message != large[0].message


def test_a_limit_that_is_just_met_is_kept_and_says_so_as_a_near_miss():
    graph = networks.graph_of(NET)
    assert walk(graph, [OverBudget()], near_misses=True).near_misses == {}
    kept = walk(graph, [OverBudget(budgets=(Budget(params=618),))], near_misses=True)
    assert kept.findings == ()
    assert kept.near_misses["BG001"][0].reason == "618 parameters, of at most 618"
    assert len(findings(OverBudget, NET, budgets=({"params": 617},))) == 1


@pytest.mark.parametrize("amount", ["1 T", 10**18])
def test_what_cannot_be_measured_is_over_budget_however_large_it_is(amount):
    graph = helper.make_graph(
        [helper.make_node("Mystery", ["x"], ["y"], domain="com.acme", name="mystery")],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    walked = walk(load_onnx_bytes(model.SerializeToString()), [OverBudget(budgets=(Budget(macs=amount),))])
    (found,) = walked.findings
    assert "MACs per sample cannot be checked because mystery is opaque" in found.message
    assert found.severity == "error"


@pytest.mark.parametrize(
    ("shape", "perm", "option"),
    [
        (["N", 3, "H", "W"], None, "--input x=1x3x224x224"),
        (["N", "H", "W", 3], [0, 3, 1, 2], "--input x=1x224x224x3"),
    ],
)
def test_an_open_input_is_told_with_the_option_that_closes_it_in_the_order_of_the_file(shape, perm, option):
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=perm)] if perm else []
    nodes.append(helper.make_node("Conv", [nodes[-1].output[0] if nodes else "x", "w"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, "h", "w"])],
        [helper.make_tensor("w", TensorProto.FLOAT, [4, 3, 3, 3], [0.0] * 108)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    raised = load_onnx_bytes(model.SerializeToString())
    (found,) = walk(raised, [OverBudget(budgets=(Budget(macs="1 G"),))]).findings
    assert found.suggestion == f"Say how large the input is: {option}"
    name, _, extents = option.removeprefix("--input ").partition("=")
    closed = load_onnx_bytes(model.SerializeToString(), inputs={name: tuple(map(int, extents.split("x")))})
    assert walk(closed, [OverBudget(budgets=(Budget(macs="1 G"),))]).findings == ()

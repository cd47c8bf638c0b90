from __future__ import annotations

import pytest

from cnnlint_rules.activation.redundant_activation import RedundantActivation
from cnnlint_rules.activation.stacked_activation import StackedActivation


def network(between: str) -> str:
    return f"INPUT 3x16x16 -> CONV 16 3x3 -> {between} -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"


PAIRS = ["RELU -> TANH", "TANH -> TANH", "SIGMOID -> SIGMOID", "GELU -> RELU", "TANH -> RELU"]

SPARE = ["RELU -> RELU", "RELU -> LEAKYRELU 0.1", "LEAKYRELU 0.1 -> RELU", "SIGMOID -> RELU6"]

APART = [
    "RELU -> POOL 2 -> TANH",
    "RELU -> BN -> TANH",
    "GATE[GAP keep -> RELU -> SIGMOID]",
    "RELU -> CAT[ID | TANH]",
    "RELU",
]


@pytest.mark.parametrize("between", PAIRS)
def test_two_functions_that_both_do_something_are_told(lint, between):
    (found,) = lint(StackedActivation(), network(between)).findings
    assert (found.severity, len(found.layers)) == ("warning", 2)


@pytest.mark.parametrize("between", SPARE)
def test_of_two_functions_in_a_row_one_rule_speaks(lint, between):
    assert not lint(StackedActivation(), network(between)).findings
    assert lint(RedundantActivation(), network(between)).findings


@pytest.mark.parametrize("between", APART)
def test_gates_forks_and_layers_between_are_left_alone(lint, between):
    assert not lint(StackedActivation(), network(between)).findings

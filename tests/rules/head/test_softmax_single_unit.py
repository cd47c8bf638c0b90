from __future__ import annotations

import numpy as np

from cnnlint_rules.head.softmax_single_unit import SoftmaxSingleUnit

BODY = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP"


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def test_a_softmax_over_one_unit_is_an_error(lint):
    (found,) = lint(SoftmaxSingleUnit(), f"{BODY} -> FC 1 -> SOFTMAX").findings
    assert found.severity == "error"
    assert found.evidence["output"] == softmax(np.array([-3.7]))[0]


def test_a_softmax_over_one_unit_is_told_once_whatever_the_function_ahead_of_it(lint):
    (found,) = lint(SoftmaxSingleUnit(), f"{BODY} -> FC 1 -> SIGMOID -> SOFTMAX").findings
    assert found.layers == ("softmax1",)


def test_one_unit_within_the_network_is_no_output(lint):
    assert not lint(SoftmaxSingleUnit(), f"{BODY} -> FC 1 -> SOFTMAX -> FC 10 -> SOFTMAX").findings

from __future__ import annotations

import numpy as np
import pytest

from cnnlint_rules.activation.redundant_activation import RedundantActivation

BODY = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP"


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_bound_of_a_double_softmax_is_reached_by_the_surest_scores(lint, classes):
    (found,) = lint(RedundantActivation(), f"{BODY} -> FC {classes} -> SOFTMAX -> SOFTMAX").findings
    sure = np.zeros(classes)
    sure[0] = 1e6
    assert found.evidence["largest_output"] == pytest.approx(softmax(softmax(sure)).max())
    assert found.layers == ("softmax2", "softmax1")
    assert found.severity == "error"


def test_a_sigmoid_of_a_sigmoid_is_doubled_too(lint):
    (found,) = lint(RedundantActivation(), f"{BODY} -> FC 1 -> SIGMOID -> SIGMOID").findings
    assert found.evidence["largest_output"] == pytest.approx(1 / (1 + np.exp(-1.0)))


@pytest.mark.parametrize("head", ["FC 10 -> SOFTMAX", "FC 10 -> RELU -> SOFTMAX", "FC 1 -> SIGMOID -> SOFTMAX"])
def test_scores_that_are_made_probabilities_once_or_are_constant_are_not_doubled(lint, head):
    assert not lint(RedundantActivation(), f"{BODY} -> {head}").findings

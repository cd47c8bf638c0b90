from __future__ import annotations

import pytest

from cnnlint.graph.training import Loss, Training
from cnnlint_rules.head.loss_head_mismatch import LossHeadMismatch
from cnnlint_rules.head.missing_output_activation import MissingOutputActivation

BODY = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP"

SPARSE = "sparse_categorical_crossentropy"


def test_a_missing_softmax_is_seen_from_the_loss(lint):
    loss = Loss(SPARSE, from_logits=False)
    (found,) = lint(MissingOutputActivation(), f"{BODY} -> FC 10", training=Training((loss,))).findings
    assert (found.severity, found.layers) == ("error", ("fc1",))
    assert not lint(MissingOutputActivation(), f"{BODY} -> FC 10 -> SOFTMAX", training=Training((loss,))).findings


@pytest.mark.parametrize("head", ["FC 10 -> SOFTMAX", "FC 1 -> SIGMOID", "FC 10 -> SIGMOID", "FC 4", "FC 10 -> RELU"])
@pytest.mark.parametrize("rule", [MissingOutputActivation(), LossHeadMismatch()], ids=lambda rule: rule.name)
def test_a_head_without_a_known_loss_may_end_as_it_likes_and_it_is_said_why(lint, rule, head):
    walk = lint(rule, f"{BODY} -> {head}")
    assert not walk.findings
    assert "names no loss" in walk.near_misses[rule.code][0].reason


@pytest.mark.parametrize(
    ("head", "loss", "missing", "mismatch"),
    [
        ("FC 10", Loss(SPARSE), ["error"], []),
        ("FC 10 -> RELU", Loss(SPARSE), ["error"], []),
        ("FC 1", Loss("binary_crossentropy"), ["error"], []),
        ("FC 1", Loss(SPARSE), [], ["error"]),
        ("FC 10 -> SOFTMAX", Loss(SPARSE, from_logits=True), [], ["error"]),
        ("FC 10 -> SIGMOID", Loss(SPARSE), [], ["warning"]),
        ("FC 10 -> TANH", Loss(SPARSE, from_logits=True), [], ["warning"]),
        ("FC 2 -> SOFTMAX", Loss("binary_crossentropy"), [], ["info"]),
        ("FC 10 -> SOFTMAX", Loss("mean_squared_error"), [], ["warning"]),
        ("FC 1 -> RELU", Loss("mean_squared_error"), [], ["info"]),
        ("FC 1 -> TANH", Loss("mean_squared_error"), [], []),
        ("FC 1", Loss("poisson"), [], ["error"]),
        ("FC 1 -> SIGMOID", Loss("hinge"), [], ["warning"]),
        ("FC 10", Loss("kl_divergence"), ["error"], []),
        ("FC 10 -> SOFTMAX", Loss("binary_crossentropy"), [], ["warning"]),
        ("FC 10 -> SIGMOID", Loss("binary_crossentropy"), [], []),
        ("FC 10 -> SOFTMAX", Loss(SPARSE), [], []),
        ("FC 10", Loss(""), [], []),
    ],
)
def test_a_head_is_told_once_of_its_loss_by_the_rule_whose_smell_it_is(lint, head, loss, missing, mismatch):
    text = f"{BODY} -> {head}"
    assert [
        each.severity for each in lint(MissingOutputActivation(), text, training=Training((loss,))).findings
    ] == missing
    for rule, expected in ((MissingOutputActivation(), missing), (LossHeadMismatch(), mismatch)):
        found = lint(rule, text, training=Training((loss,))).findings
        assert [each.severity for each in found] == expected


@pytest.mark.parametrize("head", ["FC 1 -> SOFTMAX", "FC 10 -> SOFTMAX -> SOFTMAX"])
def test_functions_that_are_wrong_whatever_the_loss_are_not_told_again(lint, head):
    loss = Training((Loss(SPARSE, from_logits=True),))
    for rule in (MissingOutputActivation(), LossHeadMismatch()):
        assert not lint(rule, f"{BODY} -> {head}", training=loss).findings

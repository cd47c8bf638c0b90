from __future__ import annotations

import numpy as np
import pytest

from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.graph.training import Loss, Metric, Training
from cnnlint_rules.head.metric_mismatch import MetricMismatch
from cnnlint_rules.head.non_exclusive_classes import NonExclusiveClasses

BODY = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP"

CROSS, SPARSE, BINARY = "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"


@pytest.fixture(scope="module")
def keras():
    with quiet():
        return toolchain().keras


@pytest.mark.parametrize(
    ("head", "loss", "metric", "severities"),
    [
        ("FC 10 -> SOFTMAX", Loss(CROSS), Metric("binary_accuracy"), ["warning"]),
        ("FC 10 -> SOFTMAX", Loss("mean_squared_error"), Metric("binary_accuracy"), ["warning"]),
        ("FC 2 -> SOFTMAX", Loss(CROSS), Metric("binary_accuracy"), []),
        ("FC 10 -> SOFTMAX", Loss(CROSS), Metric("accuracy"), []),
        ("FC 10 -> SOFTMAX", Loss(CROSS), Metric("exact_accuracy"), ["warning"]),
        ("FC 10 -> SOFTMAX", Loss(CROSS), Metric("sparse_categorical_accuracy"), ["warning"]),
        ("FC 10 -> SOFTMAX", Loss(SPARSE), Metric("sparse_categorical_accuracy"), []),
        ("FC 10 -> SOFTMAX", Loss(SPARSE), Metric("categorical_accuracy"), ["warning"]),
        ("FC 10 -> SOFTMAX", Loss(CROSS), Metric("precision"), []),
        ("FC 1 -> SIGMOID", Loss(BINARY), Metric("accuracy"), []),
        ("FC 1 -> SIGMOID", Loss(BINARY), Metric("categorical_accuracy"), ["warning"]),
        ("FC 1 -> SIGMOID", Loss(BINARY), Metric("auc"), []),
        ("FC 1", Loss(BINARY, from_logits=True), Metric("accuracy"), ["warning"]),
        ("FC 1", Loss(BINARY, from_logits=True), Metric("binary_accuracy", threshold=0.0), []),
        ("FC 1", Loss(BINARY, from_logits=True), Metric("precision", threshold=0.0), []),
        ("FC 1", Loss(BINARY, from_logits=True), Metric("recall"), ["warning"]),
        ("FC 1", Loss(BINARY, from_logits=True), Metric("auc"), ["warning"]),
        ("FC 1", Loss(BINARY, from_logits=True), Metric("auc", from_logits=True), []),
        ("FC 8 -> SIGMOID", Loss(BINARY), Metric("accuracy"), ["info"]),
        ("FC 8 -> SIGMOID", Loss(BINARY), Metric("binary_accuracy"), []),
        ("FC 1", Loss("mean_squared_error"), Metric("accuracy"), ["warning"]),
        ("FC 1", Loss("mean_squared_error"), Metric("mean_absolute_error"), []),
        ("FC 1 -> SIGMOID", Loss("mean_squared_error"), Metric("accuracy"), []),
        ("FC 10 -> SOFTMAX", Loss(CROSS), Metric(""), []),
        ("FC 10 -> SOFTMAX", Loss(""), Metric("accuracy"), []),
    ],
)
def test_a_metric_is_held_against_output_and_loss(lint, head, loss, metric, severities):
    found = lint(MetricMismatch(), f"{BODY} -> {head}", training=Training((loss,), metrics=(metric,))).findings
    assert [finding.severity for finding in found] == severities


def test_two_metrics_of_one_output_are_two_findings_of_different_identity(lint):
    told = Training((Loss(CROSS),), metrics=(Metric("binary_accuracy"), Metric("exact_accuracy")))
    one, two = lint(MetricMismatch(), f"{BODY} -> FC 10 -> SOFTMAX", training=told).findings
    assert one.places[0].identity != two.places[0].identity


@pytest.mark.tf
def test_binary_accuracy_of_a_softmax_that_knows_nothing_is_what_the_rule_says(keras, lint):
    told = Training((Loss(CROSS),), metrics=(Metric("binary_accuracy"),))
    (found,) = lint(MetricMismatch(), f"{BODY} -> FC 10 -> SOFTMAX", training=told).findings
    labels, shares = np.eye(10), np.full((10, 10), 0.1)
    assert float(keras.metrics.BinaryAccuracy()(labels, shares)) == pytest.approx(0.9)
    assert "90%" in found.message


@pytest.mark.tf
@pytest.mark.parametrize(
    ("labels", "outputs", "name"),
    [
        ((4, 1), (4, 1), "binary_accuracy"),
        ((4,), (4, 10), "sparse_categorical_accuracy"),
        ((4, 10), (4, 10), "categorical_accuracy"),
    ],
)
def test_keras_makes_of_the_name_accuracy_what_the_rule_takes_it_for(labels, outputs, name, keras):
    from keras.src.trainers.compile_utils import get_metric

    assert get_metric("accuracy", np.zeros(labels), np.zeros(outputs)).name == "accuracy"
    assert get_metric("accuracy", np.zeros(labels), np.zeros(outputs))._fn.__name__ == name


@pytest.mark.tf
def test_the_class_accuracy_counts_no_probability_as_right(keras):
    assert float(keras.metrics.Accuracy()(np.array([[1.0], [0.0]]), np.array([[0.9], [0.1]]))) == 0.0


@pytest.mark.tf
def test_many_decisions_cost_little_where_one_class_holds(keras):
    # the figures on the page of HD004
    labels, shares = np.eye(10), np.full((10, 10), 0.1)
    assert float(keras.losses.binary_crossentropy(labels, shares).numpy().mean()) == pytest.approx(0.33, abs=0.006)
    assert float(keras.losses.categorical_crossentropy(labels, shares).numpy().mean()) == pytest.approx(2.3, abs=0.01)


def test_one_sigmoid_is_no_choice_among_classes(lint):
    told = Training((Loss(BINARY),))
    assert not lint(NonExclusiveClasses(), f"{BODY} -> FC 1 -> SIGMOID", training=told).findings
    (found,) = lint(NonExclusiveClasses(), f"{BODY} -> FC 2 -> SIGMOID", training=told).findings
    assert (found.severity, found.evidence["units"]) == ("info", 2)

"""Rules on dropout, with the figures that their pages give held against Keras and against counting."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.graph.layers import Dropout
from cnnlint.graph.training import Loss, Training
from cnnlint.testing import to_graph
from cnnlint_rules.dropout.dropout_after_output import DropoutAfterOutput
from cnnlint_rules.dropout.dropout_before_batchnorm import DropoutBeforeBatchnorm
from cnnlint_rules.dropout.dropout_before_pooling import DropoutBeforePooling
from cnnlint_rules.dropout.high_dropout import HighDropout


def network(body: str) -> str:
    return f"INPUT 3x16x16 -> CONV 16 3x3 -> {body} -> GAP -> FC 10 -> SOFTMAX"


def with_dropouts(text: str, **fields: object):
    """Return the graph of `text` with further fields of its dropouts set, which the notation has no word for."""
    graph = to_graph(text)
    layers = [replace(layer, **fields) if isinstance(layer, Dropout) else layer for layer in graph.layers]
    return replace(graph, layers=tuple(layers))


@pytest.mark.parametrize(
    ("body", "severities"),
    [
        ("DROPOUT 0.5 -> BN", ["warning"]),
        ("DROPOUT 0.5 -> RELU -> BN", ["warning"]),
        ("RELU -> DROPOUT 0.5 -> POOL 2 -> BN", ["warning"]),
        ("DROPOUT 0.5 -> RELU -> TANH -> BN", ["info"]),
        ("BN -> RELU -> DROPOUT 0.5 -> CONV 16 3x3 -> BN", ["info"]),
        ("DROPOUT 0.5 -> RES[CONV 16 3x3 -> RELU] -> BN", ["info"]),
        ("DROPOUT 0.5 -> CAT[ID | CONV 16 3x3] -> BN", ["info"]),
        ("BN -> RELU -> DROPOUT 0.5", []),
        ("RELU -> DROPOUT 0.5 -> CONV 16 3x3", []),
        ("DROPOUT 0.0 -> BN", []),
        ("DROPOUT 0.5 -> LN", []),
    ],
)
def test_a_dropout_is_held_against_the_next_batch_normalization(lint, body, severities):
    assert [found.severity for found in lint(DropoutBeforeBatchnorm(), network(body)).findings] == severities


def test_each_dropout_is_told_once_with_the_first_normalization_after_it(lint):
    body = "DROPOUT 0.2 -> BN -> CONV 16 3x3 -> BN -> DROPOUT 0.3 -> RELU -> CONV 16 3x3 -> BN"
    found = lint(DropoutBeforeBatchnorm(), network(body)).findings
    assert [finding.layers for finding in found] == [("dropout1", "bn1"), ("dropout2", "bn3")]


def test_stochastic_depth_is_no_dropout_of_values(lint):
    graph = with_dropouts(network("RES[CONV 16 3x3 -> DROPOUT 0.2] -> BN"), per_sample=True)
    walk = lint(DropoutBeforeBatchnorm(), graph)
    assert not walk.findings
    assert "stochastic depth" in walk.near_misses["DO001"][0].reason


@pytest.mark.tf
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_the_variance_that_a_normalization_learns_after_a_dropout_is_what_the_rule_says(rate, lint):
    with quiet():
        keras = toolchain().keras
        drop, norm = keras.layers.Dropout(rate, seed=1), keras.layers.BatchNormalization(momentum=0.0)
        values = np.random.default_rng(2).normal(size=(20_000, 4)).astype(np.float32)
        norm(drop(values, training=True), training=True)
    learned = float(np.mean(norm.moving_variance))
    assert learned == pytest.approx(1 / (1 - rate), rel=0.03)
    (found,) = lint(DropoutBeforeBatchnorm(), network(f"DROPOUT {rate} -> BN")).findings
    assert f"{1 / (1 - rate):.3g} times" in found.message


@pytest.mark.parametrize(
    ("body", "window"),
    [("RELU -> DROPOUT 0.5 -> POOL 2", 4), ("DROPOUT 0.5 -> RELU -> POOL 3", 9), ("DROPOUT 0.5 -> BN -> POOL 2", 0),
     ("DROPOUT 0.5 -> AVGPOOL 2", 0), ("POOL 2 -> DROPOUT 0.5", 0), ("DROPOUT 0.0 -> POOL 2", 0)]
)  # fmt: skip
def test_a_dropout_is_held_against_the_maximum_that_reads_it(lint, body, window):
    found = lint(DropoutBeforePooling(), network(body)).findings
    assert [finding.evidence["window"] for finding in found] == ([window] if window else [])


def test_the_share_of_windows_that_are_dropped_is_that_of_counted_ones(lint):
    (found,) = lint(DropoutBeforePooling(), network("RELU -> DROPOUT 0.5 -> POOL 2")).findings
    kept = np.random.default_rng(3).random((200_000, 4)) >= 0.5
    assert found.evidence["share_dropped"] == pytest.approx(1 - kept.any(axis=1).mean(), abs=0.002)


def test_dropped_channels_are_dropped_for_every_window(lint):
    graph = with_dropouts(network("RELU -> DROPOUT 0.5 -> POOL 2"), spatial=True)
    assert not lint(DropoutBeforePooling(), graph).findings


def test_a_maximum_over_the_whole_map_is_a_window_too(lint):
    text = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> DROPOUT 0.5 -> GMP -> FC 10 -> SOFTMAX"
    (found,) = lint(DropoutBeforePooling(), text).findings
    assert found.evidence["window"] == 256


@pytest.mark.parametrize(
    ("rate", "severities"), [(0.5, []), (0.6, ["info"]), (0.8, ["info"]), (0.85, ["warning"]), (1.0, ["error"])]
)
def test_a_rate_is_told_by_how_little_it_leaves(lint, rate, severities):
    graph = with_dropouts(network("RELU -> DROPOUT 0.5"), rate=rate)
    assert [found.severity for found in lint(HighDropout(), graph).findings] == severities


def test_single_precision_makes_no_rate_high(lint):
    graph = with_dropouts(network("RELU -> DROPOUT 0.5"), rate=float(np.float32(0.4)) + 0.1)
    assert not lint(HighDropout(), graph).findings


@pytest.mark.parametrize(
    ("head", "loss", "found"),
    [
        ("FC 10 -> DROPOUT 0.5 -> SOFTMAX", None, True),
        ("FC 10 -> SOFTMAX -> DROPOUT 0.5", None, True),
        ("FC 1 -> SIGMOID -> DROPOUT 0.5", None, True),
        ("FC 10 -> DROPOUT 0.0 -> SOFTMAX", None, False),
        ("DROPOUT 0.5 -> FC 10 -> SOFTMAX", None, False),
        ("FC 64 -> RELU -> DROPOUT 0.5", None, False),
        ("FC 64 -> RELU -> DROPOUT 0.5 -> FC 10 -> SOFTMAX", None, False),
        ("FC 1 -> RELU -> DROPOUT 0.5", Loss("mean_squared_error"), True),
    ],
)
def test_a_dropout_is_on_the_output_where_no_layer_with_weights_follows(lint, head, loss, found):
    told = Training(() if loss is None else (loss,))
    text = f"INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP -> {head}"
    assert bool(lint(DropoutAfterOutput(), text, training=told).findings) == found


@pytest.mark.tf
def test_the_cross_entropy_of_a_dropped_class_is_clipped_at_sixteen():
    with quiet():
        keras = toolchain().keras
    labels, shares = np.array([[0.0, 1.0, 0.0]]), np.array([[0.1, 0.0, 0.9]])
    assert float(keras.losses.categorical_crossentropy(labels, shares)[0]) == pytest.approx(16.1, abs=0.1)

"""Batch normalizations that spoil an output, and momenta with which statistics are none."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.graph.layers import BatchNorm
from cnnlint.graph.training import Loss, Training
from cnnlint.testing import to_graph
from cnnlint_rules.normalization.batchnorm_at_output import BatchnormAtOutput
from cnnlint_rules.normalization.batchnorm_momentum import BatchnormMomentum

BODY = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU"


@pytest.mark.parametrize(
    ("head", "loss", "severities"),
    [
        ("GAP -> FC 10 -> BN -> SOFTMAX", None, ["warning"]),
        ("GAP -> FC 10 -> SOFTMAX -> BN", None, ["warning"]),
        ("GAP -> FC 10 -> BN -> DROPOUT 0.2 -> SOFTMAX", None, ["warning"]),
        ("CONV 1 1x1 -> BN -> SIGMOID", None, ["info"]),
        ("GAP -> FC 1 -> BN", Loss("mean_squared_error"), ["warning"]),
        ("GAP -> FC 128 -> BN", None, []),
        ("GAP -> FC 64 -> BN -> RELU", None, []),
        ("GAP -> BN -> FC 10 -> SOFTMAX", None, []),
        ("CONV 10 1x1 -> BN -> GAP -> SOFTMAX", None, []),
    ],
)
def test_a_normalization_is_at_the_output_where_no_layer_with_weights_follows(lint, head, loss, severities):
    told = Training(() if loss is None else (loss,))
    found = lint(BatchnormAtOutput(), f"{BODY} -> {head}", training=told).findings
    assert [finding.severity for finding in found] == severities


@pytest.mark.parametrize(
    ("momentum", "severities"),
    [("1", ["error"]), ("0", ["warning"]), ("0.1", ["info"]), ("0.2", []), ("0.9", []), ("0.99", [])],
)
def test_a_momentum_is_told_by_what_is_left_of_the_statistics(lint, momentum, severities):
    text = f"{BODY} -> BN momentum {momentum} -> GAP -> FC 10 -> SOFTMAX"
    assert [found.severity for found in lint(BatchnormMomentum(), text).findings] == severities


def test_a_frozen_normalization_has_any_momentum(lint):
    graph = to_graph(f"{BODY} -> BN momentum 1 -> GAP -> FC 10 -> SOFTMAX")
    (norm,) = graph.of_kind(BatchNorm)
    frozen = replace(norm, weights=tuple(replace(weight, trainable=False) for weight in norm.weights))
    layers = tuple(frozen if layer is norm else layer for layer in graph.layers)
    walk = lint(BatchnormMomentum(), replace(graph, layers=layers))
    assert not walk.findings
    assert "frozen" in walk.near_misses["BN008"][0].reason


@pytest.mark.tf
@pytest.mark.parametrize(("momentum", "mean"), [(1.0, 0.0), (0.0, 2.0), (0.1, 0.9 * 2 + 0.1 * 0.9 * 7)])
def test_keras_keeps_what_the_rule_says_of_a_momentum(momentum, mean):
    with quiet():
        norm = toolchain().keras.layers.BatchNormalization(momentum=momentum)
        for value in (7.0, 2.0):
            norm(np.full((8, 3), value, np.float32), training=True)
    assert np.asarray(norm.moving_mean) == pytest.approx(np.full(3, mean))

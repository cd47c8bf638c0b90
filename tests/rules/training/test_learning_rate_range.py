from __future__ import annotations

import numpy as np
import pytest

from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.graph.training import Optimizer, Training
from cnnlint_rules.training.learning_rate_range import LearningRateRange

NET = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"


@pytest.mark.parametrize(
    ("optimizer", "severities"),
    [
        (Optimizer("adam", 0.001), []),
        (Optimizer("adam", 0.01), []),
        (Optimizer("adam", 0.05), ["warning"]),
        (Optimizer("rmsprop", 0.1), ["warning"]),
        (Optimizer("adam", 1e-5), []),
        (Optimizer("adam", 1e-9), ["info"]),
        (Optimizer("adam", 0.0), ["error"]),
        (Optimizer("adam", -0.001), ["error"]),
        (Optimizer("adam", float("nan")), ["error"]),
        (Optimizer("", -0.001), ["error"]),
        (Optimizer("", 5.0), []),
        (Optimizer("sgd", 0.01, 0.0), []),
        (Optimizer("sgd", 0.1, 0.9), []),  # ResNet
        (Optimizer("sgd", 1.0, 0.9), []),
        (Optimizer("sgd", 5.0, 0.9), ["warning"]),
        (Optimizer("sgd", 100.0, 0.0), ["warning"]),
        (Optimizer("sgd", 0.1, 1.0), ["error"]),
        (Optimizer("adadelta", 1.0), []),
        (Optimizer("adadelta", 0.001), ["warning"]),
        (Optimizer("lion", 0.01), ["warning"]),
        (Optimizer("adam", schedule="CosineDecay"), []),
        (Optimizer("adam"), []),
        (None, []),
    ],
)
def test_a_learning_rate_is_held_against_its_own_optimizer(lint, optimizer, severities):
    found = lint(LearningRateRange(), NET, training=Training(optimizer=optimizer)).findings
    assert [finding.severity for finding in found] == severities


def test_a_schedule_is_left_alone_and_it_is_said_why(lint):
    walk = lint(LearningRateRange(), NET, training=Training(optimizer=Optimizer("sgd", schedule="CosineDecay")))
    assert "CosineDecay" in walk.near_misses["TR001"][0].reason


@pytest.mark.tf
@pytest.mark.parametrize(("rate", "momentum"), [(0.1, 0.9), (0.01, 0.5), (0.2, 0.0)])
def test_the_steps_of_momentum_add_up_to_what_the_rule_says(rate, momentum):
    with quiet():
        keras = toolchain().keras
        weight = keras.Variable(np.zeros(1, np.float32))
        optimizer = keras.optimizers.SGD(rate, momentum=momentum)
        optimizer.build([weight])
        before = after = 0.0
        for _ in range(200):
            before = float(np.asarray(weight)[0])
            optimizer.apply([np.ones(1, np.float32)])
            after = float(np.asarray(weight)[0])
    assert before - after == pytest.approx(rate / (1 - momentum), rel=1e-2)


@pytest.mark.tf
@pytest.mark.parametrize("gradient", [1e-3, 1.0, 1e3])
def test_adam_moves_by_about_its_rate_whatever_the_gradient(gradient):
    with quiet():
        keras = toolchain().keras
        weight = keras.Variable(np.zeros(1, np.float32))
        optimizer = keras.optimizers.Adam(0.1)
        optimizer.build([weight])
        optimizer.apply([np.full(1, gradient, np.float32)])
    assert float(np.asarray(weight)[0]) == pytest.approx(-0.1, rel=1e-2)


def test_a_kernel_of_64_channels_begins_at_the_size_that_the_page_says():
    # He: √(2 / (9 × 64)); the rate of 0.1 is larger than that
    assert pytest.approx(0.06, abs=0.002) == (2 / (9 * 64)) ** 0.5

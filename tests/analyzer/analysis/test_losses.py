from __future__ import annotations

import numpy as np
import pytest

from cnnlint.analysis.losses import loss_mismatch
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.graph.training import Loss


@pytest.fixture(scope="module")
def keras():
    with quiet():
        return toolchain().keras


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


CASES = [
    # loss, from_logits, last activation, units, whether the pair is at fault
    ("sparse_categorical_crossentropy", False, "softmax", 10, False),
    ("sparse_categorical_crossentropy", False, "linear", 10, True),
    ("categorical_crossentropy", None, "linear", 10, True),
    ("categorical_crossentropy", True, "linear", 10, False),
    ("categorical_crossentropy", True, "softmax", 10, True),
    ("categorical_crossentropy", True, "log_softmax", 10, False),
    ("categorical_crossentropy", False, "sigmoid", 10, True),
    ("categorical_crossentropy", False, "sigmoid", 1, True),
    ("categorical_crossentropy", False, "relu", 10, True),
    ("binary_crossentropy", False, "sigmoid", 1, False),
    ("binary_crossentropy", False, "sigmoid", 14, False),
    ("binary_crossentropy", False, "linear", 1, True),
    ("binary_crossentropy", True, "linear", 1, False),
    ("binary_crossentropy", True, "sigmoid", 1, True),
    ("binary_crossentropy", False, "softmax", 2, True),
    ("binary_crossentropy", False, "softmax", 10, True),
    ("mse", None, "linear", 1, False),
    ("mean_squared_error", None, "sigmoid", 1, False),
    ("mean_squared_error", None, "softmax", 10, True),
    ("mean_absolute_error", None, "tanh", 3, False),
    ("huber", None, "relu", 1, True),
    ("categorical_crossentropy", True, "relu", 10, True),
    ("binary_crossentropy", True, "tanh", 1, True),
    ("binary_crossentropy", True, "log_softmax", 5, True),
    ("kl_divergence", None, "softmax", 10, False),
    ("kl_divergence", None, "linear", 10, True),
    ("dice", None, "sigmoid", 1, False),
    ("dice", None, "relu", 1, True),
    ("poisson", None, "linear", 1, True),
    ("poisson", None, "softplus", 1, False),
    ("hinge", None, "sigmoid", 1, True),
    ("hinge", None, "tanh", 1, False),
    ("squared_hinge", None, "linear", 1, False),
    ("categorical_hinge", None, "softmax", 10, False),
    ("", None, "linear", 10, False),
]


@pytest.mark.parametrize(("loss", "from_logits", "function", "units", "at_fault"), CASES)
def test_losses_and_last_activations(loss, from_logits, function, units, at_fault):
    assert (loss_mismatch(Loss(loss, from_logits), function, units) is not None) == at_fault


@pytest.mark.tf
def test_binary_crossentropy_on_two_softmax_units_is_the_categorical_one(keras):
    labels, output = np.array([[0.0, 1.0]]), softmax(np.array([[0.3, -1.2]]))
    binary = float(keras.losses.binary_crossentropy(labels, output)[0])
    assert binary == pytest.approx(float(keras.losses.categorical_crossentropy(labels, output)[0]), rel=1e-5)


@pytest.mark.tf
def test_categorical_crossentropy_divides_by_the_sum(keras):
    # why sigmoids under it are not the independent probabilities that they look like
    labels, sigmoids = np.array([[0.0, 1.0, 0.0]]), np.array([[0.9, 0.6, 0.5]])
    given = float(keras.losses.categorical_crossentropy(labels, sigmoids)[0])
    divided = float(keras.losses.categorical_crossentropy(labels, sigmoids / sigmoids.sum())[0])
    assert given == pytest.approx(divided)
    assert given == pytest.approx(-np.log(0.6 / 2.0), rel=1e-5)


@pytest.mark.tf
@pytest.mark.parametrize("output", [0.1, 0.5, 0.9])
def test_one_class_teaches_nothing_whatever_the_output(output, keras):
    with pytest.warns(SyntaxWarning, match="num_classes > 1"):
        loss = keras.losses.categorical_crossentropy(np.array([[1.0]]), np.array([[output]]))
    assert float(loss[0]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.tf
def test_the_poisson_loss_of_a_negative_output_is_not_a_number(keras):
    assert np.isnan(float(keras.losses.poisson(np.array([[2.0]]), np.array([[-0.5]]))[0]))


@pytest.mark.tf
def test_a_hinge_loss_cannot_vanish_for_one_class_where_no_output_is_negative(keras):
    # Keras makes labels of 0 and 1 into -1 and 1
    assert float(keras.losses.hinge(np.array([[0.0]]), np.array([[0.0]]))[0]) == pytest.approx(1.0)
    assert float(keras.losses.hinge(np.array([[0.0]]), np.array([[-1.0]]))[0]) == pytest.approx(0.0)


def test_the_squared_error_of_a_softmax_that_is_surely_wrong_has_next_to_no_gradient():
    # d/dz of (softmax(z) - label)², by central differences: the cross-entropy's would be 1 in the wrong class
    scores, label, step = np.array([10.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), 1e-4

    def gradient(loss):
        shifts = step * np.eye(3)
        return max(abs(loss(scores + shift) - loss(scores - shift)) / (2 * step) for shift in shifts)

    assert gradient(lambda values: float(((softmax(values) - label) ** 2).sum())) < 1e-3
    assert gradient(lambda values: -float(np.log(softmax(values)) @ label)) == pytest.approx(1.0, rel=1e-3)

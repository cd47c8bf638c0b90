"""What constant weights do, trained for some steps by Keras, is what the rule says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends.keras import load
from cnnlint.graph.training import Initializer, Training
from cnnlint_rules.initialization.constant_weight_init import ConstantWeightInit
from cnnlint_rules.initialization.nonzero_bias_init import NonzeroBiasInit

ZEROS, ONES, RANDOM = Initializer("zeros", 0.0), Initializer("ones", 1.0), Initializer("glorot_uniform")


def told(**initializers: Initializer) -> Training:
    return Training(initializers={name.replace("_", "."): each for name, each in initializers.items()})


@pytest.mark.parametrize(
    ("body", "initializers", "severities"),
    [
        ("CONV 8 3x3 -> RELU", told(conv1_kernel=ZEROS), ["error"]),
        ("CONV 8 3x3 -> BN -> RELU", told(conv1_kernel=ZEROS), ["error"]),
        ("CONV 8 3x3 -> RELU", told(conv1_kernel=ZEROS, conv1_bias=Initializer("constant", 0.1)), ["warning"]),
        ("CONV 8 3x3 -> TANH", told(conv1_kernel=ZEROS), ["warning"]),
        ("CONV 8 3x3 -> RELU", told(conv1_kernel=ONES), ["warning"]),
        ("CONV 8 3x3 -> RELU", told(conv1_kernel=ONES, fc1_kernel=ONES), ["error", "warning"]),
        ("CONV 8 3x3 -> RELU", told(conv1_kernel=RANDOM, fc1_kernel=ZEROS), []),
        ("CONV 8 3x3 -> RELU", told(conv1_kernel=RANDOM), []),
        ("CONV 3 3x3 -> RES[CONV 3 3x3 -> RELU -> CONV 3 3x3 -> BN]", told(conv3_kernel=ZEROS), []),
        ("DWCONV 3x3 -> RELU", told(dwconv1_kernel=ONES), []),
        ("CONV 1 3x3 -> TANH", told(conv1_kernel=ONES), []),
    ],
)
def test_a_constant_kernel_is_told_by_what_comes_of_it(lint, body, initializers, severities):
    text = f"INPUT 3x16x16 -> {body} -> GAP -> FC 10 -> SOFTMAX"
    assert [found.severity for found in lint(ConstantWeightInit(), text, training=initializers).findings] == severities


@pytest.mark.parametrize(
    ("initializer", "found"),
    [(ZEROS, False), (ONES, True), (Initializer("constant", 0.0), False), (RANDOM, True), (Initializer(""), True)],
)
def test_a_bias_is_told_where_it_does_not_begin_as_zero(lint, initializer, found):
    text = "INPUT 3x16x16 -> CONV 8 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"
    assert bool(lint(NonzeroBiasInit(), text, training=told(conv1_bias=initializer)).findings) == found


def trained(first: Any, second: Any, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the first kernel of a small network before and after ten steps, and save it as it began."""
    keras = toolchain().keras
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, kernel_initializer=first, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, kernel_initializer=second, activation="relu", name="hidden"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.save(path)
    before = np.array(model.get_layer("conv").kernel)
    random = np.random.default_rng(5)
    images, labels = random.normal(size=(40, 6, 6, 2)), random.integers(0, 3, 40)
    model.fit(images, labels, batch_size=4, verbose=0)
    return before, np.array(model.get_layer("conv").kernel)


@pytest.mark.tf
def test_what_keras_learns_from_constant_kernels_is_what_the_rule_says(tmp_path, lint):
    with quiet():
        begun, dead = trained("zeros", "glorot_uniform", tmp_path / "dead.keras")
        constant = toolchain().keras.initializers.Constant(0.3)
        _, symmetric = trained(constant, constant, tmp_path / "symmetric.keras")
        _, parted = trained(constant, "glorot_uniform", tmp_path / "parted.keras")
    assert np.array_equal(begun, dead)
    assert np.ptp(symmetric, axis=-1).max() == pytest.approx(0, abs=1e-6)
    assert np.ptp(parted, axis=-1).max() > 1e-4
    for name, severity in [("dead", "error"), ("symmetric", "error"), ("parted", "warning")]:
        found = lint(ConstantWeightInit(), load(str(tmp_path / f"{name}.keras")), source="keras").findings
        assert (found[0].layers, found[0].severity) == (("conv",), severity)

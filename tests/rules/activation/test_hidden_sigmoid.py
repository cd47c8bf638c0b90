from __future__ import annotations

import numpy as np
import pytest

import zoo
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends import load
from cnnlint_rules.activation.hidden_sigmoid import STEEPEST, HiddenSigmoid

START = "INPUT 3x32x32 -> CONV 16 3x3 same"
END = "CONV 16 3x3 same -> RELU -> GAP -> FC 10"


@pytest.mark.parametrize(("step", "name"), [("SIGMOID", "sigmoid1"), ("TANH", "tanh1")])
@pytest.mark.parametrize("around", ["{0}", "BN -> {0}", "{0} -> POOL 2", "{0} -> BN -> DROPOUT 0.5"])
def test_a_saturating_function_between_two_kernels_is_found(lint, step, name, around):
    (found,) = lint(HiddenSigmoid(), f"{START} -> {around.format(step)} -> {END}").findings
    assert found.layers == (name,)
    assert found.severity == ("warning" if step == "SIGMOID" else "info")  # a tanh of small sums shrinks no gradient
    assert "Between conv1 and conv2" in found.message


@pytest.mark.tf
def test_the_steepest_slopes_are_those_of_the_functions():
    with quiet():
        keras = toolchain().keras
    x = np.linspace(-6, 6, 120_001)
    for function, slope in STEEPEST.items():
        y = np.asarray(keras.activations.get(function)(x), np.float64)
        steepest = float((np.diff(y) / np.diff(x)).max())
        assert steepest <= slope + 1e-3
        assert function == "hard_sigmoid" or steepest == pytest.approx(slope, abs=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        f"{START} -> RELU -> GAP -> FC 1 -> SIGMOID",
        f"{START} -> RELU -> GAP -> FC 64 -> TANH",
        f"{START} -> SWISH -> {END}",
        f"{START} -> RELU -> SE 4 -> {END}",
        f"{START} -> GATE[CONV 16 1x1 -> SIGMOID] -> {END}",
    ],
)
def test_outputs_gates_and_swish_are_what_sigmoids_are_for(lint, text):
    assert not lint(HiddenSigmoid(), text).findings


def test_lenet_5_is_historical_but_found(lint):
    text = (
        "INPUT 1x32x32 -> CONV 6 5x5 -> TANH -> AVGPOOL 2 -> CONV 16 5x5 -> TANH -> AVGPOOL 2"
        " -> FLATTEN -> FC 120 -> TANH -> FC 84 -> TANH -> FC 10 -> SOFTMAX"
    )
    assert len(lint(HiddenSigmoid(), text).findings) == 4


@pytest.mark.parametrize("name", zoo.light_names())
def test_no_light_network_has_one(lint, name):
    assert not lint(HiddenSigmoid(), load(str(zoo.light_path(name)))).findings

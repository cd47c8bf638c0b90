from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from cnnlint.analysis.context import Context
from cnnlint.engine.telling import told
from cnnlint.frontends.notation import to_onnx
from cnnlint.graph.layers import Activation
from cnnlint.graph.queries import spare_activation
from cnnlint.testing import to_graph
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


@pytest.mark.parametrize(
    "head", ["FC 10 -> SOFTMAX", "FC 1 -> SIGMOID -> SOFTMAX", "FC 10 -> LEAKYRELU 0.1 -> SOFTMAX", "FC 10 -> SIGMOID"]
)
def test_scores_that_are_made_probabilities_once_or_are_constant_are_not_doubled(lint, head):
    assert not lint(RedundantActivation(), f"{BODY} -> {head}").findings


@pytest.mark.parametrize(
    ("head", "severity", "bound"),
    [
        ("FC 10 -> RELU -> SOFTMAX", "warning", 1.0),
        ("FC 10 -> TANH -> SOFTMAX", "warning", softmax(np.array([1.0] + [-1.0] * 9)).max()),
        ("FC 1 -> RELU -> SIGMOID", "error", 1.0),
        ("FC 1 -> TANH -> SIGMOID", "warning", 1 / (1 + np.exp(-1.0))),
        ("FC 10 -> SOFTMAX -> DROPOUT 0.5 -> SOFTMAX", "error", softmax(np.array([1.0] + [0.0] * 9)).max()),
    ],
)
def test_a_function_ahead_of_the_outputs_own_bounds_it(lint, head, severity, bound):
    (found,) = lint(RedundantActivation(), f"{BODY} -> {head}").findings
    assert (found.severity, found.evidence["largest_output"]) == (severity, pytest.approx(bound))


def test_a_relu_on_the_map_of_scores_as_squeezenet_has_it_is_information(lint):
    text = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> CONV 10 1x1 -> RELU -> GAP -> SOFTMAX"
    (found,) = lint(RedundantActivation(), text).findings
    assert (found.severity, found.layers) == ("info", ("softmax1", "relu2"))


def test_a_softmax_of_averaged_shares_is_an_error_as_one_without_the_average_is(lint):
    text = "INPUT 3x16x16 -> CONV 10 3x3 -> SOFTMAX -> GAP -> SOFTMAX"
    (found,) = lint(RedundantActivation(), text).findings
    assert (found.severity, found.layers) == ("error", ("softmax2", "softmax1"))


@pytest.mark.parametrize(
    ("between", "severity"), [("RELU -> LEAKYRELU 0.1", "warning"), ("LEAKYRELU 0.1 -> RELU", "warning"),
                              ("RELU -> RELU", "info"), ("RELU -> POOL 2 -> RELU", "info"), ("RELU -> RELU6", "info"),
                              ("SIGMOID -> FLATTEN -> RELU", "info"), ("RELU -> BN -> RELU", ""),
                              ("RELU -> CONV 16 1x1 -> RELU", ""), ("RELU -> TANH", "")]
)  # fmt: skip
def test_a_function_that_does_nothing_is_told_by_what_was_meant(lint, between, severity):
    text = f"INPUT 3x16x16 -> CONV 16 3x3 -> {between} -> FC 10 -> SOFTMAX"
    assert [found.severity for found in lint(RedundantActivation(), text).findings] == [severity] * bool(severity)


def test_functions_that_do_nothing_are_told_together(lint):
    graph = to_graph("INPUT 3x16x16 -> [CONV 16 3x3 -> RELU -> RELU]*2 -> GAP -> FC 10 -> SOFTMAX")
    (found,) = told(lint(RedundantActivation(), graph).hits, Context(graph), "")
    assert found.evidence == {"activations": 2, "elements": 2 * 16 * 16 * 16}


PAIRS = ["RELU", "RELU6", "LEAKYRELU 0.1", "ELU", "SELU", "SIGMOID", "HSIGMOID", "TANH", "SOFTPLUS", "SOFTSIGN", "GELU"]


@pytest.mark.parametrize("between", ["", "POOL 2 -> ", "AVGPOOL 2 -> "])
@pytest.mark.parametrize("first", PAIRS)
@pytest.mark.parametrize("second", PAIRS)
def test_the_activation_that_is_called_spare_is_the_one_without_which_nothing_changes(first, between, second):
    scales = np.array([1.0, 12.0]).reshape(2, 1, 1, 1)
    values = (np.random.default_rng(5).normal(size=(2, 3, 8, 8)) * scales).astype(np.float32)

    def computed(*steps):
        text = f"INPUT 3x8x8 -> RESCALE 1.0 -> {''.join(steps)}"
        session = onnxruntime.InferenceSession(to_onnx(text.removesuffix(" -> ")).SerializeToString())
        return session.run(None, {"input": values})[0]

    whole = computed(f"{first} -> ", between, second)
    without = {"first": computed(between, second), "second": computed(f"{first} -> ", between)}
    same = {name for name, other in without.items() if np.allclose(whole, other, atol=1e-6)}
    graph = to_graph(f"INPUT 3x8x8 -> RESCALE 1.0 -> {first} -> {between}{second} -> RESCALE 1.0")
    one, other = graph.of_kind(Activation)
    spare = spare_activation(graph, other, one)
    assert ({other.name: "second", one.name: "first"}.get(spare.name) if spare else None) in (same or {None})

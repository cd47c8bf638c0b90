"""WA002: layers that give back what they are given, held against what onnxruntime computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from msgspec.structs import replace

from cnnlint import Activation
from cnnlint.testing import findings, lint, to_graph
from cnnlint_rules.waste.noop_layer import NoopLayer

CONSTANTS = """
    <int64[4] shape = {2, 3, 4, 5}, int64[4] ones = {1, 1, 1, 1}, int64[8] none = {0, 0, 0, 0, 0, 0, 0, 0},
     float[1] one = {1}, float[1] zero = {0}, float[1] half = {0.5}, float[4] same = {1, 1, 1, 1},
     float[4] twice = {1, 1, 2, 2}, int64[1] start = {0}, int64[1] end = {99}, int64[1] axis = {2},
     int64[1] reverse_end = {-99}, int64[1] reverse_start = {-1}, int64[1] back = {-1},
     int64[8] border = {0, 0, 1, 1, 0, 0, 1, 1}, int64[4] other = {2, 3, 5, 4}, bool training = {1},
     float ratio = {0.5}, float[2] scales = {1, 1}>
"""

NOTHING = {
    "Identity": "b = Identity (a)",
    "Dropout": "b = Dropout (a)",
    "Dropout of a rate": "b = Dropout (a, ratio)",
    "Cast": "b = Cast <to = 1> (a)",
    "Pad": "b = Pad (a, none)",
    "Reshape": "b = Reshape (a, shape)",
    "Expand": "b = Expand (a, ones)",
    "Tile": "b = Tile (a, ones)",
    "Transpose": "b = Transpose <perm = [0, 1, 2, 3]> (a)",
    "Slice": "b = Slice (a, start, end, axis)",
    "Resize": "b = Resize (a, , same)",
    "MaxPool": "b = MaxPool <kernel_shape = [1, 1]> (a)",
    "AveragePool": "b = AveragePool <kernel_shape = [1, 1], strides = [1, 1]> (a)",
    "Mul": "b = Mul (one, a)",
    "Div": "b = Div (a, one)",
    "Add": "b = Add (zero, a)",
    "Sub": "b = Sub (a, zero)",
    "Pow": "b = Pow (a, one)",
    "Sum": "b = Sum (a)",
    "Concat": "b = Concat <axis = 1> (a)",
    "Clip": "b = Clip (a)",
    "Split": "b = Split <axis = 1, num_outputs = 1> (a)",
}

SOMETHING = {
    "half": "b = Mul (a, half)",
    "a sum with one": "b = Add (a, one)",
    "a difference from zero": "b = Sub (zero, a)",
    "a quotient of one": "b = Div (one, a)",
    "a border": "b = Pad (a, border)",
    "another shape": "b = Reshape (a, other)",
    "axes exchanged": "b = Transpose <perm = [0, 1, 3, 2]> (a)",
    "rows reversed": "b = Slice (a, reverse_start, reverse_end, axis, back)",
    "rows skipped": "b = MaxPool <kernel_shape = [1, 1], strides = [2, 2]> (a)",
    "another type": "c = Cast <to = 10> (a) b = Cast <to = 1> (c)",
    "twice the size": "b = Resize (a, , twice)",
    "dropout in training mode": "b = Dropout <seed = 1> (a, ratio, training)",
}


def model_of(body: str) -> onnx.ModelProto:
    """Return a model of a Relu, `body` from a to b, and an Abs."""
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]> net (float[2, 3, 4, 5] x) => (y) {CONSTANTS}'
        f" {{ a = Relu (x) {body} y = Abs (b) }}"
    )


def outputs(body: str) -> list[np.ndarray]:
    """Return a and b as onnxruntime computes them, unoptimized."""
    model = model_of(body)
    model.graph.output.extend([onnx.helper.make_tensor_value_info(name, 1, None) for name in ("a", "b")])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    x = np.random.default_rng(5).normal(size=(2, 3, 4, 5)).astype(np.float32)
    return session.run(["a", "b"], {"x": x})


@pytest.mark.parametrize("name", NOTHING)
def test_what_onnxruntime_gives_back_as_it_is_is_found(name):
    given, made = outputs(NOTHING[name])
    np.testing.assert_array_equal(made, given)
    (found,) = findings(NoopLayer, model_of(NOTHING[name]))
    assert found.evidence == {name.split()[0]: 1}


@pytest.mark.parametrize("name", SOMETHING)
def test_what_onnxruntime_changes_is_left_alone(name):
    given, made = outputs(SOMETHING[name])
    assert given.shape != made.shape or not np.array_equal(given, made)
    assert not findings(NoopLayer, model_of(SOMETHING[name]))


def test_a_node_that_works_on_constants_is_left_to_folding():
    body = "n = Identity (half) b = Mul (a, n)"
    assert not findings(NoopLayer, model_of(body))


def test_a_name_for_an_input_that_is_an_output_is_needed():
    walked = lint(
        NoopLayer(),
        to_graph(
            '<ir_version: 8, opset_import: ["" : 15]> net (float[2, 3] x) => (float[2, 3] y, float[2, 3] z)'
            " { y = Identity (x) a = Relu (x) b = Identity (a) z = Abs (b) }"
        ),
    )
    assert [hit.finding.evidence for hit in walked.hits] == [{"Identity": 1}]
    (missed,) = walked.near_misses["WA002"]
    assert "gives an output of the network its name" in missed.reason


def test_a_dropout_whose_mask_is_read_is_left_alone():
    text = (
        '<ir_version: 8, opset_import: ["" : 15]> net (float[2, 3] x) => (float[2, 3] y, bool[2, 3] m)'
        " { a = Relu (x) b, m = Dropout (a) y = Abs (b) }"
    )
    assert not findings(NoopLayer, text)


def test_the_rewrite_is_given_the_node_even_if_no_layer_was_made_of_it():
    (hit,) = lint(NoopLayer(), to_graph(model_of(NOTHING["Identity"]))).hits
    assert hit.finding.layers == ()
    assert [(node.op_type, node.outputs) for node in hit.where] == [("Identity", ("b",))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("INPUT 3x8x8 -> CONV 4 3x3 -> DROPOUT 0.5 -> RELU", False),
        ("INPUT 3x8x8 -> CONV 4 3x3 -> DROPOUT 0 -> RELU", True),
        ("INPUT 3x8x8 -> CONV 4 3x3 -> AVGPOOL 1 stride 1 -> RELU", True),
        ("INPUT 3x8x8 -> CONV 4 3x3 -> AVGPOOL 1 stride 2 -> RELU", False),
    ],
)
def test_in_a_keras_file_dropout_has_work_to_do(text, found):
    assert bool(lint(NoopLayer(), text, source="keras").hits) is found


@pytest.mark.parametrize(("place", "found"), [("relu1", True), ("relu2", False)])
def test_a_linear_activation_at_the_end_of_a_keras_file_gives_the_output_its_type(place, found):
    graph = to_graph("INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> CONV 4 3x3 -> RELU")
    layers = tuple(
        replace(layer, function="linear") if isinstance(layer, Activation) and layer.name == place else layer
        for layer in graph.layers
    )
    assert bool(lint(NoopLayer(), replace(graph, layers=layers), source="keras").hits) is found

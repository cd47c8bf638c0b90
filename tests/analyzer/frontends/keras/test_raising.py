"""What a Keras layer becomes in the graph: names, kinds, types, axes, and what stays opaque."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlint.errors import ModelError
from cnnlint.frontends.keras import load
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Opaque,
    Operator,
    Reshape,
    Transpose,
)
from cnnlint.graph.training import Loss
from keras_cases import by_hand

CONV: dict[str, Any] = {
    "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "dilation_rate": [1, 1], "groups": 1,
    "data_format": "channels_last", "activation": "linear", "use_bias": False,
}  # fmt: skip


def _graph(tmp_path: Path, config: dict[str, Any], arrays: dict[str, tuple[int, ...]], **inputs: Any) -> Graph:
    weights = by_hand.hdf5({key: np.zeros(shape, np.float32) for key, shape in arrays.items()})
    path = by_hand.write_zip(tmp_path / "m.keras", by_hand.members(config, weights))
    return load(path, inputs=inputs)


def _conv(name: str, *calls: str, **options: Any) -> dict[str, Any]:
    return by_hand.layer("Conv2D", name, calls=[[call] for call in calls], **{**CONV, **options})


def _sequence(*layers: dict[str, Any]) -> dict[str, Any]:
    return by_hand.functional(list(layers), [layers[-1]["name"]])


ONE_CONV = {"layers/conv2d/vars/0": (3, 3, 3, 2)}


def test_an_activation_of_a_layer_is_a_layer_named_after_both(tmp_path: Path) -> None:
    model = _sequence(by_hand.image(5, 5, 3), _conv("stem", "image", activation="silu"))
    graph = _graph(tmp_path, model, ONE_CONV)
    conv, activation = graph.layers
    assert isinstance(conv, Conv)
    assert isinstance(activation, Activation)
    assert (conv.name, activation.name, activation.function) == ("stem", "stem/swish", "swish")
    assert [part.name for layer in graph.layers for part in layer.origin] == ["stem", "stem"]
    assert {part.op for layer in graph.layers for part in layer.origin} == {"Conv2D"}


@pytest.mark.parametrize(
    "activation",
    [
        {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "relu", "max_value": 6.0}},
        {"module": "builtins", "class_name": "function", "config": "relu6", "registered_name": "function"},
        {"class_name": "function", "config": "relu6"},
        "relu6",
    ],
)
def test_an_activation_is_read_in_every_spelling(tmp_path: Path, activation: Any) -> None:
    model = _sequence(by_hand.image(5, 5, 3), _conv("stem", "image", activation=activation))
    graph = _graph(tmp_path, model, ONE_CONV)
    assert [layer.function for layer in graph.of_kind(Activation)] == ["relu6"]


def test_an_activation_of_the_users_own_is_opaque(tmp_path: Path) -> None:
    own = {"module": "my.code", "class_name": "function", "config": "relu", "registered_name": "relu"}
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), _conv("stem", "image", activation=own)), ONE_CONV)
    (opaque,) = graph.of_kind(Opaque)
    assert opaque.reason == "the custom activation function relu"
    assert opaque.output.sample_shape == (2, 5, 5)


def test_a_lambda_is_kept_and_its_code_never_run(tmp_path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"value": {"code": "4wEAAAA=", "defaults": None, "closure": None}}}
    made = by_hand.layer("Lambda", "double", calls=[["image"]], function=code)
    after = _conv("stem", "double")
    after["inbound_nodes"][0]["args"][0]["config"] |= {"shape": [None, 5, 5, 3], "dtype": "float16"}
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), made, after), ONE_CONV)
    (opaque,) = graph.of_kind(Opaque)
    assert (opaque.op, opaque.reason) == ("Lambda", "a Lambda layer, whose code is not run")
    assert opaque.output.shape == ("batch", 3, 5, 5), "the shape that the next layer notes, channels first"
    assert opaque.output.dtype == "float16"
    assert not list(graph.of_kind(Transpose))


def test_a_layer_of_the_users_own_has_the_parameters_that_the_file_shows(tmp_path: Path) -> None:
    own = by_hand.layer("Conv2D", "mine", module="acme.layers", calls=[["image"]], trainable=True)
    arrays = {"layers/conv2d/vars/0": (4, 5), "layers/conv2d/inner/vars/0": (6,)}
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), own), arrays)
    (opaque,) = graph.layers
    assert isinstance(opaque, Opaque)
    assert opaque.reason == "a custom layer, from acme.layers"
    assert (graph.parameters, {weight.trainable for weight in opaque.weights}) == (26, {None})


def test_a_subclassed_model_is_one_opaque_layer_with_all_its_parameters(tmp_path: Path) -> None:
    model = {
        "module": "acme",
        "class_name": "Net",
        "config": {"width": 4},
        "build_config": {"input_shape": [None, 8, 8, 3]},
    }
    graph = _graph(tmp_path, model, {"first/vars/0": (3, 4), "second/vars/0": (5,), "optimizer/vars/0": (9,)})
    (opaque,) = graph.layers
    assert (opaque.kind, opaque.origin[0].op, graph.parameters) == ("Opaque", "Net", 17)
    assert graph.inputs[0].shape == ("batch", 3, 8, 8)


def test_two_calls_of_a_layer_share_its_weights(tmp_path: Path) -> None:
    twin = _conv("twin", "image", "other")
    model = by_hand.functional(
        [by_hand.image(5, 5, 3), by_hand.image(7, 7, 3, name="other"), twin], ["twin"], ("image", "other")
    )
    model["config"]["output_layers"] = [["twin", 0, 0], ["twin", 1, 0]]
    graph = _graph(tmp_path, model, ONE_CONV)
    assert [tensor.sample_shape for tensor in graph.outputs] == [(2, 5, 5), (2, 7, 7)]
    assert [layer.weights[0].key for layer in graph.layers] == ["layers/conv2d/vars/0"] * 2
    assert graph.parameters == 54


def test_groups_are_counted_by_class_and_not_by_name(tmp_path: Path) -> None:
    model = _sequence(by_hand.image(5, 5, 3), _conv("b", "image"), _conv("a", "b"))
    graph = _graph(tmp_path, model, {"layers/conv2d/vars/0": (3, 3, 3, 2), "layers/conv2d_1/vars/0": (3, 3, 2, 2)})
    assert [(layer.name, layer.weights[0].key) for layer in graph.layers] == [
        ("b", "layers/conv2d/vars/0"),
        ("a", "layers/conv2d_1/vars/0"),
    ]


def test_a_layer_called_in_training_mode_says_so(tmp_path: Path) -> None:
    norm = by_hand.layer("BatchNormalization", "norm", calls=[["image"]], axis=-1, epsilon=0.5)
    drop = by_hand.layer("Dropout", "drop", calls=[["norm"]], rate=0.25)
    for record in (norm, drop):
        record["inbound_nodes"][0]["kwargs"] = {"training": True}
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), norm, drop), {})
    (batch_norm,), (dropout,) = graph.of_kind(BatchNorm), graph.of_kind(Dropout)
    assert (batch_norm.training, batch_norm.axis, batch_norm.epsilon) == (True, 1, 0.5)
    assert (dropout.training, dropout.rate) == (True, 0.25)


def test_a_norm_over_rows_is_told_from_one_over_channels(tmp_path: Path) -> None:
    norm = by_hand.layer("BatchNormalization", "norm", calls=[["image"]], axis=1)
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 6, 3), norm, _conv("stem", "norm")), ONE_CONV)
    (batch_norm,) = graph.of_kind(BatchNorm)
    assert batch_norm.axis == 2, "the height, with the channels in front"


def test_what_is_not_trained_is_known(tmp_path: Path) -> None:
    norm = by_hand.layer("BatchNormalization", "norm", calls=[["image"]], axis=-1, trainable=True)
    frozen = _conv("frozen", "norm", trainable=False)
    arrays = {f"layers/batch_normalization/vars/{index}": (3,) for index in range(4)}
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), norm, frozen), {**arrays, **ONE_CONV})
    assert {weight.role: weight.trainable for weight in graph.weights} == {
        "gamma": True, "beta": True, "moving_mean": False, "moving_variance": False, "kernel": False,
    }  # fmt: skip


def test_types_follow_the_policy_of_each_layer(tmp_path: Path) -> None:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    model = _sequence(
        by_hand.image(5, 5, 3), _conv("half", "image", dtype=policy), _conv("full", "half", dtype="float32")
    )
    graph = _graph(tmp_path, model, {**ONE_CONV, "layers/conv2d_1/vars/0": (3, 3, 2, 2)})
    assert [layer.output.dtype for layer in graph.layers] == ["float16", "float32"]
    assert graph.layers[0].weights[0].dtype == "float32", "as the file stores it"


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "'stem' .* has no weights in the file"),
        ({"layers/conv2d/vars/0": (1, 2)}, "'stem' .* has 2 weights in the file, but 54 by its configuration"),
    ],
)
def test_weights_that_are_missing_are_not_counted_as_none(
    tmp_path: Path, arrays: dict[str, tuple[int, ...]], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), _conv("stem", "image")), arrays)


def test_open_extents_have_names_and_can_be_set(tmp_path: Path) -> None:
    model = _sequence(by_hand.image(None, None, 3), _conv("stem", "image"))
    assert _graph(tmp_path, model, ONE_CONV).outputs[0].shape == ("batch", 2, "height", "width")
    assert _graph(tmp_path, model, ONE_CONV, image=(1, 32, 24, 3)).outputs[0].shape == (1, 2, 32, 24)


@pytest.mark.parametrize(
    ("name", "shape"), [("image", (1, 32, 24, 4)), ("image", (1, 32, 3)), ("picture", (1, 2, 2, 3))]
)
def test_a_shape_that_does_not_fit_the_input_is_refused(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    model = _sequence(by_hand.image(None, None, 3), _conv("stem", "image"))
    with pytest.raises(ModelError, match=name):
        _graph(tmp_path, model, ONE_CONV, **{name: shape})


def test_flatten_says_which_axis_runs_fastest(tmp_path: Path) -> None:
    flat = by_hand.layer("Flatten", "flat", calls=[["stem"]], data_format="channels_last")
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), _conv("stem", "image"), flat), ONE_CONV)
    assert [layer.order for layer in graph.of_kind(Flatten)] == ["channels_last"]
    graph = _graph(tmp_path, _sequence(by_hand.image(1, 1, 3), _conv("stem", "image"), flat), ONE_CONV)
    assert [layer.order for layer in graph.of_kind(Flatten)] == ["channels_first"], "there is nothing to tell apart"


def test_a_reshape_to_a_map_of_one_position_needs_no_transpose(tmp_path: Path) -> None:
    pool = by_hand.layer("Flatten", "flat", calls=[["image"]])
    up = by_hand.layer("Reshape", "up", calls=[["flat"]], target_shape=[1, 1, 3])
    graph = _graph(tmp_path, _sequence(by_hand.image(1, 1, 3), pool, up, _conv("stem", "up")), ONE_CONV)
    assert [layer.output.shape for layer in graph.of_kind(Reshape)] == [("batch", 3, 1, 1)]
    assert not list(graph.of_kind(Transpose))


def test_a_dense_layer_on_a_map_works_along_its_channels(tmp_path: Path) -> None:
    dense = by_hand.layer("Dense", "mix", calls=[["stem"]], units=7, activation="linear", use_bias=False)
    arrays = {**ONE_CONV, "layers/dense/vars/0": (2, 7)}
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), _conv("stem", "image"), dense), arrays)
    (layer,) = graph.of_kind(Dense)
    assert (layer.axis, layer.output.sample_shape) == (1, (7, 5, 5))


def test_augmentation_is_kept_as_a_layer_that_costs_nothing(tmp_path: Path) -> None:
    flip = by_hand.layer("RandomFlip", "flip", calls=[["image"]], mode="horizontal")
    graph = _graph(tmp_path, _sequence(by_hand.image(5, 5, 3), flip, _conv("stem", "flip")), ONE_CONV)
    (operator,) = graph.of_kind(Operator)
    assert (operator.op, operator.multiplies, operator.output.sample_shape) == ("RandomFlip", False, (3, 5, 5))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", [Loss("mean_squared_error", None)]),
        ("sparse_categorical_crossentropy", [Loss("sparse_categorical_crossentropy", from_logits=False)]),
        (
            {"module": "keras.losses", "class_name": "BinaryCrossentropy", "config": {"from_logits": True}},
            [Loss("binary_crossentropy", from_logits=True)],
        ),
        ({"module": "acme", "class_name": "function", "config": "my_loss"}, [Loss("", None)]),
        (
            {"a": "mae", "b": None},
            [Loss("mean_absolute_error", None, output="a"), Loss("", None, output="b")],
        ),
        (None, []),
    ],
)
def test_losses_are_read_in_every_form(tmp_path: Path, loss: Any, expected: list[Loss]) -> None:
    model = _sequence(by_hand.image(5, 5, 3), _conv("stem", "image"))
    model["compile_config"] = {"optimizer": "adam", "loss": loss}
    assert list(_graph(tmp_path, model, ONE_CONV).training.losses) == expected


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "cycle": (_sequence(by_hand.image(5, 5, 3), _conv("a", "b"), _conv("b", "a")), "form a cycle"),
    "nobody's tensor": (
        _sequence(by_hand.image(5, 5, 3), _conv("a", "ghost")),
        "a layer 'ghost' that it does not have",
    ),
    "missing setting": (
        _sequence(by_hand.image(5, 5, 3), by_hand.layer("Conv2D", "a", calls=[["image"]], filters=2)),
        "layer 'a' \\(Conv2D\\) cannot be read",
    ),
    "wrong setting": (_sequence(by_hand.image(5, 5, 3), _conv("a", "image", kernel_size=[3, 3, 3])), "2 integers"),
    "strange padding": (
        _sequence(by_hand.image(5, 5, 3), _conv("a", "image", padding="odd")),
        "padding 'odd' is not known",
    ),
    "no layer": (by_hand.functional([7], ["a"]), "something that is not a layer"),  # type: ignore[list-item] - on purpose
    "no output": (
        _sequence(by_hand.image(5, 5, 3), _conv("a", "image"))
        | {"config": {"layers": [], "output_layers": [["z", 0, 0]]}},
        "a layer 'z'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_configuration_that_contradicts_itself_is_an_error_of_the_model(tmp_path: Path, case: str) -> None:
    model, message = BROKEN[case]
    with pytest.raises(ModelError, match=message):
        _graph(tmp_path, model, ONE_CONV)


def test_models_nested_without_end_are_refused(tmp_path: Path) -> None:
    record: dict[str, Any] = by_hand.layer("Dense", "last", units=1)
    for depth in range(100):
        record = by_hand.layer("Sequential", f"level{depth}", module="keras", layers=[record])
    with pytest.raises(ModelError, match="nests more than"):
        _graph(tmp_path, record, {})

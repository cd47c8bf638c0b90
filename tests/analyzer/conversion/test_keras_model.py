"""A converted Keras model computes what Keras computes, and is called what Keras calls it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cnnlint.conversion import convert_keras, keras_to_onnx
from cnnlint.errors import ConversionError
from parity import TOLERANCE, drop_softmax, relative_errors

pytestmark = pytest.mark.tf

FIXTURES = Path(__file__).parents[3] / "fixtures" / "models"
WAYS = ["weightless", pytest.param("ordinary", marks=pytest.mark.exhaustive)]
"""The ordinary way is tf2onnx's own, which what cannot go the other takes: a test of each kind always tries it."""

BOTH = pytest.mark.parametrize("convert", ["weightless", "ordinary"], indirect=True)


def perturb(model: Any, seed: int = 0) -> Any:
    """Give every weight a seeded value away from the trivial ones."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "float" not in str(weight.dtype) or weight.name == "count":
            continue
        positive = weight.name in {"gamma", "moving_variance", "variance"}
        value = rng.uniform(0.5, 1.5, weight.shape) if positive else rng.normal(0, 0.3, weight.shape)
        weight.assign(value)
    return model


@pytest.fixture(params=WAYS)
def convert(request: pytest.FixtureRequest) -> Any:
    return lambda model, **options: convert_keras(model, way=request.param, **options).model


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("seed_cnn", "vgg_style", "resnet_style")),
             "mobile_style", "smelly", "branches"],
)  # fmt: skip
def test_a_fixture_gives_what_keras_gives_before_its_softmax(name: str, keras: Any, convert: Any) -> None:
    model = drop_softmax(keras.saving.load_model(FIXTURES / f"{name}.keras", compile=False))
    proto = convert(model)
    onnx.checker.check_model(proto, full_check=True)
    assert max(relative_errors(model, proto)) <= TOLERANCE


def test_the_comparison_sees_one_mirrored_kernel_and_one_small_bias(keras: Any) -> None:
    model = drop_softmax(keras.saving.load_model(FIXTURES / "resnet_style.keras", compile=False))
    for name, change in {
        "stage1_conv2/kernel": lambda value: value[..., ::-1],
        "stage1_conv1/bias": lambda value: value + 1e-3,
    }.items():
        proto = keras_to_onnx(model)
        tensor = next(item for item in proto.graph.initializer if item.name == name)
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))
        assert max(relative_errors(model, proto)) > 10 * TOLERANCE


@BOTH
@pytest.mark.parametrize("fold", [True, False])
def test_every_norm_after_a_convolution_is_folded_only_when_asked(fold: bool, keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(4, 3, name="a"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, name="b"),
            layers.BatchNormalization(scale=False),
            layers.ReLU(),
            layers.Conv2DTranspose(6, 2, strides=2, name="c"),
            layers.BatchNormalization(center=False),
            layers.Dense(5, use_bias=False, name="d"),
        ]
    )
    proto = convert(perturb(net), fold=fold)
    kinds = {node.op_type for node in proto.graph.node}
    assert ("Mul" not in kinds) == fold
    assert max(relative_errors(net, proto)) <= TOLERANCE


def test_norms_and_biases_of_one_dimensional_convolutions_are_folded(keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential(
        [
            layers.Input((40, 3)),
            layers.Conv1D(6, 5, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv1D(3, padding="same"),
            layers.BatchNormalization(scale=False),
            layers.GlobalAveragePooling1D(),
        ]
    )
    proto = convert(perturb(net))
    assert not {"Add", "Mul", "Sub"} & {node.op_type for node in proto.graph.node}
    assert max(relative_errors(net, proto)) <= TOLERANCE


def test_a_norm_before_its_convolution_stays(keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential(
        [
            layers.Input((9, 9, 3)),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(4, 3),
            layers.LayerNormalization(),
        ]
    )
    assert max(relative_errors(perturb(net), convert(net))) <= TOLERANCE


@BOTH
def test_constants_that_a_normalization_captured_are_filled(keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential(
        [
            layers.Input((8, 8, 200)),
            # More than 128 values each: TensorFlow makes a capture of them and not a constant.
            layers.Normalization(mean=np.linspace(-1, 1, 200), variance=np.linspace(0.5, 2, 200)),
            layers.Rescaling(0.5, offset=0.25),
            layers.Conv2D(3, 3),
        ]
    )
    proto = convert(net)
    assert len(proto.graph.input) == 1
    assert max(relative_errors(net, proto)) <= TOLERANCE


def test_an_adapted_normalization_keeps_its_statistics(keras: Any, convert: Any) -> None:
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(3, 2, (64, 4, 4, 3)))
    net = keras.Sequential([keras.layers.Input((4, 4, 3)), norm, keras.layers.Conv2D(2, 2)])
    assert max(relative_errors(net, convert(net))) <= TOLERANCE


def test_a_nested_model_called_twice_keeps_one_set_of_weights(keras: Any, convert: Any) -> None:
    model = keras.saving.load_model(FIXTURES / "branches.keras", compile=False)
    convolutions = [node for node in convert(model).graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 8
    assert len({node.input[1] for node in convolutions}) == 7


@BOTH
def test_inputs_and_outputs_keep_their_names_order_and_open_batch(keras: Any, convert: Any) -> None:
    proto = convert(keras.saving.load_model(FIXTURES / "branches.keras", compile=False))
    assert [value.name for value in proto.graph.input] == ["left", "right"]
    assert [value.name for value in proto.graph.output] == ["same", "mask"]
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_an_input_without_a_name_is_called_as_its_saved_model_calls_it(
    keras: Any, convert: Any, tmp_path: Path
) -> None:
    image = keras.Input((6, 6, 3))
    net = keras.Model(image, keras.layers.Conv2D(2, 3)(image))
    net.save(tmp_path / "net.keras")
    live, saved = convert(net), convert(keras.saving.load_model(tmp_path / "net.keras"))
    assert [value.name for value in live.graph.input] == [value.name for value in saved.graph.input]
    assert [value.name for value in live.graph.input] == [net.layers[0].name]


def test_names_that_no_tensorflow_scope_may_have_are_kept(keras: Any, convert: Any) -> None:
    image = keras.layers.Input((6, 6, 3), name="the image: 1")
    net = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(image))
    proto = convert(net)
    assert [value.name for value in proto.graph.input] == ["the image: 1"]
    assert max(relative_errors(net, proto)) <= TOLERANCE


def test_a_dict_of_inputs_is_fed_by_name(keras: Any, convert: Any) -> None:
    layers = keras.layers
    inputs = {"b": layers.Input((4,), name="b"), "a": layers.Input((4,), name="a")}
    net = keras.Model(inputs, layers.Subtract()([layers.Dense(3)(inputs["a"]), layers.Dense(3)(inputs["b"])]))
    proto = convert(perturb(net))
    values = {name: np.random.default_rng(5).normal(size=(2, 4)).astype("float32") for name in "ab"}
    values["b"] *= 3
    from parity import run_onnx

    given = [values[value.name] for value in proto.graph.input]
    assert np.allclose(run_onnx(proto, given)[0], np.asarray(net(values)), atol=1e-5)


def test_open_height_and_width_stay_open(keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential(
        [layers.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    proto = convert(perturb(net))
    for extent in (20, 33):
        assert max(relative_errors(net, proto, open_extent=extent)) <= TOLERANCE


def test_a_grouped_convolution_that_keras_compiles_is_looked_into(keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential([layers.Input((9, 9, 8)), layers.Conv2D(8, 3, groups=8), layers.Conv2D(4, 3, groups=2)])
    proto = convert(perturb(net))
    assert [node.op_type for node in proto.graph.node].count("Conv") == 2
    assert max(relative_errors(net, proto)) <= TOLERANCE


def test_a_grouped_convolution_over_volumes_keeps_its_groups(keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential([layers.Input((5, 6, 7, 4)), layers.Conv3D(6, 3, groups=2), layers.Conv3D(6, 3, groups=6)])
    proto = convert(perturb(net))
    groups = [item.i for node in proto.graph.node for item in node.attribute if item.name == "group"]
    assert groups == [2, 6]
    assert max(relative_errors(net, proto)) <= TOLERANCE


def test_nodes_and_weights_are_called_by_their_keras_layers(keras: Any, convert: Any) -> None:
    proto = convert(keras.saving.load_model(FIXTURES / "seed_cnn.keras", compile=False))
    scopes = [node.name.split("/")[0] for node in proto.graph.node if node.op_type == "Conv"]
    assert scopes == ["conv2d", "conv2d_1", "conv2d_2"]
    names = {tensor.name for tensor in proto.graph.initializer}
    assert {"conv2d/kernel", "conv2d/bias", "conv2d_1/kernel", "dense/kernel", "dense/bias"} <= names


@pytest.mark.parametrize("opset", [13, 18])
def test_the_asked_opset_is_used(opset: int, keras: Any, convert: Any) -> None:
    model = drop_softmax(keras.saving.load_model(FIXTURES / "resnet_style.keras", compile=False))
    proto = convert(model, opset=opset)
    assert {item.domain: item.version for item in proto.opset_import}[""] == opset
    assert max(relative_errors(model, proto)) <= TOLERANCE


@pytest.mark.parametrize("opset", [6, 1000])
def test_an_opset_that_nobody_knows_is_refused(opset: int) -> None:
    with pytest.raises(ConversionError, match=f"opset {opset} is not supported, only 7 to"):
        keras_to_onnx(FIXTURES / "seed_cnn.keras", opset=opset)


def test_an_h5_file_and_its_keras_archive_convert_to_the_same_weights() -> None:
    first, second = (keras_to_onnx(str(FIXTURES / f"seed_cnn.{ending}")) for ending in ("h5", "keras"))
    assert [node.op_type for node in first.graph.node] == [node.op_type for node in second.graph.node]
    assert {item.name: item.raw_data for item in first.graph.initializer} == {
        item.name: item.raw_data for item in second.graph.initializer
    }


def test_what_tf2onnx_needs_the_kernels_for_goes_the_ordinary_way(keras: Any) -> None:
    layers = keras.layers
    plain = keras.Sequential([layers.Input((8,)), layers.Dense(8)])
    recurrent = keras.Sequential([layers.Input((6, 8)), layers.LSTM(5), layers.Dense(3)])
    assert convert_keras(plain).way == "weightless"
    conversion = convert_keras(perturb(recurrent))
    assert max(relative_errors(recurrent, conversion.model)) <= TOLERANCE


def test_a_number_that_is_added_to_a_convolution_is_not_taken_for_its_bias(keras: Any) -> None:
    # tf2onnx's optimizer of Transposes fails on the 3 in relu6(x + 3) / 6, and left all of them without it.
    image = keras.Input((6, 6, 3))
    once = keras.layers.Conv2D(4, 3, use_bias=False, activation="hard_sigmoid")
    again = keras.layers.Conv2D(5, 3, use_bias=False, activation="hard_sigmoid")
    net = keras.Model(image, again(once(image)))
    conversion = convert_keras(net)
    assert conversion.way == "weightless"
    assert [node.op_type for node in conversion.model.graph.node].count("Transpose") == 2
    assert max(relative_errors(net, conversion.model)) <= TOLERANCE


def test_what_an_optimizer_of_tf2onnx_fails_on_is_converted_without_it(
    keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer: Any = import_module("tf2onnx.optimizer.transpose_optimizer").TransposeOptimizer

    def fail(*_: object) -> None:
        raise ValueError("a graph that it does not know")

    monkeypatch.setattr(optimizer, "optimize", fail)
    image = keras.Input((6, 6, 3))
    net = keras.Model(image, keras.layers.Conv2D(4, 3, activation="relu")(image))
    conversion = convert_keras(net)
    assert conversion.way == "ordinary"
    assert max(relative_errors(net, conversion.model)) <= TOLERANCE


@pytest.mark.parametrize(
    ("kernel_size", "strides"), [(1, 2), (1, 3), (2, 3), (1, 4), ((1, 4), (2, 2)), ((3, 1), (2, 3)), ((2, 5), 3)]
)
def test_a_transposed_convolution_with_strides_beyond_its_kernel_gives_what_keras_gives(
    kernel_size: Any, strides: Any, keras: Any, convert: Any
) -> None:
    image = keras.Input((5, 6, 2))
    layer = keras.layers.Conv2DTranspose(3, kernel_size, strides=strides, padding="same")
    net = perturb(keras.Model(image, layer(image)))
    proto = convert(net)
    onnx.checker.check_model(proto, full_check=True)
    assert max(relative_errors(net, proto)) <= TOLERANCE


def test_half_precision_survives(keras: Any, convert: Any) -> None:
    layers = keras.layers
    net = keras.Sequential([layers.Input((8, 8, 3), dtype="float16"), layers.Conv2D(4, 3, dtype="float16")])
    proto = convert(perturb(net))
    assert max(relative_errors(net, proto)) <= 2e-3


def test_a_live_compiled_model_is_left_as_it_was(keras: Any) -> None:
    layers = keras.layers
    net = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    net.compile("adam", "mse")
    before = [np.asarray(weight).copy() for weight in perturb(net).weights]
    keras_to_onnx(net)
    assert all(np.array_equal(old, new) for old, new in zip(before, net.weights, strict=True))
    assert net.optimizer is not None


def test_a_model_without_inputs_is_refused_with_a_remedy(keras: Any) -> None:
    with pytest.raises(ConversionError, match="has no declared inputs") as caught:
        keras_to_onnx(keras.Sequential([keras.layers.Dense(3)], name="unbuilt"))
    assert caught.value.remedy


def test_an_operation_that_onnx_lacks_is_named_with_its_layer(keras: Any, tmp_path: Path) -> None:
    image = keras.layers.Input((8, 8, 3))
    net = keras.Model(image, keras.ops.fft2((image, image * 0.0))[0])
    with pytest.raises(ConversionError, match=r"FFT2D|Complex"):
        keras_to_onnx(net)
    assert "tensorflow" in sys.modules

"""A file that needs foreign code, or is no model, is refused by name, and nothing of it runs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cnnlint.conversion import keras_to_onnx
from cnnlint.errors import CnnlintError, ConversionError, ModelError

FIXTURES = Path(__file__).parents[3] / "fixtures" / "models"


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.tf
def test_a_lambda_layer_is_named_and_never_run(ending: str, keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    path = tmp_path / f"model.{ending}"
    net = keras.Sequential([layers.Input((4,)), layers.Lambda(lambda x: x * 2, name="twice")])
    net.save(path)
    with pytest.raises(ConversionError, match=r"the layer twice \(Lambda\) holds Python code") as caught:
        keras_to_onnx(path)
    assert caught.value.path == str(path)
    assert caught.value.remedy


@pytest.mark.tf
def test_a_lambda_inside_a_nested_model_is_found(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    inner = keras.Sequential([layers.Input((4,)), layers.Lambda(lambda x: x * 2, name="deep")], name="inner")
    keras.Sequential([layers.Input((4,)), inner, layers.Dense(2)]).save(tmp_path / "model.keras")
    with pytest.raises(ConversionError, match="the layer deep"):
        keras_to_onnx(tmp_path / "model.keras")


@pytest.mark.tf
def test_a_class_that_keras_does_not_know_is_named(keras: Any, tmp_path: Path) -> None:
    class Scale(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.Input((4,)), Scale(name="doubled")]).save(path)
    with pytest.raises(ConversionError, match=r"the layer doubled \(Scale\) has a class that Keras does not know"):
        keras_to_onnx(path)


@pytest.mark.tf
def test_a_registered_class_is_converted(keras: Any, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("cnnlint_tests")
    class Doubled(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.Input((4,)), Doubled()]).save(path)
    assert [node.op_type for node in keras_to_onnx(path).graph.node] == ["Mul"]


@pytest.mark.tf
def test_a_config_that_names_a_python_module_imports_nothing(keras: Any, tmp_path: Path) -> None:
    source, path = FIXTURES / "seed_cnn.keras", tmp_path / "model.keras"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                config = json.loads(content)
                layer = config["config"]["layers"][1]
                layer |= {"module": "this", "class_name": "Zen", "registered_name": "Zen"}
                content = json.dumps(config).encode()
            changed.writestr(name, content)
    with pytest.raises(ConversionError, match=r"the layer conv2d \(Zen\)"):
        keras_to_onnx(path)


@pytest.mark.tf
def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        keras_to_onnx(tmp_path / "absent.keras")


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01random bytes" * 9, b"PK\x03\x04 truncated"], ids=["empty", "random", "zip"]
)
@pytest.mark.tf
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_file_that_is_no_model_gives_one_line(ending: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"model.{ending}"
    path.write_bytes(content)
    with pytest.raises(CnnlintError) as caught:
        keras_to_onnx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.tf
def test_a_file_of_weights_alone_is_refused(keras: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(ConversionError, match="Keras cannot load it"):
        keras_to_onnx(path)

"""A SavedModel is converted through its serving signature, and computes what TensorFlow computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from cnnlint.conversion import savedmodel_to_onnx
from cnnlint.conversion.saved_model import load_signature
from cnnlint.conversion.toolchain import toolchain
from cnnlint.errors import ConversionError, ModelError
from parity import TOLERANCE, drop_softmax, relative_errors

pytestmark = pytest.mark.tf

FIXTURES = Path(__file__).parents[3] / "fixtures" / "models"


@pytest.mark.parametrize(
    "name",
    ["vgg_style", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("resnet_style", "mobile_style"))],
)
def test_an_exported_keras_model_gives_what_keras_gives(name: str, keras: Any, tmp_path: Path) -> None:
    model = drop_softmax(keras.saving.load_model(FIXTURES / f"{name}.keras", compile=False))
    model.export(tmp_path / "exported", verbose=False)
    proto = savedmodel_to_onnx(tmp_path / "exported", opset=17)
    onnx.checker.check_model(proto, full_check=True)
    assert [value.name for value in proto.graph.input] == ["image"]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {item.domain: item.version for item in proto.opset_import}[""] == 17
    assert max(relative_errors(model, proto)) <= TOLERANCE


def test_a_folder_without_a_saved_model_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no saved_model\.pb"):
        savedmodel_to_onnx(tmp_path)


def test_a_saved_model_of_random_bytes_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\x00not a model")
    with pytest.raises(ConversionError) as caught:
        savedmodel_to_onnx(tmp_path)
    assert "\n" not in str(caught.value)


def save(tmp_path: Path, function: Any, signatures: tuple[str, ...]) -> Path:
    tf = toolchain().tensorflow
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])
    tf.saved_model.save(module, tmp_path / "saved", signatures=dict.fromkeys(signatures, module.call))
    return tmp_path / "saved"


def test_the_only_signature_is_taken_whatever_its_name(tmp_path: Path) -> None:
    proto = savedmodel_to_onnx(save(tmp_path, lambda x: {"doubled": x * 2.0}, ("predict",)))
    assert [value.name for value in proto.graph.output] == ["doubled"]


@pytest.mark.parametrize("signatures", [(), ("first", "second")])
def test_without_a_signature_to_take_those_present_are_listed(signatures: tuple[str, ...], tmp_path: Path) -> None:
    expected = "first, second" if signatures else "no signature"
    with pytest.raises(ConversionError, match=expected):
        savedmodel_to_onnx(save(tmp_path, lambda x: {"y": x * 2.0}, signatures))


def test_a_graph_that_writes_files_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    tf = toolchain().tensorflow
    target = tmp_path / "written"

    def call(x: Any) -> Any:
        tf.io.write_file(str(target), "pwned")
        return {"y": x * 2.0}

    with pytest.raises(ConversionError, match=r"\(WriteFile\) does more than compute"):
        savedmodel_to_onnx(save(tmp_path, call, ("serving_default",)))
    assert not target.exists()


def test_captured_constants_are_filled(tmp_path: Path) -> None:
    tf = toolchain().tensorflow
    captured = tf.constant(np.linspace(0, 1, 600, dtype=np.float32).reshape(3, 200))
    proto = savedmodel_to_onnx(save(tmp_path, lambda x: {"y": x @ captured}, ("serving_default",)))
    assert [value.name for value in proto.graph.input] == ["x"]
    assert [tuple(item.dims) for item in proto.graph.initializer] == [(3, 200)]


def test_what_only_the_loader_of_tensorflow_1_reads_is_converted_and_run(
    tmp_path: Path, keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As basic-pitch's SavedModel, whose objects are of an optimizer that a newer TensorFlow does not restore."""
    model = drop_softmax(keras.saving.load_model(FIXTURES / "vgg_style.keras", compile=False))
    model.export(tmp_path / "exported", verbose=False)

    def refuse(path: str) -> Any:
        raise AttributeError("'_UserObject' object has no attribute 'add_slot'")

    monkeypatch.setattr(toolchain().tensorflow.saved_model, "load", refuse)
    proto = savedmodel_to_onnx(tmp_path / "exported")
    assert [value.name for value in proto.graph.input] == ["image"]
    assert max(relative_errors(model, proto)) <= TOLERANCE
    given = np.random.default_rng(5).normal(size=(2, 32, 32, 3)).astype(np.float32)
    (made,) = load_signature(str(tmp_path / "exported")).call({"image": given}).values()
    assert np.abs(np.asarray(made) - np.asarray(model(given, training=False))).max() <= 1e-5

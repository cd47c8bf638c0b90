"""`cnnlint convert` writes what it has verified, and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from acceptance.command import MODELS, cnnlint_process
from cnnlint.cli.commands import commands
from cnnlint.conversion import keras_model as conversion
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.operations.conversion import ConversionReport
from cnnlint.report.json import schema_of

pytestmark = pytest.mark.tf
SEED = MODELS / "seed_cnn.keras"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Keras file small enough that its conversions take no time, with a normalization to fold."""
    layers = toolchain().keras.layers
    model = toolchain().keras.Sequential([
        layers.Input((12, 12, 3), name="image"),
        layers.Conv2D(4, 3, strides=2, use_bias=False, name="stem_conv"),
        layers.BatchNormalization(name="stem_norm"),
        layers.ReLU(name="stem_relu"),
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(5, activation="softmax", name="predictions"),
    ])  # fmt: skip
    path = tmp_path_factory.mktemp("convert") / "net.keras"
    with quiet():
        model.save(path)
    return path


def convert(*args: object) -> Result:
    with quiet():
        return CliRunner().invoke(commands, ["convert", *map(str, args), "--isolated"])


def breaking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every conversion mirror the first kernel."""
    sound = conversion.convert_keras

    def unsound(*args: object, **options: object) -> conversion.Conversion:
        made = sound(*args, **options)  # pyright: ignore[reportArgumentType]
        kernel = next(weight for weight in made.model.graph.initializer if len(weight.dims) == 4)
        mirrored = np.ascontiguousarray(numpy_helper.to_array(kernel)[..., ::-1])
        kernel.CopyFrom(numpy_helper.from_array(mirrored, kernel.name))
        return made

    monkeypatch.setattr(conversion, "convert_keras", unsound)


def test_what_is_written_computes_what_keras_computes(net: Path, tmp_path: Path) -> None:
    output = tmp_path / "net.onnx"
    result = convert(net, "-o", output, "--opset", 13, "--format", "json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    jsonschema.validate(report, schema_of("convert", ConversionReport))
    proto = onnx.load(output)
    assert {entry.version for entry in proto.opset_import if entry.domain == ""} == {13} == {report["opset"]}
    assert report["schema"] == 2
    assert report["written"]
    assert report["way"] == "weightless"
    assert report["nodes"] == len(proto.graph.node)
    assert report["transposes"] == sum(node.op_type == "Transpose" for node in proto.graph.node)
    assert report["norms_left"] == []
    assert report["lint"]["path"] == str(output)
    given = np.random.default_rng(3).normal(size=(2, 12, 12, 3)).astype(np.float32)
    with quiet():
        model = toolchain().keras.saving.load_model(net, compile=False)
        expected = np.asarray(model(given, training=False).numpy())
    (actual,) = onnxruntime.InferenceSession(output).run(None, {"image": given})
    assert np.abs(actual - expected).max() <= 1e-5
    assert max(row["max_rel_error"] for row in report["parity"]["outputs"]) <= report["parity"]["tolerance"]
    assert [row["note"] for row in report["parity"]["outputs"]] == ["", "before the last activation"]


def test_nothing_is_written_where_the_result_is_wrong_unless_forced(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "net.onnx"
    output.write_bytes(b"what was there")
    breaking(monkeypatch)
    result = convert(net, "-o", output)
    assert result.exit_code == 1
    assert output.read_bytes() == b"what was there"
    assert "--force" in result.stderr
    assert "The first difference is at stem_conv" in result.stdout
    forced = convert(net, "-o", output, "--force")
    assert forced.exit_code == 1
    assert onnx.load(output).graph.node
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_saved_model_is_compared_with_tensorflow(net: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "saved", tmp_path / "saved.onnx"
    with quiet():
        toolchain().keras.saving.load_model(net, compile=False).export(folder, verbose=False)
    result = convert(folder, "-o", output, "--format", "json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["way"] == "signature"
    assert report["parity"]["equal"]
    assert output.exists()


def test_without_tensorflow_the_command_that_installs_it_is_named(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx.convert", None)
    result = convert(net, "-o", tmp_path / "model.onnx")
    assert result.exit_code == 2
    assert "pip install 'cnnlint[keras]'" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "output", "cause"),
    [
        ("no-such.keras", "model.onnx", "no such file"),
        (MODELS / "seed_cnn.onnx", "model.onnx", "already an ONNX model"),
        (MODELS, "model.onnx", "is a folder and no SavedModel (give the models in it)"),
        (MODELS.parent / "nets.py", "model.onnx", "is not an ONNX model"),
        (SEED, "model.keras", "not the name of an ONNX file"),
        (SEED, ".", "is a folder"),
        (SEED, "nowhere/model.onnx", "folder does not exist"),
    ],
)
def test_what_cannot_be_meant_is_refused(model: object, output: str, cause: str, tmp_path: Path) -> None:
    result = convert(model, "-o", tmp_path / output)
    assert result.exit_code == 2
    assert cause in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_text_says_what_the_converter_left(net: Path, tmp_path: Path) -> None:
    # a process of its own: in one that used TensorFlow before, its native code may write what it wants
    done = cnnlint_process("convert", net, "-o", tmp_path / "model.onnx", "--isolated")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "weightless conversion in" in done.stdout
    assert "1 Transpose;" in done.stdout
    assert "verified: largest error" in done.stdout

"""`cnnlint compare` tells by its exit code whether models are equal, and by its report where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from acceptance.command import MODELS, cnnlint
from cnnlint.cli.commands import commands
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.report.json import schema_of
from cnnlint.verification.records import ComparisonReport
from networks import write

SEED, VGG = MODELS / "seed_cnn.onnx", MODELS / "vgg_style.onnx"


def compare(*args: object) -> Result:
    with quiet():
        return CliRunner().invoke(commands, ["compare", *map(str, args)])


def faulty(path: Path, layer: str = "block2_conv1") -> Path:
    """Write the small VGG with another bias in one layer."""
    model = onnx.load(VGG)
    node = next(node for node in model.graph.node if node.op_type == "Conv" and node.name.startswith(f"{layer}/"))
    bias = next(weight for weight in model.graph.initializer if weight.name == node.input[2])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.5), bias.name))
    onnx.save(model, path)
    return path


@pytest.mark.tf
def test_a_keras_model_and_its_conversion_are_equal() -> None:
    done = cnnlint("compare", MODELS / "seed_cnn.keras", SEED)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "are equal" in done.stdout
    assert "conv2d_2/relu" in done.stdout


@pytest.mark.tf
def test_a_model_in_h5_is_compared_too() -> None:
    assert compare(MODELS / "seed_cnn.h5", MODELS / "seed_cnn.keras").exit_code == 0


@pytest.mark.tf
def test_a_saved_model_is_run_by_tensorflow(tmp_path: Path) -> None:
    with quiet():
        toolchain().keras.saving.load_model(MODELS / "branches.keras", compile=False).export(
            tmp_path / "saved", verbose=False
        )
    result = compare(tmp_path / "saved", MODELS / "branches.onnx")
    assert result.exit_code == 0, result.output


def test_the_first_layer_that_differs_is_named_and_the_table_ends_after_it(tmp_path: Path) -> None:
    result = compare(VGG, faulty(tmp_path / "faulty.onnx"))
    assert result.exit_code == 1
    assert "The first difference is at block2_conv1:" in result.output
    assert "bias values differ by up to 0.5" in result.output
    assert "(--all shows them)" in result.output
    assert "fc2" not in result.output
    assert "fc2" in compare(VGG, tmp_path / "faulty.onnx", "--all").output


def test_the_tolerance_and_the_seed_are_honored(tmp_path: Path) -> None:
    path = faulty(tmp_path / "faulty.onnx")
    error = json.loads(compare(VGG, path, "--format", "json").stdout)["verification"]["max_rel_error"]
    assert compare(VGG, path, "--tolerance", error * 1.001).exit_code == 0
    assert compare(VGG, path, "--tolerance", error / 1.001).exit_code == 1
    report = json.loads(compare(VGG, VGG, "--seed", "5", "--format", "json").stdout)
    jsonschema.validate(report, schema_of("compare", ComparisonReport))
    assert report["conditions"][0].endswith("seed 5")
    assert report["tolerance"] == min(
        report["verification"]["cap"], report["verification"]["ratio"] * report["verification"]["noise_floor"]
    )
    assert report["equal"]
    assert all(row["max_abs_error"] == 0 for row in report["layers"] if row["verdict"] == "equal")


def test_models_that_take_other_inputs_differ(tmp_path: Path) -> None:
    one = write(tmp_path / "one.onnx", "INPUT 3x16x16 -> CONV 4 3x3 -> GAP -> FC 10")
    other = write(tmp_path / "other.onnx", "INPUT 3x32x32 -> CONV 4 3x3 -> GAP -> FC 10")
    result = compare(one, other)
    assert result.exit_code == 1
    assert "3×16×16" in result.output
    assert "3×32×32" in result.output


def test_what_cannot_be_read_gives_2(tmp_path: Path) -> None:
    result = compare(SEED, tmp_path / "none.onnx")
    assert result.exit_code == 2
    assert "none.onnx" in result.stderr

"""`cnnlint fix` writes a rewritten model only with its verification, and leaves the model alone."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from acceptance.command import MODELS
from cnnlint.cli.commands import commands
from cnnlint.engine.telling import Hit
from cnnlint.fixing import fix as fixing
from cnnlint.fixing.report import FixReport
from cnnlint.report.json import schema_of
from networks import write

VGG = MODELS / "vgg_style.onnx"
FLAT = "INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 16 -> RELU -> FC 10"


def fix(*args: object) -> Result:
    return CliRunner().invoke(commands, ["fix", *map(str, args), "--isolated"])


def ran(path: Path, image: str) -> np.ndarray:
    given = np.random.default_rng(11).normal(size=(2, 32, 32, 3)).astype(np.float32)
    return onnxruntime.InferenceSession(path).run(None, {image: given})[0]


def test_the_written_model_stands_alone_and_computes_the_same(tmp_path: Path) -> None:
    output = tmp_path / "fixed.onnx"
    before = VGG.read_bytes()
    result = fix(VGG, "-o", output, "--select", "FC002")
    assert result.exit_code == 0, result.output
    assert VGG.read_bytes() == before
    onnx.checker.check_model(str(output), full_check=True)
    model = onnx.load(output, load_external_data=False)
    assert all(weight.data_location == onnx.TensorProto.DEFAULT for weight in model.graph.initializer)
    assert not {"MatMul", "Gemm"}.intersection(node.op_type for node in model.graph.node)
    made = {name for node in model.graph.node for name in node.output}
    kernels = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    assert not made.intersection(kernels)  # no kernel is rearranged at run time any more
    image = model.graph.input[0].name
    assert np.abs(ran(output, image) - ran(VGG, image)).max() <= 1e-6


def test_the_rewritten_model_has_nothing_left_to_rewrite(tmp_path: Path) -> None:
    fix(VGG, "-o", tmp_path / "fixed.onnx")
    again = fix(tmp_path / "fixed.onnx", "-o", tmp_path / "again.onnx")
    assert again.exit_code == 0
    assert "nothing to rewrite" in again.output
    assert not (tmp_path / "again.onnx").exists()


def test_diff_shows_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "flat.onnx", FLAT)
    result = fix(path, "--diff")
    assert result.exit_code == 1
    assert "fc1  Conv 8×8" in result.output
    assert "kind Dense → Conv" in result.output
    assert "verified: " in result.output
    assert [entry.name for entry in tmp_path.iterdir()] == ["flat.onnx"]


def test_external_weights_come_into_the_written_model(tmp_path: Path) -> None:
    path = write(tmp_path / "flat.onnx", FLAT)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert fix(path, "-o", tmp_path / "out.onnx").exit_code == 0
    (tmp_path / "weights.bin").unlink()
    assert onnxruntime.InferenceSession(tmp_path / "out.onnx").get_outputs()


def test_a_rewrite_that_changes_the_function_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = fixing.rewrite

    def unsound(place: Hit, program: onnx.ModelProto) -> onnx.ModelProto | None:
        model = sound(place, program)
        assert model is not None
        bias = next(weight for weight in model.graph.initializer if len(weight.dims) == 1 and weight.data_type == 1)
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(1), bias.name))
        return model

    monkeypatch.setattr(fixing, "rewrite", unsound)
    result = fix(write(tmp_path / "flat.onnx", FLAT), "-o", tmp_path / "out.onnx")
    assert result.exit_code == 1
    assert "was not written" in result.stderr
    assert not (tmp_path / "out.onnx").exists()
    report = json.loads(fix(tmp_path / "flat.onnx", "-o", tmp_path / "out.onnx", "--format", "json").stdout)
    assert not report["written"]
    assert not report["verification"]["equivalent"]
    assert not report["parity"]["equal"]
    assert not report["parity"]["verification"]["equivalent"]


def test_the_json_holds_proof_and_difference(tmp_path: Path) -> None:
    report = json.loads(fix(write(tmp_path / "flat.onnx", FLAT), "--diff", "--format", "json").stdout)
    jsonschema.validate(report, schema_of("fix", FixReport))
    assert [applied["code"] for applied in report["applied"]] == ["FC002"]
    assert report["verification"]["equivalent"]
    assert report["parity"]["equal"]
    assert report["diff"]["measures"]


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        ((VGG,), "no output file is given"),
        ((VGG, "--diff", "-o", "x.onnx"), "cannot be combined with -o"),
        ((VGG, "-o", VGG), "the model itself"),
        ((MODELS / "vgg_style.keras", "--diff"), "only local ONNX models"),
        ((VGG, "--diff", "--select", "FC001"), "can rewrite"),
        (("none.onnx", "--diff"), "none.onnx"),
    ],
)
def test_what_cannot_be_meant_is_refused(args: tuple[object, ...], cause: str) -> None:
    result = fix(*args)
    assert result.exit_code == 2
    assert cause in result.stderr

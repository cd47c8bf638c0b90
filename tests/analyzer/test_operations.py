"""Compare, diff, convert and fix from Python, and a lint report as a sequence, as a caller has them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

import cnnlint
import networks
from cnnlint.report.view import View

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
VGG = str(MODELS / "vgg_style.onnx")
RESNET = str(MODELS / "resnet_style.onnx")


def command(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnnlint", *args], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_lint_report_is_a_sequence_of_models():
    report = cnnlint.lint([VGG, RESNET], static=True, isolated=True)
    assert isinstance(report, Sequence)
    assert len(report) == 2
    assert [*report] == [*report[:]] == [*report.models]
    assert report[0] in report
    assert report.index(report[1]) == 1
    assert report.count(report[0]) == 1
    assert [*reversed(report)] == [report[1], report[0]]
    assert report.findings == report[0].findings + report[1].findings


def test_a_lint_report_is_the_json_of_the_command(monkeypatch):
    monkeypatch.chdir(MODELS)
    said = command("--isolated", "--static", "--format", "json", "vgg_style.onnx")
    assert cnnlint.lint("vgg_style.onnx", static=True, isolated=True).to_json() == said.stdout.rstrip("\n")


def test_findings_are_raised_exactly_if_the_exit_code_is_not_zero(tmp_path):
    cnnlint.lint(VGG, static=True, isolated=True).raise_for_findings()
    with pytest.raises(cnnlint.FindingsError, match="FC001"):
        cnnlint.lint(VGG, static=True, isolated=True, fail_on="warning").raise_for_findings()
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(cnnlint.CnnlintError, match=r"empty\.onnx"):
        cnnlint.lint(tmp_path / "empty.onnx", isolated=True).raise_for_findings()


def test_a_table_has_a_row_for_each_finding(monkeypatch):
    report = cnnlint.lint(VGG, static=True, isolated=True)
    table = SimpleNamespace(DataFrame=lambda rows, columns: [dict(zip(columns, row, strict=True)) for row in rows])
    monkeypatch.setitem(sys.modules, "pandas", table)
    rows = report.to_dataframe()
    assert (rows[0]["code"], rows[0]["layers"]) == ("FC001", "fc1")
    assert rows[0]["saved_parameters"] == 15360
    assert len(rows) == len(report.findings)


def test_a_table_without_pandas_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(cnnlint.CnnlintError, match="pandas"):
        cnnlint.lint(VGG, static=True, isolated=True).to_dataframe()


def test_a_diff_fails_on_new_findings_if_asked():
    before, after = MODELS / "resnet_style.onnx", MODELS / "vgg_style.onnx"
    assert cnnlint.diff(before, after, isolated=True).exit_code == 0
    report = cnnlint.diff(before, after, isolated=True, fail_on_new=True)
    assert report.new
    assert report.exit_code == 1
    assert "fail_on_new" not in report.to_json()
    assert cnnlint.diff(after, after, isolated=True, fail_on_new=True).exit_code == 0


def test_a_diff_prints_and_ends_as_the_command(monkeypatch):
    monkeypatch.chdir(MODELS)
    monkeypatch.setenv("COLUMNS", str(View().width))
    said = command("diff", "--isolated", "--max-growth", "params=2%", "resnet_style.onnx", "vgg_style.onnx")
    report = cnnlint.diff("resnet_style.onnx", "vgg_style.onnx", max_growth={"params": "2%"}, isolated=True)
    assert (str(report), report.exit_code) == (said.stdout.rstrip("\n"), said.returncode)
    assert report.exit_code == 1
    assert json.loads(report.to_json())["measures"][0]["after"] == 25914


def test_a_model_in_memory_is_compared_under_its_own_name():
    proto = onnx.load(VGG)
    report = cnnlint.compare(VGG, proto)
    assert report.exit_code == 0
    assert (report.before, report.after) == (VGG, "<onnx.ModelProto vgg_style>")
    proto.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(
            onnx.numpy_helper.to_array(proto.graph.initializer[0]) * 2, proto.graph.initializer[0].name
        )
    )
    assert cnnlint.compare(VGG, proto).exit_code == 1


def test_a_preview_writes_nothing_and_an_output_is_written_verified(tmp_path):
    proto = onnx.load(VGG)
    before = proto.SerializeToString()
    preview = cnnlint.fix(proto, select=["FC002"], isolated=True)
    assert (preview.exit_code, preview.written, [each.code for each in preview.applied]) == (1, False, ["FC002"])
    done = cnnlint.fix(proto, tmp_path / "fixed.onnx", select=["FC002"], isolated=True)
    assert (done.exit_code, done.written) == (0, True)
    assert proto.SerializeToString() == before
    assert cnnlint.compare(VGG, tmp_path / "fixed.onnx").equal
    assert "/tmp" not in preview.to_json()
    assert str(done).startswith("<onnx.ModelProto vgg_style> → ")


@pytest.mark.parametrize(
    ("job", "error"),
    [
        (lambda: cnnlint.lint(VGG, isolated=True, select=["XX999"]), cnnlint.ConfigError),
        (lambda: cnnlint.compare(VGG, "missing.onnx"), cnnlint.CnnlintError),
        (lambda: cnnlint.diff(VGG, VGG, max_growth={"parms": "2%"}), cnnlint.ConfigError),
        (lambda: cnnlint.convert(VGG, "out.keras"), cnnlint.ConfigError),
        (lambda: cnnlint.fix(VGG, "missing/out.onnx"), cnnlint.ConfigError),
        (lambda: cnnlint.fix(VGG, any_size=True, select=["FC"]), cnnlint.ConfigError),
        (lambda: cnnlint.fix(5), cnnlint.CnnlintError),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_goes_wrong_is_an_error_of_cnnlint_that_does_not_speak_of_the_command_line(job, error):
    with pytest.raises(error) as raised:
        job()
    assert "command line" not in str(raised.value)
    assert "--" not in str(raised.value)


def test_an_error_about_a_model_in_memory_names_no_temporary_file(tmp_path):
    proto = onnx.load(networks.write(tmp_path / "flat.onnx", networks.FLAT))
    proto.graph.node[0].op_type = "Nonesuch"
    with pytest.raises(cnnlint.CnnlintError) as raised:
        cnnlint.compare(proto, proto)
    assert "/tmp" not in str(raised.value)
    assert "<onnx.ModelProto" in str(raised.value)


@pytest.mark.slow
@pytest.mark.tf
@pytest.mark.filterwarnings("ignore")  # what TensorFlow and Keras warn of themselves
def test_a_live_keras_model_is_converted_compared_and_verified(tmp_path):
    keras = pytest.importorskip("keras")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(image)), name="small")
    report = cnnlint.convert(model, tmp_path / "small.onnx", isolated=True)
    assert (report.written, report.source, report.parity.equal) == (True, "<keras.Model small>", True)
    assert cnnlint.compare(model, tmp_path / "small.onnx").exit_code == 0

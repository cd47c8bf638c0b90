"""`import cnnlint`."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import onnx
import pytest

import cnnlint
from acceptance.command import MODELS, SEED, VGG


def test_a_path_gives_a_report() -> None:
    report = cnnlint.lint(SEED, isolated=True, static=True)
    (model,) = report.models
    assert (model.format, model.parameters, model.macs, model.weight_bytes) == ("onnx", 19_189, 58_225_152, 76_756)
    assert report.exit_code == 0
    assert cnnlint.lint(str(SEED), isolated=True, static=True) == report


def test_a_model_in_memory_gives_the_findings_of_its_file() -> None:
    proto = onnx.load(VGG)
    before = proto.SerializeToString()
    (held,) = cnnlint.lint(proto, isolated=True).models
    (stored,) = cnnlint.lint(VGG, isolated=True).models
    assert held.path == "<onnx.ModelProto vgg_style>"
    assert [finding.message for finding in held.findings] == [finding.message for finding in stored.findings]
    assert [finding.verification is not None for finding in held.findings] == [False, True]
    assert proto.SerializeToString() == before


def test_printing_a_report_gives_what_the_command_line_gives(tmp_path: Path) -> None:
    report = cnnlint.lint(VGG, isolated=True, static=True)
    shown = str(report)
    assert "warning[FC001] flatten-dense-dominates" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines()[1:])) <= 200
    assert repr(report) == "<cnnlint.Report: models 1, findings 2>"


class Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said = ""

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.mark.parametrize("make", [cnnlint.lint, cnnlint.summarize])
def test_a_notebook_shows_the_same_text_safely(make: type) -> None:
    proto = onnx.load(VGG)
    proto.graph.name = "<script>alert(1)</script>"
    shown = make(proto)._repr_html_()
    assert "<script>" not in shown
    reader = Text()
    reader.feed(shown)
    assert "<script>alert(1)</script>" in reader.said
    assert "25,914" in reader.said


def test_a_summary_has_the_numbers_of_every_layer() -> None:
    (model,) = cnnlint.summarize(MODELS / "seed_cnn.keras").models
    assert next(layer.formula for layer in model.layers if layer.formula) == "(16 × 2 × 2 × 3) + 16 = 208"
    assert model.pattern == "INPUT -> [CONV -> RELU -> POOL]*3 -> GAP -> FC"


def test_a_bad_model_is_an_error_in_the_report_and_a_wrong_argument_is_raised(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    report = cnnlint.lint([tmp_path / "empty.onnx", SEED], isolated=True, static=True)
    assert report.exit_code == 2
    bad, good = report.models
    assert bad.error is not None
    assert bad.error.endswith("empty.onnx: the file is empty")
    assert good.parameters == 19_189
    with pytest.raises(cnnlint.ConfigError, match="ZZ001"):
        cnnlint.lint(SEED, isolated=True, select=["ZZ001"])
    with pytest.raises(cnnlint.CnnlintError):
        cnnlint.lint(3)  # pyright: ignore[reportArgumentType]


def test_importing_is_cheap() -> None:
    heavy = "{'numpy', 'onnx', 'onnxruntime', 'h5py', 'rich', 'tensorflow', 'keras', 'click'}"
    script = f"import sys, cnnlint; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"[]\n"


@pytest.mark.slow
@pytest.mark.tf
@pytest.mark.filterwarnings("ignore")  # what TensorFlow and Keras warn of themselves
def test_a_live_keras_model_gives_the_findings_of_its_file() -> None:
    keras = pytest.importorskip("keras")
    model = keras.models.load_model(MODELS / "seed_cnn.keras")
    (held,) = cnnlint.lint(model, isolated=True).models
    (stored,) = cnnlint.lint(MODELS / "seed_cnn.keras", isolated=True).models
    assert (held.path, held.parameters, held.macs) == ("<keras.Model seed_cnn>", 19_189, 58_225_152)
    assert [finding.message for finding in held.findings] == [finding.message for finding in stored.findings]

"""`cnnlint summary`, as its readers know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.command import MODELS, SEED, VGG, cnnlint, summary_json
from acceptance.nets import model, value, write

SEED_FILES = [MODELS / f"seed_cnn.{suffix}" for suffix in ("keras", "h5", "onnx")]


@pytest.mark.parametrize("path", SEED_FILES, ids=lambda path: path.suffix)
def test_explain_shows_the_formulas_of_the_seed_network(path: Path) -> None:
    shown = cnnlint("summary", path, "--explain").stdout
    for text in (
        "(16 × 2 × 2 × 3) + 16 = 208",
        "(32 × 2 × 2 × 16) + 32 = 2,080",
        "(64 × 2 × 2 × 32) + 64 = 8,256",
        "(133 × 64) + 133 = 8,645",
        "⌊(224 + 0 − 2) / 1⌋ + 1 = 223",
        "⌊(223 + 0 − 2) / 2⌋ + 1 = 111",
        "⌊(111 + 0 − 2) / 1⌋ + 1 = 110",
        "⌊(110 + 0 − 2) / 2⌋ + 1 = 55",
        "⌊(55 + 0 − 2) / 1⌋ + 1 = 54",
        "⌊(54 + 0 − 2) / 2⌋ + 1 = 27",
        "19,189",
        "INPUT -> [CONV -> RELU -> POOL]*3 -> GAP -> FC",
    ):
        assert text in shown, text


def test_the_json_has_the_documented_keys() -> None:
    (found,) = summary_json(SEED)
    assert {
        "path", "format", "pattern", "parameters", "trainable_parameters", "macs", "weight_bytes",
        "peak_activation_bytes", "file_bytes", "layers",
    } <= set(found)  # fmt: skip
    for layer in found["layers"]:
        assert {"name", "kind", "output_shape", "parameters", "macs", "receptive_field", "formula"} <= set(layer)
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"]) == 19_189
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"])
    assert found["file_bytes"] == SEED.stat().st_size
    assert found["layers"][0]["output_shape"] == [3, 224, 224], "channels first, without the batch"


def test_trainable_parameters_are_known_where_the_format_says_so() -> None:
    keras, h5, onnx = summary_json(*SEED_FILES)
    assert (keras["trainable_parameters"], h5["trainable_parameters"]) == (19_189, 19_189)
    assert onnx["trainable_parameters"] is None


def test_extents_that_are_not_numbers_are_null(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", model(inputs=[value("x", ["N", 3, "height", None])]))
    (found,) = summary_json(path)
    assert [layer["output_shape"] for layer in found["layers"]] == [[3, None, None], [4, None, None]]
    assert (found["parameters"], found["macs"], found["peak_activation_bytes"]) == (108, None, None)


def test_patterns_are_written_in_the_notation_of_the_field() -> None:
    patterns = {Path(found["path"]).stem: found["pattern"] for found in summary_json(VGG, MODELS / "resnet_style.onnx")}
    assert patterns["vgg_style"] == "INPUT -> [[CONV -> RELU]*2 -> POOL]*3 -> [FC -> RELU]*2 -> FC"
    assert "RES[" in patterns["resnet_style"]


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_the_table_fits_the_terminal(columns: int) -> None:
    shown = cnnlint("summary", SEED, COLUMNS=str(columns)).stdout
    table, *_ = shown.split("\nparameters ")
    assert max(map(len, table.splitlines()[1:])) <= columns
    assert ("▏" in table) == (columns >= 100), "shares are bars where there is room"


def test_a_model_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    done = cnnlint("summary", tmp_path / "empty.onnx", SEED)
    assert done.returncode == 2
    assert "empty.onnx: the file is empty" in done.stderr
    assert "19,189" in done.stdout

"""What a program reads of a lint."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from onnx import TensorProto

from acceptance.command import MODELS, ROOT, SEED, VGG, cnnlint, lint_json
from acceptance.nets import array, model, node, value, write

FINDING = {
    "code", "name", "severity", "confidence", "layers", "message", "evidence", "suggestion", "savings", "fingerprint",
}  # fmt: skip
MODEL = {"path", "format", "parameters", "macs", "weight_bytes", "peak_activation_bytes", "findings", "error"}
FIXTURES = sorted(MODELS.glob("*.onnx")) + sorted(MODELS.glob("*.keras"))


@pytest.fixture(scope="module")
def models() -> list[dict[str, Any]]:
    return lint_json(*FIXTURES, "--isolated", "--static", "--pedantic")


def test_the_documented_keys_are_there(models: list[dict[str, Any]]) -> None:
    for found in models:
        assert set(found) >= MODEL
        for finding in found["findings"]:
            assert set(finding) >= FINDING
            assert finding["severity"] in {"error", "warning", "info"}
            assert finding["confidence"] in {"exact", "heuristic", "opinion"}


def test_a_whole_document_fits_the_published_schema() -> None:
    document = json.loads(cnnlint(SEED, VGG, "nowhere.onnx", "--isolated", "--format", "json").stdout)
    schema = json.loads((ROOT / "docs" / "schema" / "lint.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert document["schema"] == 2


def test_whole_numbers_in_a_message_stand_in_the_evidence_or_are_the_shapes_of_layers(
    models: list[dict[str, Any]],
) -> None:
    """Every number with a thousands separator is exact evidence, of the finding or of the model."""
    for found in models:
        for finding in found["findings"]:
            known = {*finding["evidence"].values(), found["parameters"], found["macs"], found["weight_bytes"]}
            for number in re.findall(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d.]| [kMGT]\b)", finding["message"]):
                assert int(number.replace(",", "")) in known, (finding["message"], finding["evidence"])


def test_messages_are_one_sentence_said_in_one_breath(models: list[dict[str, Any]]) -> None:
    messages = [finding["message"] for found in models for finding in found["findings"]]
    assert len(messages) > 20
    for message in messages:
        assert message.endswith("."), message
        assert ". " not in message, message
        assert "\n" not in message
        assert len(message.split()) <= 45, message


def test_fingerprints_tell_findings_apart_and_hold_no_number_of_the_model(tmp_path: Path) -> None:
    (found,) = lint_json(VGG, "--isolated", "--static")
    prints = [finding["fingerprint"] for finding in found["findings"]]
    assert len(prints) == len(set(prints)) > 1
    (tmp_path / "cnnlint.toml").write_text("[severity]\nFC001 = 'error'\n", encoding="utf-8")
    (graver,) = lint_json(VGG, "--config", tmp_path / "cnnlint.toml", "--static")
    assert {finding["fingerprint"] for finding in graver["findings"]} == set(prints)


def test_the_flattened_head_of_the_vgg_style_network_is_found_with_its_numbers() -> None:
    (found,) = lint_json(VGG, "--isolated", "--select", "FC001")
    (finding,) = found["findings"]
    held, total, after = 256 * 64 + 64, 25_914, 16 * 64 + 64
    assert found["parameters"] == total
    assert finding["layers"] == ["fc1"]
    assert finding["evidence"]["parameters"] == held
    assert finding["evidence"]["parameters_after"] == after
    assert finding["evidence"]["share"] == pytest.approx(held / total)
    assert finding["savings"]["parameters"] == held - after
    assert f"{held:,} of {total:,}" in finding["message"]
    assert "GlobalAveragePooling2D" in finding["suggestion"]


def test_a_network_without_convolutions_is_not_told_to_become_one(tmp_path: Path) -> None:
    nodes = [node("GlobalAveragePool", "x", "a"), node("Flatten", "a", "b"), node("MatMul", "b w", "y", "dense")]
    path = write(
        tmp_path / "net.onnx",
        model(nodes, [array("w", 16, 5)], inputs=[value("x", ["N", 16, 10])], outputs=[value("y", ["N", 5])]),
    )
    (found,) = lint_json(path, "--isolated", "--static")
    assert found["findings"] == []


def test_dynamic_quantization_depends_on_the_batch_and_breaks_nothing(tmp_path: Path) -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("ConvInteger", "q w z", "sums", "conv"),
        node("Cast", "sums", "real", to=TensorProto.FLOAT),
        node("Mul", "real s", "y"),
    ]
    net = model(nodes, [array("w", 4, 3, 3, 3, dtype=np.uint8)], inputs=[value("x", ["N", 3, 12, 12])])
    (found,) = lint_json(write(tmp_path / "net.onnx", net), "--isolated", "--select", "RT004")
    (finding,) = found["findings"]
    assert finding["severity"] == "info"
    assert "quantized by the range of the whole batch" in finding["message"]


def test_the_rewrite_is_verified_on_the_users_model() -> None:
    (found,) = lint_json(VGG, "--isolated", "--select", "FC002")
    (finding,) = found["findings"]
    assert finding["verification"]["equivalent"]
    assert 0 < finding["verification"]["max_abs_error"] < 1e-3
    assert len(finding["verification"]["tensors"]) == 2, "the probabilities and what stands before the softmax"

"""What one command says of two models, no other denies: lint, fix, compare and diff on the same rewrite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acceptance.command import MODELS, cnnlint


@pytest.fixture
def pooled(tmp_path: Path) -> tuple[str, str]:
    """Return the options by which FC002 speaks of pooled heads too."""
    path = tmp_path / "pooled.toml"
    path.write_text("[rules.FC002]\npooled-heads = true\n")
    return "--config", str(path)


@pytest.mark.parametrize(
    "name",
    [
        "branches", "torch_twin", "vgg_style",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("mobile_style", "resnet_style", "seed_cnn")),
    ],
)  # fmt: skip
def test_a_rewrite_that_a_lint_verifies_is_written_and_compares_equal(
    name: str, tmp_path: Path, pooled: tuple[str, str]
) -> None:
    model, fixed = MODELS / f"{name}.onnx", tmp_path / "fixed.onnx"
    linted = json.loads(cnnlint(model, *pooled, "--select", "FC002", "--format", "json").stdout)
    (finding,) = linted["models"][0]["findings"]
    said = json.loads(cnnlint("fix", model, "-o", fixed, *pooled, "--select", "FC002", "--format", "json").stdout)
    compared = cnnlint("compare", model, fixed, "--format", "json")
    again = json.loads(compared.stdout)
    verdicts = (
        finding["verification"]["equivalent"],
        said["parity"]["equal"],
        said["parity"]["verification"]["equivalent"],
        said["written"],
        fixed.exists(),
        again["equal"],
        again["verification"]["equivalent"],
        compared.returncode == 0,
    )
    assert all(verdicts), verdicts
    assert not [row for row in again["layers"] if row["verdict"] == "differs"]
    assert again["origins"] == []
    # the same judgment: rounding here, cap and ratio alike
    assert {
        verification["cap"]
        for verification in (finding["verification"], said["parity"]["verification"], again["verification"])
    } == {1e-4}
    assert finding["verification"]["ratio"] == again["verification"]["ratio"]
    assert said["parity"]["verification"]["max_rel_error"] == again["verification"]["max_rel_error"]


def test_all_commands_use_the_same_words(tmp_path: Path, pooled: tuple[str, str]) -> None:
    model, fixed = MODELS / "torch_twin.onnx", tmp_path / "fixed.onnx"
    texts = [
        cnnlint(model, *pooled, "--select", "FC002", "--verbose").stdout,
        cnnlint("fix", model, "-o", fixed, *pooled).stdout,
        cnnlint("compare", model, fixed).stdout,
    ]
    assert all("verified: largest error" in text for text in texts)
    assert not any("prove" in text for text in texts)

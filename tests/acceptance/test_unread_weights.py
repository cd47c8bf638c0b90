"""A Keras model whose weights unpack to more than the limit is linted, and nothing is claimed of its weights.

Its twin in the fixtures, whose weights are read, says what everything else has to be.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cnnlint as package
from acceptance.command import MODELS, cnnlint, lint_json, summary_json
from cnnlint.frontends import load
from cnnlint.graph.layers import Attention, BatchNorm, Conv, ConvTranspose, Dense, LayerNorm, Opaque, Recurrent
from cnnlint.limits import UNPACKED_SPARE
from keras_cases import by_hand

LIMIT = "model.weights.h5 unpacks to more than"
SAID = "the weights are unknown: " + LIMIT


def bombed(twin: Path, path: Path) -> Path:
    """Write a Keras archive like `twin`, its weights followed by zeros that go beyond the limit when unpacked."""
    with zipfile.ZipFile(twin) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["model.weights.h5"] += bytes(UNPACKED_SPARE * 2)
    by_hand.write_zip(path, files, zipfile.ZIP_DEFLATED)
    return path


@pytest.fixture(scope="module", params=["seed_cnn", "vgg_style", "resnet_style"])
def twins(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a fixture, and the same whose weights are over the limit."""
    twin = MODELS / f"{request.param}.keras"
    return twin, bombed(twin, tmp_path_factory.mktemp("bombs") / f"{request.param}.keras")


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bombed(MODELS / "seed_cnn.keras", tmp_path_factory.mktemp("bomb") / "seed.keras")


def test_layers_shapes_and_macs_are_those_of_the_twin_and_parameters_unknown(twins: tuple[Path, Path]) -> None:
    known, unknown = (summary_json(path)[0] for path in twins)
    assert known["parameters"] > 0
    for field in ("parameters", "trainable_parameters", "weight_bytes"):
        assert unknown[field] is None
    for field in ("macs", "peak_activation_bytes", "pattern"):
        assert unknown[field] == known[field]
    for before, after in zip(known["layers"], unknown["layers"], strict=True):
        assert after["parameters"] == (None if before["parameters"] else 0), after["name"]
        assert after["formula"] is None
        for field in ("name", "kind", "output_shape", "macs", "receptive_field", "mac_formula", "activation_bytes"):
            assert after[field] == before[field]
    assert [note for note in unknown["notes"] if note.startswith(SAID)]
    assert known["notes"] == []


def test_text_says_unknown_and_names_the_limit(seed: Path) -> None:
    done = cnnlint("--static", "--isolated", seed, COLUMNS="200")
    assert done.returncode == 0
    assert "unknown parameters · 58.2 M MACs · weights unknown" in done.stdout
    assert SAID in done.stdout
    assert done.stderr == ""


def test_summary_text_says_unknown_and_names_the_limit(seed: Path) -> None:
    done = cnnlint("summary", "--explain", seed, COLUMNS="200")
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["parameters", "unknown"] in lines
    assert ["weights", "unknown"] in lines
    assert [row[3] for row in lines if row[:2] in (["conv2d", "Conv"], ["dense", "Dense"]) and len(row) > 3] == [
        "?"
    ] * 2
    assert "largest layer" not in done.stdout
    assert SAID in done.stdout


def test_json_has_null_for_every_count_of_weights(seed: Path) -> None:
    (model,) = lint_json("--static", "--isolated", seed)
    assert model["error"] is None
    assert (model["parameters"], model["weight_bytes"]) == (None, None)
    assert model["sites"]["conv2d"]["parameters"] is None
    assert model["sites"]["conv2d/relu"]["parameters"] == 0
    assert [note for note in model["notes"] if SAID in note]


@pytest.mark.parametrize("form", ["concise", "jsonl", "markdown", "github", "gitlab", "junit", "sarif", "html"])
def test_every_other_format_is_written_too(seed: Path, form: str) -> None:
    done = cnnlint("--static", "--isolated", "--max-params", "5M", "--format", form, seed)
    assert done.returncode == 1
    assert "model.weights.h5" in done.stdout


def test_budgets_on_weights_are_over_with_the_reason_and_others_hold(seed: Path) -> None:
    flags = ["--max-params=5M", "--max-weight-bytes=5MB", "--max-layer-share=90%", "--max-macs=60M", "--max-layers=20"]
    (model,) = lint_json("--static", "--isolated", "--max-file-bytes=1MB", *flags, seed)
    results = {budget["quantity"]: budget for budget in model["budgets"]}
    for quantity in ("params", "weight_bytes", "layer_share"):
        assert results[quantity]["measured"] is None
        assert not results[quantity]["passed"]
        assert results[quantity]["reason"].startswith(LIMIT)
    for quantity in ("macs", "layers", "file_bytes"):
        assert results[quantity]["passed"]
    broken = [finding["message"] for finding in model["findings"] if finding["code"] == "BG001"]
    assert len(broken) == 3
    assert all("cannot be checked because " + LIMIT in message for message in broken)


def test_rules_that_count_weights_are_silent_with_the_reason(tmp_path: Path) -> None:
    path = str(bombed(MODELS / "vgg_style.keras", tmp_path / "vgg.keras"))
    known = package.lint(str(MODELS / "vgg_style.keras"), static=True, isolated=True).models[0]
    unknown = package.lint(path, static=True, isolated=True).models[0]
    counting = {"FC001", "FC002"}
    assert counting <= {finding.code for finding in known.findings}
    assert {finding.code for finding in known.findings} - counting == {finding.code for finding in unknown.findings}
    for code in counting:
        done = cnnlint("explain", code, "--on", path, COLUMNS="200")
        assert SAID in done.stdout
        assert "0 findings" in done.stdout


@pytest.mark.parametrize("is_first", [True, False])
def test_a_diff_with_a_known_twin_says_unknown_and_finds_the_layers_the_same(
    twins: tuple[Path, Path], *, is_first: bool
) -> None:
    paths = twins[::-1] if is_first else twins
    done = cnnlint("diff", "--isolated", "--max-growth", "params=2%", *paths, "--format", "json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    measures = {measure["quantity"]: measure for measure in report["measures"]}
    side, other = ("before", "after") if is_first else ("after", "before")
    for quantity in ("params", "weight_bytes"):
        assert measures[quantity][side] is None
        assert measures[quantity][other] > 0
        assert measures[quantity]["reason"].startswith(LIMIT)
    assert measures["macs"]["before"] == measures["macs"]["after"]
    assert report["layers"] == []
    (growth,) = report["growth"]
    assert (growth["growth"], growth["passed"]) == (None, False)
    text = cnnlint("diff", "--isolated", *paths).stdout
    assert [line for line in text.splitlines() if line.startswith("parameters") and "unknown" in line]


def test_a_diff_says_of_a_layer_that_is_new_that_its_parameters_are_unknown(tmp_path: Path) -> None:
    path = bombed(MODELS / "vgg_style.keras", tmp_path / "vgg.keras")
    report = json.loads(cnnlint("diff", "--isolated", MODELS / "seed_cnn.keras", path, "--format", "json").stdout)
    added = {layer["kind"]: layer["parameters"] for layer in report["layers"] if layer["status"] == "added"}
    assert added["Conv"] is None
    assert added.get("Activation", 0) == 0
    text = cnnlint("diff", "--isolated", "--all", MODELS / "seed_cnn.keras", path).stdout
    assert "unknown parameters" in text


def test_every_kind_of_layer_that_holds_weights_holds_unknown_ones(tmp_path: Path) -> None:
    make = by_hand.layer
    records = [
        make("SeparableConv2D", "split", filters=8, kernel_size=3, padding="same"),
        make("DepthwiseConv2D", "depth", kernel_size=3, padding="same"),
        make("Conv2DTranspose", "up", filters=4, kernel_size=2, strides=2),
        make("BatchNormalization", "bn", axis=-1),
        make("TimeDistributed", "rows", layer=make("Dense", "row", units=5)),
        make("TimeDistributed", "flat", layer=make("Flatten", "flatten")),
        make("LayerNormalization", "ln", axis=-1),
        make("Bidirectional", "both", layer=make("LSTM", "cell", units=6, return_sequences=True)),
        make("MultiHeadAttention", "heads", num_heads=2, key_dim=3),
        make("GRU", "last", units=7),
        make("Lambda", "code"),
        make("Mystery", "own", module="somebody.layers"),
        make("Dense", "scores", units=3, activation="softmax"),
    ]
    names = ["image", *(record["name"] for record in records)]
    for record, source in zip(records, names, strict=False):
        record["inbound_nodes"] = make("X", "x", calls=[[source]])["inbound_nodes"]
    heads = next(record for record in records if record["name"] == "heads")
    heads["inbound_nodes"] = [{"args": [by_hand.tensor("both"), by_hand.tensor("both")], "kwargs": {}}]
    weights = by_hand.hdf5({"layers/dense/vars/0": np.ones((3, 2), np.float32)}) + bytes(UNPACKED_SPARE * 2)
    files = by_hand.members(by_hand.functional([by_hand.image(8, 8, 3), *records], ["scores"]), weights)
    graph = load(by_hand.write_zip(tmp_path / "m.keras", files, zipfile.ZIP_DEFLATED))
    holding = (Conv, ConvTranspose, BatchNorm, Dense, LayerNorm, Recurrent, Attention, Opaque)
    held = {layer.name: layer.parameters for layer in graph.layers if isinstance(layer, holding)}
    wanted = ["split/depthwise", "split/pointwise", "depth", "up", "bn", "rows/row", "ln", "both", "heads", "last"]
    assert held == dict.fromkeys([*wanted, "code", "own", "scores"])
    others = [layer.parameters for layer in graph.layers if layer.name not in held]
    assert set(others) == {0}
    shapes = {layer.name: layer.output.sample_shape for layer in graph.layers}
    assert shapes["split/pointwise"] == (8, 8, 8)
    assert shapes["up"] == (4, 16, 16)
    assert graph.parameters is None
    assert graph.unused == ()


def test_a_model_in_a_model_and_one_without_listed_layers_are_unknown_as_a_whole(tmp_path: Path) -> None:
    inner = by_hand.functional([by_hand.image(3), by_hand.layer("Dense", "fc", calls=[["image"]], units=2)], ["fc"])
    inner = {**inner, "name": "encoder", "inbound_nodes": by_hand.layer("X", "x", calls=[["image"]])["inbound_nodes"]}
    inner["config"]["name"] = "encoder"
    nested = by_hand.functional([by_hand.image(3), inner], [])
    nested["config"]["output_layers"] = [["encoder", 1, 0]]
    subclassed = {"module": "somebody", "class_name": "Net", "config": {"name": "net"}, "build_config": {}}
    weights = by_hand.hdf5({"layers/dense/vars/0": np.ones((3, 2), np.float32)}) + bytes(UNPACKED_SPARE * 2)
    for name, config in (("nested", nested), ("subclassed", subclassed)):
        files = by_hand.members(config, weights)
        graph = load(by_hand.write_zip(tmp_path / f"{name}.keras", files, zipfile.ZIP_DEFLATED))
        assert [layer.parameters for layer in graph.layers] == [None]
        assert graph.parameters is None


def test_what_is_not_unpacked_is_not_given_to_keras_either(seed: Path) -> None:
    done = cnnlint("--run", "--isolated", seed, "--format", "json")
    assert done.returncode == 2
    (model,) = json.loads(done.stdout)["models"]
    (finding,) = [finding for finding in model["findings"] if finding["code"] == "RT006"]
    assert "it is not given to Keras: " + LIMIT in finding["message"]


@pytest.mark.tf
def test_it_is_neither_converted_nor_compared(seed: Path, tmp_path: Path) -> None:
    for arguments in (["convert", seed, "-o", tmp_path / "m.onnx"], ["compare", seed, MODELS / "seed_cnn.keras"]):
        done = cnnlint(*arguments)
        assert done.returncode == 2
        assert "it is not given to Keras: " + LIMIT in done.stderr
    assert not (tmp_path / "m.onnx").exists()

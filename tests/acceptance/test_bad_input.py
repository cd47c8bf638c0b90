"""Whatever the file is: one line that names it and the cause, exit code 2, nothing changed, the others done."""

from __future__ import annotations

import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest

from acceptance.command import MODELS, SEED, cnnlint
from acceptance.nets import CONV, array, claimed, external, model, node, value, write

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 12345\n"
HUGE = 2**20
"""Two such dims are 2^40 elements."""

WIDE = (value("x", [1, HUGE]),)
PRODUCT = node("MatMul", "x w", "y", "dense")


def archive(path: Path, **members: bytes | str) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in members.items():
            packed.writestr(name.replace("_json", ".json").replace("_h5", ".h5"), content)


def cut(source: str, share: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        content = (MODELS / source).read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return make


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content, encoding="utf-8") and None


def onnx_file(*args: Any, **options: Any) -> Callable[[Path], None]:
    return lambda path: write(path, model(*args, **options)) and None


def noise(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(5000))


def weights_only(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        group = file.create_group("conv")
        group.attrs["weight_names"] = [b"conv/kernel:0"]
        group["conv/kernel:0"] = np.zeros((3, 3))


def with_data(location: str, content: bytes = bytes(432)) -> Callable[[Path], None]:
    """Write a model whose kernel lies at `location`, and data where that leads."""

    def make(path: Path) -> None:
        (path.parent.parent / "outside.bin").write_bytes(content)
        place = location.format(outside=path.parent.parent / "outside.bin")
        if location == "link.bin":
            (path.parent / "link.bin").symlink_to(path.parent.parent / "outside.bin")
        if location == "link/outside.bin":
            (path.parent / "link").symlink_to(path.parent.parent)
        if location == "short.bin":
            (path.parent / "short.bin").write_bytes(content[:100])
        write(path, model([CONV], [external(place)]))

    return make


def keras_of_huge_size(path: Path) -> None:
    layers = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, HUGE], "name": "in"}},
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "config": {"name": "wide", "units": HUGE, "activation": "linear", "use_bias": False},
            "build_config": {"input_shape": [None, HUGE]},
        },
    ]
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("layers")
    archive(
        path, metadata_json='{"keras_version": "3.11.0"}', config_json=json.dumps(config),
        **{"model.weights_h5": weights.getvalue()},
    )  # fmt: skip


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty.onnx": (text(""), "the file is empty"),
    "empty.keras": (text(""), "the file is empty"),
    "empty.h5": (text(""), "the file is empty"),
    "noise.onnx": (noise, "is not an ONNX model"),
    "noise.keras": (noise, "neither a .keras archive nor an HDF5 file"),
    "noise.h5": (noise, "neither a .keras archive nor an HDF5 file"),
    "text.onnx": (text("hello, world\n"), "is not an ONNX model"),
    "page.onnx": (text("<!DOCTYPE html><html></html>"), "an HTML or XML page"),
    "cut.onnx": (cut("seed_cnn.onnx", 0.5), "is a truncated ONNX model"),
    "cut.keras": (cut("seed_cnn.keras", 0.5), "is a zip archive that is cut off or damaged"),
    "cut.h5": (cut("seed_cnn.h5", 0.5), "its HDF5 part is damaged or cut off"),
    "other.keras": (lambda path: archive(path, hello="hi"), "is not a Keras archive but another zip archive"),
    "broken.keras": (lambda path: archive(path, config_json="{"), "config.json is broken"),
    "weights.h5": (weights_only, "holds weights only, no model"),
    "pointer.onnx": (text(POINTER), "is a Git LFS pointer"),
    "pointer.keras": (text(POINTER), "is a Git LFS pointer"),
    "pointer.h5": (text(POINTER), "is a Git LFS pointer"),
    "missing_data.onnx": (
        onnx_file([CONV], [external("nowhere.bin")]), "the external data file 'nowhere.bin', which holds tensor 'w', is"
    ),
    "no_place.onnx": (onnx_file([CONV], [external("")]), "tensor 'w' has external data without a file name"),
    "short_data.onnx": (with_data("short.bin"), "which has 100: the file is truncated or belongs to another model"),
    "parent.onnx": (with_data("../outside.bin"), "external data outside the model's folder: '../outside.bin'"),
    "absolute.onnx": (with_data("{outside}"), "external data outside the model's folder"),
    "link.onnx": (with_data("link.bin"), "external data outside the model's folder: 'link.bin'"),
    "folder_link.onnx": (with_data("link/outside.bin"), "external data outside the model's folder: 'link/outside.bin'"),
    "cyclic.onnx": (
        onnx_file([node("Relu", "b", "a", "one"), node("Add", "a x", "b", "two")], [], outputs=[value("b", None)]),
        "the graph is cyclic: nodes one, two wait for one another",
    ),
    "ghost.onnx": (
        onnx_file([node("Conv", "ghost w", "y", "conv")]), "node 'conv' (Conv) reads 'ghost', which nothing produces"
    ),
    "no_output.onnx": (onnx_file(outputs=[value("z", None)]), "nothing produces the output 'z'"),
    "domain.onnx": (
        onnx_file([node("Conv", "x w", "c"), node("Fancy", "c", "y", "fancy", "com.acme")]),
        "node 'fancy' uses operator Fancy of domain 'com.acme', but the file imports no version of that domain",
    ),
    "huge_empty.onnx": (
        onnx_file([PRODUCT], [claimed(HUGE, HUGE)], inputs=WIDE),
        "tensor 'w' claims 1,099,511,627,776 elements (1048576×1048576) but holds 0 bytes",
    ),
    "huge_short.onnx": (
        onnx_file([PRODUCT], [claimed(HUGE, HUGE, raw=bytes(16))], inputs=WIDE), "claims 1,099,511,627,776 elements"
    ),
    "huge.keras": (keras_of_huge_size, "layer 'wide' (Dense) has no weights in the file"),
    "minus.onnx": (onnx_file([CONV], [claimed(-1, 3, 3, 3)]), "tensor 'w' has a negative dim"),
    "twice.onnx": (onnx_file([CONV, node("Conv", "x w", "y", "again")]), "two nodes produce the tensor 'y'"),
}  # fmt: skip
"""File name -> what makes it, and what the message says."""


@pytest.mark.parametrize("name", CASES)
def test_one_line_names_the_file_and_the_cause(name: str, tmp_path: Path) -> None:
    make, cause = CASES[name]
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / name
    make(path)
    before = sha256(path.read_bytes()).digest()
    listed = sorted(folder.iterdir())
    done = cnnlint(name, "--isolated", cwd=folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"cnnlint: error: {name}: ")
    assert cause in line
    assert done.stdout == "1 model could not be read\n"
    assert "Traceback" not in done.stderr + done.stdout
    assert sha256(path.read_bytes()).digest() == before
    assert sorted(folder.iterdir()) == listed


def test_a_missing_file_and_a_pattern_without_matches_are_named(tmp_path: Path) -> None:
    done = cnnlint("nowhere.onnx", "none/*.onnx", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "cnnlint: error: nowhere.onnx: there is no such file or folder",
        "cnnlint: error: none/*.onnx: this pattern matches no model",
    ]


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("cut.onnx", "noise.keras", "weights.h5"):
        CASES[name][0](tmp_path / name)
    shutil.copy(SEED, tmp_path / "good.onnx")
    shutil.copy(MODELS / "seed_cnn.keras", tmp_path / "good.keras")
    done = cnnlint("cut.onnx", "good.onnx", "noise.keras", "good.keras", "weights.h5", "--isolated", cwd=tmp_path)
    assert done.returncode == 2
    assert [line.split(":")[2].strip() for line in done.stderr.splitlines()] == [
        "cut.onnx",
        "noise.keras",
        "weights.h5",
    ]
    assert done.stdout.count("19,189 parameters") == 2
    assert done.stdout.endswith("2 models: 2 warnings, 2 info; 3 models could not be read\n")


def test_weights_of_2_to_the_40_elements_without_values_are_counted_and_never_made(tmp_path: Path) -> None:
    dims = onnx.numpy_helper.from_array(np.array([HUGE, HUGE], np.int64), "dims")
    path = write(tmp_path / "net.onnx", model([node("ConstantOfShape", "dims", "w"), PRODUCT], [dims], inputs=WIDE))
    done = cnnlint(path, "--isolated")
    assert (done.returncode, done.stderr) == (2, "")
    assert "1,099,511,627,776 parameters" in done.stdout
    said = " ".join(done.stdout.split())
    assert "error[RT006]" in said
    assert "a run needs 4.40 TB of weights that are not in the file, more than the memory limit" in said


def test_an_operator_of_an_imported_domain_is_opaque_and_makes_the_cost_unknown(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c", "conv"), node("Fancy", "c", "y", "fancy", "com.acme")]
    path = write(tmp_path / "net.onnx", model(nodes, domains=["com.acme"], outputs=[value("y", ["N"])]))
    done = cnnlint(path, "--isolated", "--static")
    assert done.returncode == 0
    assert "108 parameters · unknown MACs" in done.stdout
    assert "no rule looks into opaque layers: fancy (an operator of domain com.acme)" in done.stdout


def test_a_perceptron_is_linted_and_told_what_was_skipped(tmp_path: Path) -> None:
    nodes = [node("Gemm", "x w", "a", "one"), node("Relu", "a", "b"), node("Gemm", "b v", "y", "two")]
    values = {"inputs": [value("x", ["N", 16])], "outputs": [value("y", ["N", 4])]}
    net = model(nodes, [array("w", 16, 32), array("v", 32, 4)], **values)
    done = cnnlint(write(tmp_path / "mlp.onnx", net), "--isolated")
    assert (done.returncode, done.stderr) == (0, "")
    assert "640 parameters · 640 MACs" in done.stdout
    assert "there is no convolution in this network" in done.stdout


def test_a_transformer_is_linted_and_told_what_was_skipped(tmp_path: Path) -> None:
    nodes = [
        *(node("MatMul", f"x {name}", f"{name}x", name) for name in "qkv"),
        node("Transpose", "kx", "kt", "turn", perm=[0, 2, 1]),
        node("MatMul", "qx kt", "scores", "scores"),
        node("Softmax", "scores", "weights", "weights", axis=-1),
        node("MatMul", "weights vx", "mixed", "mixed"),
        node("Add", "mixed x", "sum", "sum"),
        node("LayerNormalization", "sum gain shift", "y", "norm"),
    ]
    arrays = [*(array(name, 16, 16) for name in "qkv"), array("gain", 16), array("shift", 16)]
    net = model(nodes, arrays, inputs=[value("x", ["N", 10, 16])], outputs=[value("y", ["N", 10, 16])])
    done = cnnlint(write(tmp_path / "transformer.onnx", net), "--isolated")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{3 * 256 + 32} parameters" in done.stdout
    assert "there is no convolution in this network" in done.stdout


LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {
        "name": "trick",
        "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}},
    },
    "registered_name": None,
}


def test_a_lambda_layer_is_opaque_and_its_code_is_not_run(tmp_path: Path) -> None:
    with zipfile.ZipFile(MODELS / "seed_cnn.keras") as source, zipfile.ZipFile(tmp_path / "net.keras", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"].insert(2, LAMBDA)
                content = json.dumps(config).encode()
            target.writestr(name, content)
    done = cnnlint("net.keras", "--isolated", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "19,189 parameters" in done.stdout
    assert "trick (a Lambda layer, whose code is not run)" in done.stdout

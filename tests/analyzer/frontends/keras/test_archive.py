"""Archives are read as they lie, and what is no model says so in a message of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from cnnlint.errors import ModelError, UnsupportedModelError
from cnnlint.frontends.keras import load
from cnnlint.frontends.keras.archive import read_archive
from keras_cases import by_hand

DATA = Path(__file__).with_name("data")
KERNEL = np.arange(3 * 3 * 3 * 2, dtype=np.float32).reshape(3, 3, 3, 2)
BIAS = np.array([1.0, 2.0], dtype=np.float32)
CONV = by_hand.layer(
    "Conv2D", "conv", calls=[["image"]], filters=2, kernel_size=[3, 3], strides=[1, 1], padding="valid",
    dilation_rate=[1, 1], groups=1, data_format="channels_last", activation="linear", use_bias=True,
)  # fmt: skip
MODEL = by_hand.functional([by_hand.image(5, 5, 3), CONV], ["conv"])
ARRAYS = {"layers/conv2d/vars/0": KERNEL, "layers/conv2d/vars/1": BIAS, "optimizer/vars/0": np.zeros((3, 3, 3, 2))}


def _weights_of(path: str) -> dict[str, Any]:
    return {weight.key: weight.values() for weight in load(path).weights}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_are_read_from_stored_and_from_compressed_members(tmp_path: Path, compression: int) -> None:
    files = by_hand.members(MODEL, by_hand.hdf5(ARRAYS))
    values = _weights_of(by_hand.write_zip(tmp_path / "m.keras", files, compression))
    assert list(values) == ["layers/conv2d/vars/0", "layers/conv2d/vars/1"]
    np.testing.assert_array_equal(values["layers/conv2d/vars/0"], KERNEL)
    np.testing.assert_array_equal(values["layers/conv2d/vars/1"], BIAS)


def test_values_of_a_stored_member_are_mapped_and_not_copied(tmp_path: Path) -> None:
    path = by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, by_hand.hdf5(ARRAYS)))
    assert not any(values.flags.owndata or values.flags.writeable for values in _weights_of(path).values())


def test_chunked_and_compressed_datasets_are_read(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    with h5py.File(target, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", data=KERNEL, chunks=True, compression="gzip")
        file["layers/conv2d/vars/1"] = BIAS
    path = by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, target.read_bytes()))
    np.testing.assert_array_equal(_weights_of(path)["layers/conv2d/vars/0"], KERNEL)


def test_bfloat16_weights_are_read_as_what_they_are(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    with h5py.File(target, "w") as file:
        dataset = file.create_dataset("layers/conv2d/vars/0", data=KERNEL.astype(ml_dtypes.bfloat16))
        dataset.attrs["dtype"] = "bfloat16"
        file["layers/conv2d/vars/1"] = BIAS
    graph = load(by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, target.read_bytes())))
    assert graph.weights[0].dtype == "bfloat16"
    np.testing.assert_array_equal(graph.weights[0].values().astype(np.float32), KERNEL)


@pytest.mark.parametrize("zipped", [True, False])
def test_sharded_weights_are_put_together(tmp_path: Path, zipped: bool) -> None:
    files = by_hand.members(MODEL)
    names = ["model_00000.weights.h5", "model_00001.weights.h5"]
    files["model.weights.json"] = json.dumps({"weight_map": {"/layers/conv2d/vars": names}}).encode()
    for name, (key, array) in zip(names, ARRAYS.items(), strict=False):
        files[name] = by_hand.hdf5({key: array})
    if zipped:
        path = by_hand.write_zip(tmp_path / "m.keras", files)
    else:
        path = str(tmp_path / "folder")
        Path(path).mkdir()
        for name, content in files.items():
            (Path(path) / name).write_bytes(content)
    assert {key: values.shape for key, values in _weights_of(path).items()} == {
        "layers/conv2d/vars/0": (3, 3, 3, 2),
        "layers/conv2d/vars/1": (2,),
    }


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    swapped = tmp_path / "model.keras"
    swapped.write_bytes((DATA / "keras2_frozen.h5").read_bytes())
    assert load(str(swapped)).source.format == "h5"


def test_the_archive_says_who_wrote_it_and_how_large_it_is(tmp_path: Path) -> None:
    path = by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, by_hand.hdf5(ARRAYS)))
    source = load(path).source
    assert (source.producer, source.format, source.layout) == ("keras 3.15.1", "keras", "channels_last")
    assert source.file_bytes == Path(path).stat().st_size


def test_weights_of_the_optimizer_are_left_out(tmp_path: Path) -> None:
    path = by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, by_hand.hdf5(ARRAYS)))
    graph = load(path)
    assert graph.parameters == KERNEL.size + BIAS.size
    assert graph.unused == ()


def test_arrays_that_no_layer_uses_are_named(tmp_path: Path) -> None:
    weights = by_hand.hdf5({**ARRAYS, "layers/dense/vars/0": np.zeros((4, 5), np.float32)})
    graph = load(by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, weights)))
    assert [(unused.name, unused.nbytes) for unused in graph.unused] == [("layers/dense/vars/0", 80)]


def test_reading_a_model_imports_neither_tensorflow_nor_keras_nor_onnx() -> None:
    code = (
        "import sys; from cnnlint.frontends.keras import load; load(sys.argv[1]);"
        "print([name for name in ('tensorflow', 'keras', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    path = str(DATA / "keras2_functional.keras")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


GOOD = by_hand.members(MODEL, by_hand.hdf5(ARRAYS))


def _truncated(tmp_path: Path) -> str:
    path = tmp_path / "m.keras"
    by_hand.write_zip(path, GOOD)
    path.write_bytes(path.read_bytes()[:-200])
    return str(path)


def _written(tmp_path: Path, content: bytes, name: str = "m.keras") -> str:
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)


def _linked(tmp_path: Path, link: object) -> str:
    target = tmp_path / "weights"
    with h5py.File(target, "w") as file:
        file["layers/conv2d/vars/0"] = link
    return by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, target.read_bytes()))


def _h5(tmp_path: Path, **attributes: str) -> str:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["data"] = np.zeros(3)
        for name, value in attributes.items():
            file.attrs[name] = value
    return str(tmp_path / "m.h5")


BROKEN: dict[str, tuple[Any, str]] = {
    "missing": (lambda tmp: str(tmp / "nothing.keras"), "no such file"),
    "empty": (lambda tmp: _written(tmp, b""), "the file is empty"),
    "random": (lambda tmp: _written(tmp, bytes(range(7, 250)) * 9), "neither a .keras archive nor an HDF5 file"),
    "truncated": (_truncated, "cut off or damaged"),
    "another zip": (lambda tmp: by_hand.write_zip(tmp / "m.keras", {"a.txt": b"a"}), "not a Keras archive"),
    "pytorch": (lambda tmp: by_hand.write_zip(tmp / "m.keras", {"archive/data.pkl": b"a"}), "a PyTorch checkpoint"),
    "no JSON": (
        lambda tmp: by_hand.write_zip(tmp / "m.keras", {**GOOD, "config.json": b"{nope"}), "config.json is broken",
    ),
    "no object": (
        lambda tmp: by_hand.write_zip(tmp / "m.keras", {**GOOD, "config.json": b"[1]"}), "no JSON object",
    ),
    "no model": (
        lambda tmp: by_hand.write_zip(tmp / "m.keras", {**GOOD, "config.json": b"{}"}), "describes no Keras model",
    ),
    "deep JSON": (
        lambda tmp: by_hand.write_zip(tmp / "m.keras", {**GOOD, "config.json": b"[" * 100_000}),
        "config.json is broken",
    ),
    "no weights": (lambda tmp: by_hand.write_zip(tmp / "m.keras", by_hand.members(MODEL)), "has no weights"),
    "damaged weights": (
        lambda tmp: by_hand.write_zip(tmp / "m.keras", by_hand.members(MODEL, GOOD["model.weights.h5"][:900])),
        "HDF5 part is damaged or cut off",
    ),
    "missing shard": (
        lambda tmp: by_hand.write_zip(
            tmp / "m.keras", {**by_hand.members(MODEL), "model.weights.json": b'{"weight_map": {"/a": "../../b.h5"}}'}
        ),
        "shard ../../b.h5 of its weights is missing",
    ),
    "external link": (lambda tmp: _linked(tmp, h5py.ExternalLink("/etc/passwd", "/")), "leads elsewhere"),
    "soft link": (lambda tmp: _linked(tmp, h5py.SoftLink("/layers")), "leads elsewhere"),
    "h5 without a model": (_h5, "an HDF5 file without a Keras model"),
    "h5 of a broken model": (lambda tmp: _h5(tmp, model_config="{"), "the attribute model_config is broken"),
    "folder": (str, "a folder without config.json"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_says_what_is_wrong_with_it(tmp_path: Path, case: str) -> None:
    make, message = BROKEN[case]
    path = make(tmp_path)
    with pytest.raises(ModelError, match=message.replace("(", "\\(")) as caught:
        read_archive(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("group", ["layers", "_layer_checkpoint_dependencies"])
def test_a_file_of_weights_alone_is_sound_but_no_model(tmp_path: Path, group: str) -> None:
    path = _written(tmp_path, by_hand.hdf5({f"{group}/conv2d/vars/0": KERNEL}), "m.weights.h5")
    with pytest.raises(UnsupportedModelError, match="holds weights only") as caught:
        read_archive(path)
    assert "model.save" in (caught.value.remedy or "")


def test_a_git_lfs_pointer_says_how_to_get_the_model(tmp_path: Path) -> None:
    path = _written(tmp_path, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(UnsupportedModelError, match="Git LFS pointer") as caught:
        read_archive(path)
    assert caught.value.remedy == "git lfs pull"


def test_an_array_that_claims_far_more_than_is_stored_is_not_allocated(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    with h5py.File(target, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", shape=(1 << 34,), dtype="float32", chunks=(1 << 20,))
    graph = load(by_hand.write_zip(tmp_path / "m.keras", by_hand.members(MODEL, target.read_bytes())))
    with pytest.raises(ModelError, match="claims 68,719,476,736 bytes but stores 0"):
        graph.weights[0].values()

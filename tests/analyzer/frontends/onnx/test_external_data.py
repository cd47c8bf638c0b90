"""External data is found beside the model, checked before it is read, and never looked for elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.skeleton import read, read_bytes
from skeletons import agreement

ARRAY = np.arange(600, dtype=np.float32)


def external(name: str = "w", dims: tuple[int, ...] = (600,), **entries: object) -> onnx.TensorProto:
    tensor = TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def saved(folder: Path, *tensors: onnx.TensorProto) -> str:
    path = folder / "m.onnx"
    graph = helper.make_graph([], "g", [], [], list(tensors))
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return str(path)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.data"
    path.write_bytes(b"\x07" * 64 + ARRAY.tobytes())
    return path


def test_agrees_with_onnx_on_models_saved_with_external_data(tmp_path):
    arrays = {f"w{i}": np.random.default_rng(i).standard_normal((40, i + 1)).astype(np.float32) for i in range(5)}
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(arrays["w0"], "c"))
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    model = helper.make_model(helper.make_graph([constant], "g", [], [], tensors))
    path = tmp_path / "sub" / "m.onnx"
    path.parent.mkdir()
    onnx.save(model, path, save_as_external_data=True, location="m.onnx.data", size_threshold=0, convert_attribute=True)
    record = read(str(path))
    agreement.assert_same_model(record, onnx.load(path, load_external_data=False), str(path.parent))
    data = path.parent / "m.onnx.data"
    assert record.file_bytes == path.stat().st_size + data.stat().st_size
    for name, array in arrays.items():
        storage = record.graph.initializers[name].storage
        assert Path(storage.source.path).read_bytes()[storage.offset :][: storage.length] == array.tobytes()
        assert record.graph.initializers[name].storage.field == "external_data"


def test_a_file_that_several_tensors_share_counts_once(tmp_path, weights):
    path = saved(tmp_path, external("a", location="w.data", offset=64), external("b", location="./w.data", offset=64))
    record = read(path)
    assert record.file_bytes == os.path.getsize(path) + weights.stat().st_size
    np.testing.assert_array_equal(record.graph.initializers["b"].storage.read(), ARRAY)


def test_values_are_mapped_from_the_data_file_only_when_they_are_read(tmp_path, weights):
    record = read(saved(tmp_path, external(location="w.data", offset=64, length=2400)))
    weights.unlink()
    with pytest.raises(ModelError, match="cannot be opened"):
        record.graph.initializers["w"].storage.read()


ESCAPES = [
    "../w.data", "sub/../../w.data", "/etc/passwd", "..\\w.data", "sub\\..\\..\\w.data", "C:\\w.data", "c:w.data",
    "\\\\server\\share\\w.data", "\\w.data", "..", "a\0b",
]  # fmt: skip


@pytest.mark.parametrize("location", ESCAPES)
def test_a_path_out_of_the_folder_is_refused(location, tmp_path, weights):
    folder = tmp_path / "model"
    folder.mkdir()
    path = saved(folder, external(location=location, offset=64))
    with pytest.raises(ModelError, match="outside the model's folder") as caught:
        read(path)
    assert caught.value.path == path
    assert "'w'" in caught.value.cause


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_symbolic_link_out_of_the_folder_is_refused(kind, tmp_path, weights):
    folder = tmp_path / "model"
    folder.mkdir()
    if kind == "file":
        (folder / "w.data").symlink_to(weights)
        location = "w.data"
    else:
        (folder / "link").symlink_to(tmp_path)
        location = "link/w.data"
    with pytest.raises(ModelError, match="outside the model's folder"):
        read(saved(folder, external(location=location, offset=64)))


def test_a_sibling_folder_with_the_same_beginning_is_outside(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model-secret").mkdir()
    (tmp_path / "model-secret" / "w.data").write_bytes(ARRAY.tobytes())
    (tmp_path / "model" / "w.data").symlink_to(tmp_path / "model-secret" / "w.data")
    with pytest.raises(ModelError, match="outside the model's folder"):
        read(saved(tmp_path / "model", external(location="w.data")))


def test_links_of_a_download_cache_are_followed_to_where_the_model_lies(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "1"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    Path(saved(blobs, external(location="w.data"))).rename(blobs / "aaaa")
    (blobs / "bbbb").write_bytes(ARRAY.tobytes())
    (snapshot / "m.onnx").symlink_to(blobs / "aaaa")
    (snapshot / "w.data").symlink_to(blobs / "bbbb")
    record = read(str(snapshot / "m.onnx"))
    np.testing.assert_array_equal(record.graph.initializers["w"].storage.read(), ARRAY)


def test_a_missing_file_is_named_with_its_tensor(tmp_path):
    path = saved(tmp_path, external(location="gone.data"))
    with pytest.raises(ModelError, match=r"'gone.data', which holds tensor 'w', is missing") as caught:
        read(path)
    assert str(tmp_path / "gone.data") in str(caught.value)


def test_a_folder_or_a_pipe_is_no_data_file(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for location in ("folder", "pipe"):
        with pytest.raises(ModelError, match="not a regular file"):
            read(saved(tmp_path, external(location=location)))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": 65}, "is at bytes 65 to 2,465 of 'w.data', which has 2,464"),
        ({"offset": 10**15, "length": 2400}, "truncated or belongs to another model"),
        ({"offset": 64, "length": 2396}, "needs 2,400 bytes by its dims, but its external data has 2,396"),
        ({"offset": 0, "length": 2404}, "needs 2,400 bytes by its dims, but its external data has 2,404"),
        ({"offset": -1}, "'-1', which is not a byte count"),
        ({"offset": "0x10"}, "not a byte count"),
        ({"length": "9" * 5000}, "not a byte count"),
        ({"length": "²"}, "not a byte count"),
    ],
)
def test_a_range_that_does_not_fit_is_refused(entries, message, tmp_path, weights):
    path = saved(tmp_path, external(location="w.data", **entries))
    with pytest.raises(ModelError) as caught:
        read(path)
    assert message in caught.value.cause
    assert caught.value.path == path


def test_a_size_that_the_file_merely_claims_is_refused(tmp_path, weights):
    with pytest.raises(ModelError, match="is at bytes 0 to"):
        read(saved(tmp_path, external(dims=(2**20, 2**20), location="w.data")))


def test_a_model_in_memory_leaves_external_data_alone(tmp_path, weights):
    path = saved(tmp_path, external(location="w.data", offset=64))
    data = Path(path).read_bytes()
    assert read_bytes(data).graph.initializers["w"].storage is None
    beside = read_bytes(data, path).graph.initializers["w"]
    np.testing.assert_array_equal(beside.storage.read(), ARRAY)

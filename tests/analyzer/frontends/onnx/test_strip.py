"""A model without its weights is the same model, and onnxruntime finds the weights in the original file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.shape_inference
import onnxruntime as ort
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

import zoo
from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.strip import shapes_only, without_weights
from cnnlint.frontends.sources import Memory


def cnn(*, raw: bool = True) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    shapes = {"k1": (24, 3, 5, 5), "b1": (24,), "k2": (40, 24, 3, 3), "b2": (40,), "w": (40, 10)}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    if raw:
        tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    else:
        tensors = [helper.make_tensor(n, TensorProto.FLOAT, a.shape, a.reshape(-1)) for n, a in arrays.items()]
    tensors.append(numpy_helper.from_array(np.array([-1, 40]), "shape"))
    nodes = [
        helper.make_node("Conv", ["x", "k1", "b1"], ["c1"], pads=[2, 2, 2, 2], strides=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "k2", "b2"], ["c2"]),
        helper.make_node("GlobalAveragePool", ["c2"], ["p"]),
        helper.make_node("Reshape", ["p", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "cnn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 20, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"key": "value"})
    return model


def outputs(model: str | bytes, folder: Path | None = None) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    shape = [extent if isinstance(extent, int) else 2 for extent in x.shape]
    return session.run(None, {x.name: np.random.default_rng(1).standard_normal(shape).astype(np.float32)})


def assert_equal_outputs(path: Path) -> bytes:
    stripped = without_weights(str(path))
    assert stripped is not None
    for mine, plain in zip(outputs(stripped, path.absolute().parent), outputs(str(path)), strict=True):
        assert np.isfinite(plain).all()
        assert plain.std() > 0
        np.testing.assert_array_equal(mine, plain)
    return stripped


def test_onnxruntime_gives_the_outputs_of_the_original(tmp_path):
    path = tmp_path / "cnn.onnx"
    onnx.save(cnn(), path)
    stripped = assert_equal_outputs(path)
    assert len(stripped) < 6000 < 40_000 < path.stat().st_size


def test_all_but_the_large_initializers_is_kept(tmp_path):
    path = tmp_path / "cnn.onnx"
    model = cnn()
    onnx.save(model, path)
    stripped = onnx.ModelProto.FromString(without_weights(str(path)))
    large = [tensor.name for tensor in stripped.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    assert large == ["k1", "k2"]
    external_data_helper.load_external_data_for_model(stripped, str(tmp_path))
    for tensor in stripped.graph.initializer:
        tensor.ClearField("data_location")
    assert stripped == model


def test_external_data_of_the_original_stays_external(tmp_path):
    path = tmp_path / "cnn.onnx"
    onnx.save(cnn(), path, save_as_external_data=True, location="cnn.data", size_threshold=1024)
    assert_equal_outputs(path)
    assert without_weights(str(path)) == path.read_bytes()


def test_onnxruntime_does_not_follow_a_link_to_the_weights_so_that_such_a_model_keeps_them(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    onnx.save(cnn(), blobs / "aaaa")
    (snapshot / "cnn.onnx").symlink_to(blobs / "aaaa")
    (blobs / "link.onnx").symlink_to(blobs / "aaaa")
    assert without_weights(str(snapshot / "cnn.onnx")) is None
    assert_equal_outputs(blobs / "link.onnx")


def test_a_model_named_without_its_folder_is_found(tmp_path, monkeypatch):
    onnx.save(cnn(), tmp_path / "cnn.onnx")
    monkeypatch.chdir(tmp_path)
    assert_equal_outputs(Path("cnn.onnx"))


def test_weights_in_typed_fields_cannot_be_left_in_the_file(tmp_path):
    path = tmp_path / "cnn.onnx"
    onnx.save(cnn(raw=False), path)
    assert without_weights(str(path)) is None


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_onnx_infers_the_same_shapes_without_the_weights(raw):
    model = cnn(raw=raw)
    data = model.SerializeToString()
    bare = shapes_only(Memory(data))
    assert len(bare) < 7000 < 40_000 < len(data)
    plain, mine = (onnx.shape_inference.infer_shapes(each, data_prop=True) for each in (data, bare))
    assert len(plain.graph.value_info) == 5
    assert list(mine.graph.value_info) == list(plain.graph.value_info)


def test_a_truncated_file_is_an_error(tmp_path):
    path = tmp_path / "cnn.onnx"
    path.write_bytes(cnn().SerializeToString()[:20_000])
    with pytest.raises(ModelError, match="damaged"):
        without_weights(str(path))


@pytest.mark.slow
def test_onnxruntime_gives_the_outputs_of_a_whole_net():
    path = zoo.onnx_path("MobileNetV2")
    stripped = assert_equal_outputs(path)
    assert len(stripped) < 0.05 * path.stat().st_size

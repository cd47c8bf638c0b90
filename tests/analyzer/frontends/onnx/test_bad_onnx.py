"""Whatever the file is, the reader answers with one error that names the file, the cause and what helps."""

from __future__ import annotations

import os
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from cnnlint.errors import CnnlintError, ModelError, UnsupportedModelError
from cnnlint.frontends.onnx.skeleton import read, read_bytes
from cnnlint.limits import MAX_RANK


def small_model() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3), "w")
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    branch = helper.make_graph([helper.make_node("Constant", [], ["k"], value=axes)], "branch", [], [], [axes])
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("LeakyRelu", ["c"], ["r"], alpha=0.25),
        helper.make_node("If", ["cond"], ["i"], then_branch=branch, else_branch=branch),
        helper.make_node("ReduceMean", ["r", "axes"], ["y"], keepdims=0, doc_string="mean " * 300),
    ]
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])]
    graph = helper.make_graph(nodes, "g", values, values, [weight, axes], value_info=values)
    model = helper.make_model(graph, producer_name="test", opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {"key": "value"})
    return model


SMALL_MODEL = small_model().SerializeToString()


def error_of(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read(str(path))
    error = caught.value
    assert error.path == str(path)
    assert "\n" not in str(error)
    assert str(error).startswith(str(path))
    return error


def error_of_content(content: bytes, folder: Path) -> ModelError:
    path = folder / "m.onnx"
    path.write_bytes(content)
    return error_of(path)


def test_a_missing_file(tmp_path):
    assert error_of(tmp_path / "none.onnx").cause == "no such file"


def test_an_empty_file(tmp_path):
    assert error_of_content(b"", tmp_path).cause == "the file is empty"
    with pytest.raises(ModelError, match="empty"):
        read_bytes(b"")


def test_a_folder(tmp_path):
    assert "folder" in error_of(tmp_path).cause


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    assert error_of(tmp_path / "pipe.onnx").cause == "is not a regular file"


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(SMALL_MODEL)
    path.chmod(0)
    assert "Permission denied" in error_of(path).cause


def test_a_path_that_no_file_can_have(tmp_path):
    assert "cannot be opened" in error_of(tmp_path / ("x" * 5000)).cause
    with pytest.raises(ModelError, match="cannot be opened"):
        read("a\0b.onnx")


@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_are_not_an_onnx_model(seed, tmp_path):
    content = random.Random(seed).randbytes(1 + seed * 97)
    assert "not an ONNX model" in error_of_content(content, tmp_path).cause


@pytest.mark.parametrize("content", [b"\0" * 1000, b"\xff" * 1000, b"hello world, this is text", b"\x08\x08", b"\x0a"])
def test_other_bytes_are_not_an_onnx_model(content, tmp_path):
    assert error_of_content(content, tmp_path).cause == "is not an ONNX model"


def test_a_git_lfs_pointer(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 553434112\n"
    error = error_of_content(pointer, tmp_path)
    assert isinstance(error, UnsupportedModelError)
    assert "Git LFS pointer" in error.cause
    assert error.remedy == "git lfs pull"


def torch_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite"),
        (b"\x1c\0\0\0ORTM" + bytes(100), "ORT format"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"\x80\x02}q\0.", "pickle"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b'<\n  ir_version: 8, opset_import: ["" : 18]>\nagraph (float[N] x) => (float[N] y) { y = Relu(x) }', "text"),
        (b"ir_version: 8\ngraph {\n}\n", "protobuf text"),
        (b'{"irVersion": "8"}', "JSON"),
        (b"\x0a\x1d\x0a\x05input\x12\x0bPlaceholder" + b"*" * 9, "frozen TensorFlow graph"),
        (b"\x08\x01\x12\x07\x0a\x05serve", "SavedModel"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name(content, word, tmp_path):
    cause = error_of_content(content, tmp_path).cause
    assert "not an ONNX model but" in cause
    assert word in cause


def test_a_pytorch_checkpoint_is_called_by_its_name(tmp_path):
    torch_archive(tmp_path / "m.onnx")
    assert "PyTorch" in error_of(tmp_path / "m.onnx").cause


def test_a_truncated_model_is_an_error_wherever_it_is_cut():
    causes = []
    for length in range(1, len(SMALL_MODEL)):
        content = SMALL_MODEL[:length]
        try:
            read_bytes(content)
        except ModelError as error:
            causes.append(error.cause)
            continue
        onnx.load_from_string(content)  # cut between two fields of its outermost message: whole for protobuf
    assert len(causes) > len(SMALL_MODEL) - 10
    assert sum("truncated" in cause for cause in causes) > 0.9 * len(causes)


def test_a_large_model_cut_in_its_weights_is_called_truncated(tmp_path):
    weight = numpy_helper.from_array(np.ones(50_000, np.float32), "w")
    model = helper.make_model(helper.make_graph([], "g", [], [], [weight]))
    error = error_of_content(model.SerializeToString()[:100_000], tmp_path)
    assert "truncated ONNX model" in error.cause


@given(data=st.data())
@settings(max_examples=settings.default.max_examples * 6, deadline=None)
def test_a_mutated_model_is_read_or_refused_and_never_crashes_the_reader(data):
    content = bytearray(SMALL_MODEL)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "insert", "delete", "cut", "copy"])):
            case "flip":
                content[place] = data.draw(st.integers(0, 255))
            case "insert":
                content[place:place] = data.draw(st.binary(min_size=1, max_size=12))
            case "delete":
                del content[place : place + data.draw(st.integers(1, 12))]
            case "cut":
                del content[place:]
            case _:
                content[place:place] = content[place : place + data.draw(st.integers(1, 200))]
        if not content:
            content = bytearray(b"\0")
    try:
        record = read_bytes(bytes(content))
    except CnnlintError:
        return
    for tensor in record.graph.initializers.values():
        if tensor.storage is not None:
            with suppress(CnnlintError):
                tensor.storage.read()


@given(content=st.binary(min_size=1, max_size=300))
@settings(max_examples=settings.default.max_examples * 4, deadline=None)
def test_any_bytes_as_a_graph_are_read_or_refused(content):
    model = (
        b"\x08\x08\x3a" + onnx.AttributeProto(i=len(content)).SerializeToString()[1:] + content + b"\x42\x02\x10\x11"
    )
    with suppress(ModelError):
        assert read_bytes(model).opsets == {"": 17}


def with_initializer(tensor: onnx.TensorProto) -> bytes:
    model = small_model()
    model.graph.initializer.append(tensor)
    return model.SerializeToString()


CLAIMED = [
    TensorProto(name="t", dims=[2**40], data_type=TensorProto.FLOAT),
    TensorProto(name="t", dims=[2**40], data_type=TensorProto.FLOAT, raw_data=bytes(16)),
    TensorProto(name="t", dims=[2**20, 2**20], data_type=TensorProto.FLOAT, float_data=[1.0, 2.0]),
    TensorProto(name="t", dims=[2**40], data_type=TensorProto.INT64, int64_data=[1, 2]),
    TensorProto(name="t", dims=[2**40], data_type=TensorProto.INT4, int32_data=[1, 2]),
    TensorProto(name="t", dims=[2**62, 2**62, 2**62], data_type=TensorProto.BOOL, raw_data=b"\1"),
    TensorProto(name="t", dims=[2**40], data_type=TensorProto.STRING, string_data=[b"a"]),
]


@pytest.mark.parametrize("tensor", CLAIMED, ids=lambda tensor: str(len(tensor.SerializeToString())))
def test_a_size_that_is_merely_claimed_is_an_error_and_not_an_allocation(tensor, tmp_path):
    cause = error_of_content(with_initializer(tensor), tmp_path).cause
    assert cause.startswith("tensor 't' claims ")
    assert "1,099,511,627,776 elements" in cause or "more than 2^63 elements" in cause


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="t", dims=[4], data_type=TensorProto.FLOAT, raw_data=bytes(15)),
        TensorProto(name="t", dims=[4], data_type=TensorProto.FLOAT, raw_data=bytes(17)),
        TensorProto(name="t", dims=[3], data_type=TensorProto.INT64, int64_data=[1, 2]),
        TensorProto(name="t", dims=[3], data_type=TensorProto.INT64, int64_data=[1, 2, 3, 4]),
        TensorProto(name="t", dims=[3], data_type=TensorProto.FLOAT, float_data=[1.0]),
        TensorProto(name="t", dims=[3], data_type=TensorProto.FLOAT, int64_data=[1, 2, 3]),
        TensorProto(name="t", dims=[3], data_type=TensorProto.DOUBLE, double_data=[1, 2, 3, 4]),
    ],
    ids=lambda tensor: str(tensor.SerializeToString()[-6:]),
)
def test_dims_and_values_that_disagree(tensor, tmp_path):
    assert "tensor 't' claims" in error_of_content(with_initializer(tensor), tmp_path).cause


def test_a_large_tensor_with_too_many_typed_values_is_refused_when_it_is_read():
    tensor = TensorProto(name="t", dims=[1000], data_type=TensorProto.INT64, int64_data=range(1001))
    record = read_bytes(with_initializer(tensor)).graph.initializers["t"]
    with pytest.raises(ModelError, match=r"claims 1,000 elements .* but holds 1,001 values"):
        record.storage.read()


def test_impossible_dims(tmp_path):
    negative = TensorProto(name="t", dims=[-3], data_type=TensorProto.FLOAT)
    assert "negative dim" in error_of_content(with_initializer(negative), tmp_path).cause
    deep = TensorProto(name="t", dims=[1] * (MAX_RANK + 1), data_type=TensorProto.FLOAT, raw_data=bytes(4))
    assert "dims" in error_of_content(with_initializer(deep), tmp_path).cause


def test_a_sparse_tensor_is_not_unfolded_to_a_size_that_is_merely_claimed():
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32), "s"),
        numpy_helper.from_array(np.zeros(1, np.int64), "i"),
        [2**40],
    )
    model = small_model()
    model.graph.sparse_initializer.append(sparse)
    record = read_bytes(model.SerializeToString()).graph.initializers["s"]
    with pytest.raises(ModelError, match="too large to unfold"):
        record.storage.read()


def length_delimited(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + onnx.AttributeProto(i=len(content)).SerializeToString()[1:] + content


@pytest.mark.parametrize("depth", [100, 5000])
def test_subgraphs_nested_too_deep(depth, tmp_path):
    graph = b""
    for _ in range(depth):
        attribute = length_delimited(0x0A, b"body") + length_delimited(0x32, graph) + b"\xa0\x01\x05"
        graph = length_delimited(0x0A, length_delimited(0x2A, attribute))
    content = b"\x08\x08" + length_delimited(0x3A, graph) + b"\x42\x02\x10\x11"
    assert "nested more than" in error_of_content(content, tmp_path).cause


def test_subgraphs_as_deep_as_protobuf_itself_can_parse_are_read():
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    for _ in range(30):
        graph = helper.make_graph([helper.make_node("Loop", ["x"], ["y"], body=graph)], "g", [], [])
    model = onnx.ModelProto.FromString(helper.make_model(graph).SerializeToString())
    level = read_bytes(model.SerializeToString()).graph
    for _ in range(30):
        level = level.nodes[0].attributes["body"]
    assert level.nodes[0].op_type == "Relu"


def test_types_nested_deep_do_no_harm():
    kind = b""
    for _ in range(3000):
        kind = length_delimited(0x22, length_delimited(0x0A, kind))
    info = length_delimited(0x0A, b"x") + length_delimited(0x12, kind)
    content = b"\x08\x08" + length_delimited(0x3A, length_delimited(0x6A, info)) + b"\x42\x02\x10\x11"
    assert read_bytes(content).graph.value_infos["x"].dtype == "sequence"


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "cut off"),
        (b"\x0b\x0c", "group"),
        (b"\x0a\x04\x0b\x08\x01\x0c", "group"),
        (b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "10 bytes"),
        (b"\x0a\x05\x0a\x09abc", "cut off"),
        (b"\x2a\x05\x42\x7fabc", "cut off"),
        (b"\x5a\x03\x0a\x20x", "cut off"),
    ],
)
def test_a_malformed_graph_is_a_damaged_model_with_its_reason(graph, reason, tmp_path):
    content = b"\x08\x08" + length_delimited(0x3A, graph) + b"\x42\x02\x10\x11"
    cause = error_of_content(content, tmp_path).cause
    assert cause.startswith("is a damaged ONNX model: ")
    assert reason in cause


def test_a_model_without_an_opset_is_refused(tmp_path):
    model = small_model()
    del model.opset_import[:]
    assert "opset" in error_of_content(model.SerializeToString(), tmp_path).cause


def test_errors_in_memory_name_the_path_that_was_given():
    with pytest.raises(ModelError) as caught:
        read_bytes(with_initializer(CLAIMED[0]), "given.onnx")
    assert caught.value.path == "given.onnx"


def test_values_of_an_unknown_type_are_refused_when_they_are_read():
    record = read_bytes(with_initializer(TensorProto(name="t", dims=[4], raw_data=bytes(4))))
    assert record.graph.initializers["t"].dtype == ""
    with pytest.raises(ModelError, match="type of tensor 't' is not known"):
        record.graph.initializers["t"].storage.read()

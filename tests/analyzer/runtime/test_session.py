"""Cheap sessions give what plain ones give, and say in one line what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import external_data_helper, parser

import zoo
from cnnlint.runtime.program import Program
from cnnlint.runtime.session import Refusal, Session, SessionError, one_line

MODELS = Path(__file__).parents[3] / "fixtures" / "models"
FIXTURES = sorted(MODELS.glob("*.onnx"))


def plain(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options).run(None, feeds)


def seeded(path: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    inputs = ort.InferenceSession(str(path)).get_inputs()
    shapes = {value.name: [dim if isinstance(dim, int) else 2 for dim in value.shape] for value in inputs}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_outputs_equal_those_of_a_plain_session(path: Path) -> None:
    feeds = seeded(path)
    session = Session(Program.from_file(path))
    for left, right in zip(session.run(feeds).values(), plain(path, feeds), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["squeezenet", "bvlc_alexnet"])
def test_weights_that_are_computed_are_left_to_onnxruntime(name: str) -> None:
    path = zoo.light_path(name)
    feeds = seeded(path)
    for left, right in zip(Session(Program.from_file(path)).run(feeds).values(), plain(path, feeds), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_large_model_stays_in_its_file_and_gives_the_same() -> None:
    path = zoo.onnx_path("VGG16")
    program = Program.from_file(path)
    assert len(program.content) < 100_000
    feeds = seeded(path)
    for left, right in zip(Session(program).run(feeds).values(), plain(path, feeds), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_external_data_beside_the_model_is_found(tmp_path: Path) -> None:
    model = onnx.load(MODELS / "vgg_style.onnx")
    external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=256)
    path = tmp_path / "apart.onnx"
    onnx.save(model, path)
    feeds = seeded(MODELS / "vgg_style.onnx")
    left = Session(Program.from_file(path)).run(feeds)
    right = plain(MODELS / "vgg_style.onnx", feeds)
    np.testing.assert_allclose(next(iter(left.values())), right[0], rtol=1e-5, atol=1e-6)


def test_weights_in_a_typed_field_are_loaded_with_the_file(tmp_path: Path) -> None:
    model = onnx.load(MODELS / "vgg_style.onnx")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).reshape(-1)
            tensor.ClearField("raw_data")
            tensor.float_data.extend(values.tolist())
    path = tmp_path / "typed.onnx"
    path.write_bytes(model.SerializeToString())
    feeds = seeded(MODELS / "vgg_style.onnx")
    left, right = Session(Program.from_file(path)).run(feeds), plain(MODELS / "vgg_style.onnx", feeds)
    np.testing.assert_allclose(next(iter(left.values())), right[0], rtol=1e-5, atol=1e-6)


def test_inner_tensors_can_be_watched_and_are_what_the_parser_sees() -> None:
    program = Program.from_file(MODELS / "vgg_style.onnx")
    inner = [node.output[0] for node in program.proto().graph.node]
    watched = program.with_outputs([*inner, *inner])
    outputs = [value.name for value in watched.proto().graph.output]
    assert len(outputs) == len(set(outputs)) == len(set(inner) | {value.name for value in program.proto().graph.output})
    values = Session(program, tuple(inner)).run(seeded(MODELS / "vgg_style.onnx"))
    assert set(values) == set(inner)


def refused(text: str) -> SessionError:
    with pytest.raises(SessionError) as caught:
        Session(Program.from_proto(parser.parse_model(text)))
    return caught.value


def test_a_custom_operator_is_unsupported_and_not_broken() -> None:
    error = refused(
        '<ir_version: 8, opset_import: ["": 15, "com.acme": 1]> g (float[N] x) => (float[N] y) { y = com.acme.Fast(x) }'
    )
    assert error.refusal is Refusal.UNSUPPORTED
    assert "com.acme:Fast" in error.cause


def test_a_type_error_is_broken_and_told_in_one_line() -> None:
    error = refused('<ir_version: 8, opset_import: ["": 15]> g (float[N] x) => (int64[N] y) { y = Relu(x) }')
    assert error.refusal is Refusal.BROKEN
    assert "\n" not in error.cause
    assert "ONNXRuntimeError" not in error.cause


def test_nothing_is_written_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    text = """<ir_version: 8, opset_import: ["": 15]>
    g (float[N,3,4,4] x) => (float[N,3,4,5] y) <int64[2] s = {-1, 7}> { y = Relu(x)  z = Reshape(x, s) }"""
    session = Session(Program.from_proto(parser.parse_model(text)))
    x = np.zeros((2, 3, 4, 4), np.float32)
    with pytest.raises(SessionError):
        session.run({"x": x})
    with pytest.raises(SessionError):
        session.run({"x": x[:, :2]})
    assert capfd.readouterr() == ("", "")


def test_a_message_loses_where_in_the_source_it_comes_from() -> None:
    said = (
        "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Reshape node. Name:'r' Status "
        "Message: /onnxruntime_src/core/reshape_helper.h:84 onnxruntime::ReshapeHelper::ReshapeHelper(const "
        "onnxruntime::TensorShape&, bool) size != 0 && (n % size) == 0 was false. The tensor cannot be reshaped."
    )
    assert one_line(said) == "Reshape node 'r': The tensor cannot be reshaped."

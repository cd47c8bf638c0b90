"""What a model says is understood as protobuf does, or refused: no external data by a difference between parsers."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.skeleton import read, read_bytes
from cnnlint.frontends.onnx.strip import without_weights

OUTSIDE = "../SECRET.bin"


def message(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2, len(content))) + content


def external(location: str) -> bytes:
    return message(13, message(1, b"location") + message(2, location.encode()))


HEAD = bytes((0x08, 1, 0x10, TensorProto.FLOAT)) + message(8, b"w")
CODE_1_OF_33_BITS = bytes((0x81, 0x80, 0x80, 0x80, 0x10))


def initializer(tensor: bytes) -> bytes:
    graph = message(2, b"g") + message(5, tensor)
    return bytes((0x08, 8)) + message(7, graph) + message(8, bytes((0x10, 17)))


def attribute(*tensors: bytes) -> bytes:
    value = message(1, b"value") + b"".join(message(5, tensor) for tensor in tensors)
    node = message(2, b"w") + message(4, b"Constant") + message(5, value + bytes((0xA0, 0x01, AttributeProto.TENSOR)))
    return bytes((0x08, 8)) + message(7, message(1, node) + message(2, b"g")) + message(8, bytes((0x10, 17)))


CASES: dict[str, tuple[bytes, Callable[[onnx.ModelProto], TensorProto]]] = {
    "an enumeration of more than 32 bits": (
        initializer(HEAD + external(OUTSIDE) + b"\x70" + CODE_1_OF_33_BITS),
        lambda model: model.graph.initializer[0],
    ),
    "an enumeration's unknown value behind a known one": (
        initializer(HEAD + external(OUTSIDE) + b"\x70\x01\x70\x02"),
        lambda model: model.graph.initializer[0],
    ),
    "two messages that protobuf merges": (
        attribute(HEAD + external("here.bin") + b"\x70\x01", external(OUTSIDE)),
        lambda model: model.graph.node[0].attribute[0].t,
    ),
    "a key of external data twice": (
        initializer(HEAD + external("here.bin") + external(OUTSIDE) + b"\x70\x01"),
        lambda model: model.graph.initializer[0],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_protobuf_reads_as_external_data_outside_is_refused(case: str) -> None:
    data, tensor_of = CASES[case]
    tensor = tensor_of(onnx.load_from_string(data))
    assert tensor.data_location == TensorProto.EXTERNAL
    assert tensor.external_data[-1].value == OUTSIDE
    with pytest.raises(ModelError):
        read_bytes(data)


def test_an_address_in_the_memory_of_the_run_time_is_no_place(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    (folder / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(4))
    path = folder / "m.onnx"
    path.write_bytes(initializer(HEAD + external("*/_ORT_MEM_ADDR_/*") + b"\x70\x01"))
    with pytest.raises(ModelError, match="outside the model's folder"):
        read(str(path))


def test_the_run_time_gets_nothing_of_a_model_that_was_not_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], []))
    model.training_info.add().algorithm.name = "trained"
    path.write_bytes(model.SerializeToString())
    content = without_weights(str(path))
    assert content is not None
    stripped = onnx.load_from_string(content)
    assert not stripped.training_info
    assert stripped.graph == model.graph
    assert stripped.opset_import == model.opset_import

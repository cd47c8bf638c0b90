"""A model in the form that onnxruntime takes: a serialized graph, and the folder of its external data."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.errors import ModelError, RuntimeCheckError
from cnnlint.frontends.onnx import skeleton
from cnnlint.frontends.onnx.strip import without_weights
from cnnlint.frontends.onnx.wire import message
from cnnlint.runtime.nodes import subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx
    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import ModelRecord

LARGEST = 2**31 - 1
"""Most bytes of a protobuf message."""

_GRAPH, _OUTPUT, _NAME = 0x3A, 0x62, 0x0A


class Program(Struct, frozen=True, dict=True, eq=False):
    """A model that can be run.

    Attributes:
        content: A serialized ModelProto, whose large weights may be external data.
        folder: Folder of its external data; "" if it has none.
        path: As the user wrote it; "" for a model in memory.
    """

    content: bytes
    folder: str = ""
    path: str = ""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Program:
        """Return the model in the ONNX file at `path`, with its weights left in the file if possible.

        Raises:
            ModelError: The file cannot be read, or is not an ONNX model.
        """
        path = os.fspath(path)
        folder = os.path.dirname(os.path.abspath(path))
        content = without_weights(path)
        if content is not None:
            return cls(content, folder, path)
        try:
            with open(path, "rb") as file:
                return cls(file.read(), folder, path)
        except OSError as error:
            raise ModelError(f"cannot be opened: {error.strerror}", path=path) from error

    @classmethod
    def from_proto(cls, proto: onnx.ModelProto, folder: str = "") -> Program:
        """Return `proto`, with external data in `folder`.

        Raises:
            RuntimeCheckError: It holds more weights than protobuf can serialize.
        """
        if proto.ByteSize() > LARGEST:
            raise RuntimeCheckError("the model in memory has more than 2 GB of weights, too many for one protobuf")
        return cls(proto.SerializeToString(), folder)

    def proto(self) -> onnx.ModelProto:
        """Return a new ModelProto, its external data still outside.

        Raises:
            ModelError: protobuf does not take it.
        """
        import onnx
        from google.protobuf.message import DecodeError

        try:
            return onnx.ModelProto.FromString(self.content)
        except DecodeError as error:
            raise ModelError(f"protobuf cannot read it: {error}", path=self.path or None) from error

    @cached_property
    def record(self) -> ModelRecord:
        """The record of the model's graph.

        Raises:
            ModelError: It is damaged.
        """
        beside = os.path.join(self.folder, "model.onnx") if self.folder else ""
        return skeleton.read_bytes(self.content, beside)

    def with_outputs(self, names: Iterable[str]) -> Program:
        """Return the model with the tensors `names` as additional outputs.

        Protobuf parsers merge a message that is split in two, so the outputs are simply appended to the model as a
        second part of its graph.
        """
        present = {output.name for output in self.record.graph.outputs}
        added = [name for name in dict.fromkeys(names) if name not in present]
        more = b"".join(message(_OUTPUT, message(_NAME, name.encode())) for name in added)
        return Program(self.content + message(_GRAPH, more), self.folder, self.path) if more else self

    def replacing(self, values: Mapping[str, NDArray[Any]]) -> tuple[Program, dict[str, str]]:
        """Return the model with an additional input in place of each of these tensors, and the inputs' names by tensor.

        Args:
            values: The replacements; only their types matter here.
        """
        if not values:
            return self, {}
        from onnx import helper

        proto = self.proto()
        names = {name: f"{name}/given" for name in values}
        for node in proto.graph.node:
            _read(node, names)
        for name, value in values.items():
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            proto.graph.input.append(helper.make_tensor_value_info(names[name], kind, None))
        return Program.from_proto(proto, self.folder), names


def _read(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Rename the inputs of `node`, and those inside its subgraphs, that are keys of `names`."""
    for index, name in enumerate(node.input):
        node.input[index] = names.get(name, name)
    for graph in subgraphs(node):
        for inner in graph.node:
            _read(inner, names)

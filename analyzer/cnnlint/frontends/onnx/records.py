"""Light records of an ONNX file: all that its protobuf says but the weights' values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from cnnlint.graph.tensor import Dim, Storage

AttributeValue = (
    "int | float | bytes | TensorRecord | GraphRecord | tuple[int, ...] | tuple[float, ...] | tuple[bytes, ...]"
)


class TensorRecord(Struct, frozen=True):
    """A TensorProto whose values stay in the file.

    Attributes:
        name: The initializer's name; "" for a tensor in an attribute.
        shape: Its dims.
        dtype: Element type such as "float32"; "" if the code is unknown.
        storage: Reads the values; knows the range of the file they lie in.
        values: The elements as Python numbers, row-major, for tensors of at most `SMALL` elements of an
            integer, boolean or floating type that lie inside the file; None for all others.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    storage: Storage | None
    values: tuple[int | float, ...] | None = None


class ValueRecord(Struct, frozen=True):
    """A ValueInfoProto: what the file declares of a tensor.

    Attributes:
        name: The tensor's name.
        shape: Its dims, a symbol where the file names one, None where it says nothing; None if undeclared.
        dtype: Element type, "" if undeclared; "sequence", "optional" or "map" for what is no tensor.
    """

    name: str
    shape: tuple[Dim, ...] | None
    dtype: str


class NodeRecord(Struct, frozen=True):
    """A NodeProto. An input that is left out is ""; attributes by name, strings as bytes."""

    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, int | float | bytes | tuple[int, ...] | tuple[float, ...] | tuple[bytes, ...] | TensorRecord | GraphRecord | tuple[GraphRecord, ...]]
    overload: str = ""


class GraphRecord(Struct, frozen=True):
    """A GraphProto in the file's own order."""

    name: str
    nodes: tuple[NodeRecord, ...]
    initializers: dict[str, TensorRecord]
    inputs: tuple[ValueRecord, ...]
    outputs: tuple[ValueRecord, ...]
    value_infos: dict[str, ValueRecord]
    quantized: frozenset[str] = frozenset()


class FunctionRecord(Struct, frozen=True):
    """A FunctionProto: a model-local operator."""

    name: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[NodeRecord, ...]
    opsets: dict[str, int]
    overload: str = ""
    attribute_defaults: dict[str, object] = field(default_factory=dict[str, object])


class ModelRecord(Struct, frozen=True):
    """A ModelProto without its weights.

    Attributes:
        path: As the user wrote it; "" for a model in memory.
        file_bytes: The bytes of the file and of the external data files that it refers to; None if unknown.
        opsets: Version by domain; the default domain is "".
        functions: By (domain, name, overload).
        metadata: `metadata_props` of the model.
    """

    path: str
    ir_version: int
    producer: str
    producer_version: str
    opsets: dict[str, int]
    graph: GraphRecord
    functions: dict[tuple[str, str, str], FunctionRecord]
    metadata: dict[str, str]
    file_bytes: int | None

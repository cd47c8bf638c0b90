"""Records of an ONNX file: everything except the values of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from cnnlint.frontends.sources import ByteSource
    from cnnlint.graph.tensor import Dim, Storage

SMALL = 64
"""Tensors of at most this many elements have their `values`: axes, shapes, pads, scales, zero points."""


NO_TRACE = (0, 0)
"""Of a node whose Python is not known."""


class TensorRecord(Struct, frozen=True, gc=False):
    """A TensorProto, or a SparseTensorProto, whose values stay in the file.

    Attributes:
        name: The initializer's name; "" for a tensor in an attribute that has none.
        shape: Its dims.
        dtype: Element type such as "float32"; "string" for text; "" if the code is unknown.
        storage: Reads the values; None if the file does not have them.
        values: The elements as Python numbers, row-major, for dense tensors in the file with at most `SMALL` elements
            of an integer, boolean, or at least 16-bit real type; None for others.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    storage: Storage | None
    values: tuple[int | float, ...] | None = None


class ValueRecord(Struct, frozen=True, gc=False):
    """A ValueInfoProto: the file's declaration of a tensor.

    Attributes:
        name: The tensor's name.
        shape: Its dims: numbers, symbols, or None; None if undeclared.
        dtype: Element type, "" if undeclared; "sequence", "optional", "map" or "opaque" if it is not a tensor.
    """

    name: str
    shape: tuple[Dim, ...] | None
    dtype: str


class NodeRecord(Struct, frozen=True, gc=False):
    """A NodeProto.

    Attributes:
        op_type: The operator or the function that it calls.
        domain: The operator's domain; "" is the default, even if the file has "ai.onnx".
        name: "" if it has none.
        inputs: Names of tensors; "" for an omitted input.
        outputs: Names of tensors; "" for an omitted output.
        attributes: Values by name, without references.
        overload: Distinguishes functions of the same name.
        references: Inside a function: attribute name -> the function's attribute that it refers to.
        module: The PyTorch module that it comes from, "layer1.0.conv1", if the exporter stored it.
        faults: What is wrong with its attributes that `attributes` cannot show: name and clause of each.
        trace: Where in the file the entry stands that says which lines of Python it comes from.
    """

    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, AttributeValue]
    overload: str = ""
    references: dict[str, str] = field(default_factory=dict[str, str])
    module: str = ""
    faults: tuple[tuple[str, str], ...] = ()
    trace: tuple[int, int] = NO_TRACE

    @property
    def label(self) -> str:
        """What the node is called: its name, else its first output, else its operator."""
        return self.name or next(filter(None, self.outputs), self.op_type)


class GraphRecord(Struct, frozen=True, gc=False):
    """A GraphProto in the file's own order.

    Attributes:
        name: "" if it has none.
        nodes: In the file's order.
        initializers: By name, including sparse ones.
        inputs: Including initializers in files of IR version 3.
        outputs: As declared.
        value_infos: Declarations of inner tensors, by name.
        repeated: Names that several initializers have, and names that several declarations of inner tensors have;
            the last of each stands in `initializers` and `value_infos`.
    """

    name: str
    nodes: tuple[NodeRecord, ...]
    initializers: dict[str, TensorRecord]
    inputs: tuple[ValueRecord, ...]
    outputs: tuple[ValueRecord, ...]
    value_infos: dict[str, ValueRecord]
    repeated: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


class FunctionRecord(Struct, frozen=True, gc=False):
    """A FunctionProto: a model-local operator.

    Attributes:
        name: The op_type that calls it.
        domain: The domain that calls it; "" is the default.
        inputs: Formal parameters.
        outputs: Formal results.
        nodes: Its body.
        opsets: Version by domain for the body.
        overload: Distinguishes functions of the same name.
        attribute_defaults: Attributes that a call may give, with their defaults.
        attributes: Names of those that have no default.
    """

    name: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[NodeRecord, ...]
    opsets: dict[str, int]
    overload: str = ""
    attribute_defaults: dict[str, AttributeValue] = field(default_factory=dict[str, "AttributeValue"])
    attributes: tuple[str, ...] = ()


class ModelRecord(Struct, frozen=True, gc=False):
    """A ModelProto without its weights.

    Attributes:
        path: As the user wrote it; "" for a model in memory.
        file_bytes: Total size of the file and its external data; None if unknown.
        opsets: Version by domain; the default domain is "".
        functions: By (domain, name, overload).
        metadata: `metadata_props` of the model.
        source: The bytes of the file.
        ir_version: 0 if the file does not say.
        imports: Domain and version of each opset import, as the file lists them; the default domain is "".
        metadata_entries: Key and value of each of `metadata_props`, as the file lists them.
        function_keys: The keys of `functions` as the file lists them.
        faults: Tensors whose messages are malformed, by name, each with how, as a clause.
        checksums: What the file says the SHA-1 of its data files is, and those files, by location; None for those of
            a model in memory.
    """

    path: str
    producer: str
    producer_version: str
    opsets: dict[str, int]
    graph: GraphRecord
    functions: dict[tuple[str, str, str], FunctionRecord]
    metadata: dict[str, str]
    file_bytes: int | None
    source: ByteSource | None = None
    ir_version: int = 0
    imports: tuple[tuple[str, int], ...] = ()
    metadata_entries: tuple[tuple[str, str], ...] = ()
    function_keys: tuple[tuple[str, str, str], ...] = ()
    faults: tuple[tuple[str, str], ...] = ()
    checksums: dict[str, tuple[str, ByteSource | None]] = {}


def subgraphs(node: NodeRecord) -> Iterator[GraphRecord]:
    """Yield the graphs among a node's attributes."""
    for value in node.attributes.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, GraphRecord):
                yield item


def all_nodes(nodes: Iterable[NodeRecord]) -> Iterator[NodeRecord]:
    """Yield `nodes` and those of their subgraphs."""
    for node in nodes:
        yield node
        for body in subgraphs(node):
            yield from all_nodes(body.nodes)


def names_read(body: GraphRecord) -> Iterator[str]:
    """Yield the names that the nodes of a subgraph and its subgraphs read."""
    for node in body.nodes:
        yield from (name for name in node.inputs if name)
        for inner in subgraphs(node):
            yield from names_read(inner)
    yield from (value.name for value in body.outputs)


if TYPE_CHECKING:
    AttributeValue: TypeAlias = (
        int
        | float
        | bytes
        | TensorRecord
        | GraphRecord
        | ValueRecord
        | tuple[int, ...]
        | tuple[float, ...]
        | tuple[bytes, ...]
        | tuple[TensorRecord, ...]
        | tuple[GraphRecord, ...]
        | tuple[ValueRecord, ...]
    )
    """An attribute's value by its AttributeProto type: INT int, FLOAT float, STRING bytes, TENSOR and
    SPARSE_TENSOR TensorRecord, GRAPH GraphRecord, TYPE_PROTO ValueRecord (without a name); the plural
    types are tuples of these, () when empty. For type checkers only."""

    Attribute: TypeAlias = tuple[str, AttributeValue | None, str, str]
    """An attribute's name, its value, the attribute that it refers to and what is wrong with it; the value is None for
    a reference and for types that are not known."""

    Attributes: TypeAlias = tuple[dict[str, AttributeValue], dict[str, str], tuple[tuple[str, str], ...]]
    """Of a node: values by name, references by name, and what is wrong with some of them."""

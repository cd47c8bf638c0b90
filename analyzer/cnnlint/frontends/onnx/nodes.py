"""Decode NodeProto with its attributes, GraphProto and FunctionProto to records."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, cast

from cnnlint.frontends.onnx.records import (
    NO_TRACE,
    FunctionRecord,
    GraphRecord,
    NodeRecord,
    TensorRecord,
    ValueRecord,
)
from cnnlint.frontends.onnx.tensors import MAX_SUBGRAPHS, sparse_tensor, tensor, value_info, value_type
from cnnlint.frontends.onnx.wire import (
    WireError,
    closed,
    content,
    entry,
    fields,
    int32,
    members,
    once,
    signed,
    text,
    varint,
    varints,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cnnlint.frontends.onnx.records import Attribute, Attributes, AttributeValue, TensorRecord, ValueRecord
    from cnnlint.frontends.onnx.tensors import Reading

INLINE = 1024
"""Messages up to this many bytes are read whole; in larger ones, fields with payloads stay in the file."""

# Kinds are the codes of AttributeProto.AttributeType. Those with a single value have a default.
_DEFAULTS: dict[int, AttributeValue] = {
    1: 0.0,
    2: 0,
    3: b"",
    4: TensorRecord("", (), "", None),
    5: GraphRecord("", (), {}, (), (), {}),
    11: TensorRecord("", (), "", None),
    13: ValueRecord("", None, ""),
}
_LISTS = frozenset({6, 7, 8, 9, 10, 12, 14})
_MESSAGES = frozenset({4, 5, 11, 13})
"""Kinds whose single value is a message; protobuf would merge two of them."""
_KINDS = _LISTS | _DEFAULTS.keys()
KINDS = {
    1: "FLOAT", 2: "INT", 3: "STRING", 4: "TENSOR", 5: "GRAPH", 6: "FLOATS", 7: "INTS", 8: "STRINGS", 9: "TENSORS",
    10: "GRAPHS", 11: "SPARSE_TENSOR", 12: "SPARSE_TENSORS", 13: "TYPE_PROTO", 14: "TYPE_PROTOS",
}  # fmt: skip
"""Names of AttributeProto.AttributeType by code."""


def attribute(reading: Reading, start: int, end: int, depth: int) -> Attribute:
    """Read the AttributeProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is invalid, or its subgraphs are nested too deep.
    """
    source = reading.source
    if end - start <= INLINE:
        return decode_attribute(reading, source.read(start, end - start), start, depth)
    light: list[bytes] = []
    found: dict[int, list[AttributeValue]] = {}
    field = start
    for tag, begin, stop in fields(source, start, end):
        if tag in _HEAVY:
            kind, read = _HEAVY[tag]
            once(kind in _MESSAGES and kind in found, "the value of an attribute")
            found.setdefault(kind, []).append(read(reading, begin, stop, depth))
        elif tag != 0x6A:  # doc_string
            light.append(source.read(field, stop - field))
        field = stop
    return decode_attribute(reading, b"".join(light), start, depth, found)


def decode_attribute(
    reading: Reading,
    data: bytes,
    base: int,
    depth: int,
    found: dict[int, list[AttributeValue]] | None = None,
) -> Attribute:
    """Decode the AttributeProto at offset `base`; `found` has values, by kind, that are not in `data`."""
    name = reference = ""
    declared = 0
    found = {} if found is None else found
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag == 0x0A:
            name = text(data[start:pos])
        elif tag == 0xA0:
            declared = int32(varint(data, start)[0])
        elif tag == 0xAA:
            reference = text(data[start:pos])
        elif tag in _PLAIN:
            kind, decode = _PLAIN[tag]
            once(kind in _MESSAGES and kind in found, "the value of an attribute")
            found.setdefault(kind, []).extend(decode(data[start:pos]))
        elif tag in _HEAVY:
            kind, read = _HEAVY[tag]
            once(kind in _MESSAGES and kind in found, "the value of an attribute")
            found.setdefault(kind, []).append(read(reading, base + start, base + pos, depth))
    closed(pos, end)
    # Files of IR version 1 do not declare the type: it follows from the field in use.
    kind = declared if declared in _KINDS else next(iter(found), 0)
    values = found.get(kind, ())
    fault = _fault(declared, found, reference)
    if kind in _LISTS:
        return name, cast("AttributeValue", tuple(values)), reference, fault
    return name, values[-1] if values else _DEFAULTS.get(kind), reference, fault


def _fault(declared: int, found: Mapping[int, object], reference: str) -> str:
    """Return what is wrong with an attribute of a declared type that holds the fields `found`, as a clause."""
    if not declared and (found or not reference):
        return "declares no type"
    if len(found) > 1 or (found and reference):
        return "holds more than one value"
    if declared not in _KINDS:
        return f"declares the type {declared}, which does not exist" if declared else ""
    held = next(iter(found), declared)
    return "" if held == declared else f"declares the type {KINDS[declared]} and holds {KINDS[held]}"


def attribute_kind(value: AttributeValue) -> tuple[int, ...]:
    """Return the codes of the types that an attribute of this value may have; of an empty list those of all lists."""
    if isinstance(value, tuple):
        return tuple(_LIST_OF[_kind(value[0])]) if value else tuple(sorted(_LISTS))
    return _kind(value), *((11,) if isinstance(value, TensorRecord) else ())


def _kind(value: object) -> int:
    for kind, of in _VALUES:
        if isinstance(value, of):
            return kind
    return 0


_VALUES = ((2, int), (1, float), (3, bytes), (4, TensorRecord), (5, GraphRecord), (13, ValueRecord))
_LIST_OF = {1: (6,), 2: (7,), 3: (8,), 4: (9, 12), 5: (10,), 13: (14,), 0: ()}


def _floats(data: bytes) -> Sequence[float]:
    if len(data) % 4:
        raise WireError("a list of floats ends within one")
    return struct.unpack(f"<{len(data) // 4}f", data)


def _integers(data: bytes) -> Sequence[int]:
    return [signed(value) for value in varints(data)]


def _string(data: bytes) -> Sequence[bytes]:
    return (data,)


def _type(data: bytes) -> Sequence[ValueRecord]:
    return (value_type(data),)


def _tensor(reading: Reading, start: int, stop: int, _depth: int) -> TensorRecord:
    return tensor(reading, start, stop)


def _sparse_tensor(reading: Reading, start: int, stop: int, _depth: int) -> TensorRecord:
    return sparse_tensor(reading, start, stop)


def _graph(reading: Reading, start: int, stop: int, depth: int) -> GraphRecord:
    return graph(reading, start, stop, depth + 1)


# By tag: the kind of attribute that the field belongs to, and how its content is decoded.
_PLAIN: dict[int, tuple[int, Callable[[bytes], Sequence[AttributeValue]]]] = {
    0x15: (1, _floats),
    0x18: (2, _integers),
    0x22: (3, _string),
    0x3A: (6, _floats),
    0x3D: (6, _floats),
    0x40: (7, _integers),
    0x42: (7, _integers),
    0x4A: (8, _string),
    0x72: (13, _type),
    0x7A: (14, _type),
}
# The same for fields that may hold payloads, which are read in place.
_HEAVY: dict[int, tuple[int, Callable[[Reading, int, int, int], AttributeValue]]] = {
    0x2A: (4, _tensor),
    0x32: (5, _graph),
    0x52: (9, _tensor),
    0x5A: (10, _graph),
    0xB2: (11, _sparse_tensor),
    0xBA: (12, _sparse_tensor),
}


_MEMO = 96
"""Attributes up to this many bytes are cached."""

_NOTE = 512
"""Metadata up to this many bytes is read."""

_SCOPES = b"pkg.torch.onnx.name_scopes"
"""Key of the metadata with the modules of a node in PyTorch's exports: "['', 'layer1', 'layer1.0', 'conv2d']"."""

_TRACE = b"pkg.torch.onnx.stack_trace"
"""Key of the metadata with the lines of Python that a node comes from; it is long, and left in the file."""

_NONE: dict[str, str] = {}

NO_ATTRIBUTES: Attributes = ({}, _NONE, ())
"""What nodes without attributes share."""


def node(reading: Reading, start: int, end: int, depth: int = 0) -> NodeRecord:
    """Read the NodeProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is invalid, or its subgraphs are nested too deep.
    """
    source = reading.source
    if end - start <= INLINE:
        return _node(reading, source.read(start, end - start), start, depth, ())
    light: list[bytes] = []
    attributes: list[tuple[int, int]] = []
    trace = NO_TRACE
    field = start
    for tag, begin, stop in fields(source, start, end):
        if tag == 0x2A:
            attributes.append((begin, stop))
        elif tag == 0x4A and _TRACE in source.read(begin, len(_TRACE) + 2):
            trace = begin, stop
        elif tag != 0x32 and (tag != 0x4A or stop - begin <= _NOTE):
            light.append(source.read(field, stop - field))
        field = stop
    return _node(reading, b"".join(light), start, depth, attributes, trace=trace)


def _node(
    reading: Reading,
    data: bytes,
    base: int,
    depth: int,
    ranges: Iterable[tuple[int, int]],
    *,
    trace: tuple[int, int] = NO_TRACE,
) -> NodeRecord:
    """Decode a NodeProto at offset `base`, with attributes at `ranges`, and a trace, that are not in `data`."""
    inputs: list[str] = []
    outputs: list[str] = []
    raw: list[tuple[bytes, int]] = []
    name = op_type = domain = overload = module = ""
    pos, end = 0, len(data)
    while pos < end:
        tag, size = data[pos], data[pos + 1]
        if size < 0x80 and tag & 0x87 == 2:
            start = pos + 2
            pos = start + size
        else:
            tag, start, pos = content(data, pos)
        if tag == 0x0A:
            inputs.append(data[start:pos].decode("utf-8", "backslashreplace"))
        elif tag == 0x12:
            outputs.append(data[start:pos].decode("utf-8", "backslashreplace"))
        elif tag == 0x2A:
            raw.append((data[start:pos], start))
        elif tag == 0x22:
            op_type = data[start:pos].decode("utf-8", "backslashreplace")
        elif tag == 0x1A:
            name = data[start:pos].decode("utf-8", "backslashreplace")
        elif tag == 0x3A:
            domain = opset_domain(data[start:pos])
        elif tag == 0x42:
            overload = text(data[start:pos])
        elif tag == 0x4A and _SCOPES in data[start:pos]:
            module = _innermost(entry(data[start:pos])[1])
        elif tag == 0x4A and _TRACE in data[start:pos]:
            trace = base + start, base + pos
    closed(pos, end)
    if not raw and not ranges:
        attributes, references, faults = NO_ATTRIBUTES
    else:
        attributes, references, faults = _attributes(reading, raw, base, depth, ranges)
    return NodeRecord(
        op_type, domain, name, tuple(inputs), tuple(outputs), attributes, overload, references, module, faults, trace
    )


def _attributes(
    reading: Reading, raw: Sequence[tuple[bytes, int]], base: int, depth: int, ranges: Iterable[tuple[int, int]]
) -> Attributes:
    """Return the attributes of a node; nodes whose attributes are the same bytes share them."""
    key = () if ranges else tuple([data for data, _ in raw])
    shared = reading.attribute_sets.get(key) if key else None
    if shared is not None:
        return shared
    memo = reading.attributes
    found: list[Attribute] = []
    short = bool(key)
    for data, start in raw:
        known = memo.get(data)
        if known is None:
            known = decode_attribute(reading, data, base + start, depth)
            if len(data) <= _MEMO:
                memo[data] = known
            else:
                short = False
        found.append(known)
    for start, stop in ranges:
        found.append(attribute(reading, start, stop, depth))
    attributes: dict[str, AttributeValue] = {}
    references = _NONE
    faults: tuple[tuple[str, str], ...] = ()
    for name, value, reference, fault in found:
        if fault or name in attributes or name in references:
            faults = (*faults, (name, fault or "is given twice"))
        if reference:
            references = {**references, name: reference}
        elif value is not None:
            attributes[name] = value
    if short:
        reading.attribute_sets[key] = attributes, references, faults
    return attributes, references, faults


def _innermost(scopes: str) -> str:
    """Return the last module in a list of scopes; the last entry is the operator itself."""
    names = scopes.strip("[]").split(", ")
    return names[-2].strip("'\"") if len(names) > 1 else ""


def opset_domain(data: bytes) -> str:
    """Decode an operator domain; the default one has two names."""
    domain = text(data)
    return "" if domain == "ai.onnx" else domain


def graph(reading: Reading, start: int, end: int, depth: int = 0) -> GraphRecord:
    """Read the GraphProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is invalid, or its subgraphs are nested too deep.
    """
    if depth > MAX_SUBGRAPHS:
        raise reading.error(f"its subgraphs are nested more than {MAX_SUBGRAPHS} deep")
    read = reading.source.read
    name = ""
    nodes: list[NodeRecord] = []
    initializers: list[TensorRecord] = []
    inputs: list[ValueRecord] = []
    outputs: list[ValueRecord] = []
    infos: list[ValueRecord] = []
    for tag, begin, stop in fields(reading.source, start, end):
        if tag == 0x0A:
            nodes.append(node(reading, begin, stop, depth))
        elif tag == 0x2A:
            initializers.append(tensor(reading, begin, stop))
        elif tag == 0x6A:
            infos.append(value_info(reading, read(begin, stop - begin)))
        elif tag == 0x5A:
            inputs.append(value_info(reading, read(begin, stop - begin)))
        elif tag == 0x62:
            outputs.append(value_info(reading, read(begin, stop - begin)))
        elif tag == 0x12:
            name = reading.text(begin, stop)
        elif tag == 0x7A:
            initializers.append(sparse_tensor(reading, begin, stop))
    weights = {record.name: record for record in initializers}
    inner = {record.name: record for record in infos}
    repeated = ((), ())
    if len(weights) < len(initializers) or len(inner) < len(infos):
        repeated = (_repeated(initializers), _repeated(infos))
    return GraphRecord(name, tuple(nodes), weights, tuple(inputs), tuple(outputs), inner, repeated)


def _repeated(records: Iterable[TensorRecord | ValueRecord]) -> tuple[str, ...]:
    counts = Counter(record.name for record in records)
    return tuple(name for name, count in counts.items() if count > 1)


def function(reading: Reading, start: int, end: int) -> FunctionRecord:
    """Read the FunctionProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is invalid, or its subgraphs are nested too deep.
    """
    read = reading.source.read
    name = domain = overload = ""
    inputs: list[str] = []
    outputs: list[str] = []
    nodes: list[NodeRecord] = []
    defaults: dict[str, AttributeValue] = {}
    given: list[str] = []
    opsets: dict[str, int] = {}
    for tag, begin, stop in fields(reading.source, start, end):
        if tag == 0x3A:
            nodes.append(node(reading, begin, stop))
        elif tag == 0x0A:
            name = reading.text(begin, stop)
        elif tag == 0x22:
            inputs.append(reading.text(begin, stop))
        elif tag == 0x2A:
            outputs.append(reading.text(begin, stop))
        elif tag == 0x4A:
            opsets.update((opset(read(begin, stop - begin)),))
        elif tag == 0x52:
            domain = opset_domain(read(begin, stop - begin))
        elif tag == 0x5A:
            key, value, _, _ = attribute(reading, begin, stop, 0)
            if value is not None:
                defaults[key] = value
        elif tag == 0x6A:
            overload = reading.text(begin, stop)
        elif tag == 0x32:
            given.append(reading.text(begin, stop))
    return FunctionRecord(
        name,
        domain,
        tuple(inputs),
        tuple(outputs),
        tuple(nodes),
        opsets,
        overload,
        defaults,
        tuple(given),
    )


def opset(data: bytes) -> tuple[str, int]:
    """Decode an OperatorSetIdProto: domain and version."""
    domain, version = "", 0
    for tag, value in members(data):
        if tag == 0x0A:
            domain = opset_domain(value)
        elif tag == 0x10:
            version = signed(varint(value, 0)[0])
    return domain, version

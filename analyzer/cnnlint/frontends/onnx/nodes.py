"""NodeProto, AttributeProto, GraphProto and FunctionProto -> records."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cnnlint.frontends.onnx.context import MAX_SUBGRAPHS
from cnnlint.frontends.onnx.records import (
    FunctionRecord,
    GraphRecord,
    NodeRecord,
    TensorRecord,
    ValueRecord,
)
from cnnlint.frontends.onnx.tensors import sparse_tensor, tensor
from cnnlint.frontends.onnx.values import value_info, value_type
from cnnlint.frontends.onnx.wire import (
    WireError,
    closed,
    content,
    entry,
    fields,
    signed,
    text,
    varint,
    varints,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnlint.frontends.onnx.context import Context
    from cnnlint.frontends.onnx.records import AttributeValue

INLINE = 1024
"""Messages up to this many bytes are read whole; of larger ones, fields that hold payloads stay in the file."""

_MEMO = 96
"""Attributes up to this many bytes are worth remembering."""

_NONE: dict[str, str] = {}

# The tags of AttributeProto whose fields hold tensors and graphs, and how each is read.
_TENSOR, _GRAPH, _TENSORS, _GRAPHS, _SPARSE, _SPARSES = 0x2A, 0x32, 0x52, 0x5A, 0xB2, 0xBA
_HEAVY = frozenset({_TENSOR, _GRAPH, _TENSORS, _GRAPHS, _SPARSE, _SPARSES})


def node(context: Context, start: int, end: int, depth: int = 0) -> NodeRecord:
    """Read the NodeProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is wrong, or its subgraphs are nested too deep.
    """
    source = context.source
    if end - start <= INLINE:
        return _node(context, source.read(start, end - start), start, depth, ())
    light: list[bytes] = []
    attributes: list[tuple[int, int]] = []
    field = start
    for tag, begin, stop in fields(source, start, end):
        if tag == 0x2A:
            attributes.append((begin, stop))
        elif tag not in {0x32, 0x4A}:  # what nobody reads: a stack trace may stand there
            light.append(source.read(field, stop - field))
        field = stop
    return _node(context, b"".join(light), start, depth, attributes)


def _node(context: Context, data: bytes, base: int, depth: int, ranges: Iterable[tuple[int, int]]) -> NodeRecord:
    """Decode a NodeProto that lies at `base`, and the attributes that lie at `ranges` and are not in `data`."""
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, AttributeValue] = {}
    references = _NONE
    found: list[tuple[str, AttributeValue | None, str]] = []
    name = op_type = domain = overload = ""
    memo = context.attributes
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
            key = data[start:pos]
            known = memo.get(key)
            if known is None:
                known = _attribute(context, key, base + start, depth, {})
                if pos - start <= _MEMO:
                    memo[key] = known
            found.append(known)
        elif tag == 0x22:
            op_type = data[start:pos].decode("utf-8", "backslashreplace")
        elif tag == 0x1A:
            name = data[start:pos].decode("utf-8", "backslashreplace")
        elif tag == 0x3A:
            domain = opset_domain(data[start:pos])
        elif tag == 0x42:
            overload = text(data[start:pos])
    closed(pos, end)
    for start, stop in ranges:
        found.append(attribute(context, start, stop, depth))
    for key, value, reference in found:
        if reference:
            references = {**references, key: reference}
        elif value is not None:
            attributes[key] = value
    return NodeRecord(op_type, domain, name, tuple(inputs), tuple(outputs), attributes, overload, references)


def opset_domain(data: bytes) -> str:
    """Decode an operator domain; the default one goes by two names."""
    domain = text(data)
    return "" if domain == "ai.onnx" else domain


def attribute(context: Context, start: int, end: int, depth: int) -> tuple[str, AttributeValue | None, str]:
    """Read the AttributeProto at [start, end): its name, its value, and the attribute that it refers to.

    The value is None for a reference and for types that are not known.

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is wrong, or its subgraphs are nested too deep.
    """
    source = context.source
    if end - start <= INLINE:
        return _attribute(context, source.read(start, end - start), start, depth, {})
    light: list[bytes] = []
    heavy: dict[int, list[tuple[int, int]]] = {}
    field = start
    for tag, begin, stop in fields(source, start, end):
        if tag in _HEAVY:
            heavy.setdefault(tag, []).append((begin, stop))
        elif tag != 0x6A:
            light.append(source.read(field, stop - field))
        field = stop
    return _attribute(context, b"".join(light), start, depth, heavy)


def _attribute(
    context: Context, data: bytes, base: int, depth: int, heavy: dict[int, list[tuple[int, int]]]
) -> tuple[str, AttributeValue | None, str]:
    """Decode an AttributeProto that lies at `base`, with the fields at `heavy` that are not in `data`."""
    name = reference = ""
    kind = 0
    integer, real, string = 0, 0.0, b""
    integers: list[int] = []
    reals: list[float] = []
    strings: list[bytes] = []
    types: list[ValueRecord] = []
    seen = 0
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if pos > end:
            break
        if tag == 0x0A:
            name = data[start:pos].decode("utf-8", "backslashreplace")
        elif tag == 0xA0:
            kind = varint(data, start)[0]
        elif tag == 0x18:
            integer, seen = signed(varint(data, start)[0]), 2
        elif tag == 0x40:
            integers.append(signed(varint(data, start)[0]))
        elif tag == 0x42:
            integers.extend(map(signed, varints(data[start:pos])))
        elif tag == 0x15:
            real, seen = struct.unpack_from("<f", data, start)[0], 1
        elif tag in {0x3D, 0x3A}:
            reals.extend(_floats(data[start:pos]))
        elif tag == 0x22:
            string, seen = data[start:pos], 3
        elif tag == 0x4A:
            strings.append(data[start:pos])
        elif tag in _HEAVY:
            heavy.setdefault(tag, []).append((base + start, base + pos))
        elif tag in {0x72, 0x7A}:
            types.append(value_type(data[start:pos]))
        elif tag == 0xAA:
            reference = text(data[start:pos])
    closed(pos, end)
    value: AttributeValue | None
    match kind or _deduced(seen, heavy, integers=integers, reals=reals, strings=strings, types=types):
        case 1:
            value = real
        case 2:
            value = integer
        case 3:
            value = string
        case 4:
            tensors = [tensor(context, *span) for span in heavy.get(_TENSOR, ())]
            value = tensors[-1] if tensors else TensorRecord("", (), "", None)
        case 5:
            graphs = [graph(context, *span, depth + 1) for span in heavy.get(_GRAPH, ())]
            value = graphs[-1] if graphs else GraphRecord("", (), {}, (), (), {})
        case 6:
            value = tuple(reals)
        case 7:
            value = tuple(integers)
        case 8:
            value = tuple(strings)
        case 9:
            value = tuple(tensor(context, *span) for span in heavy.get(_TENSORS, ()))
        case 10:
            value = tuple(graph(context, *span, depth + 1) for span in heavy.get(_GRAPHS, ()))
        case 11:
            tensors = [sparse_tensor(context, *span) for span in heavy.get(_SPARSE, ())]
            value = tensors[-1] if tensors else TensorRecord("", (), "", None)
        case 12:
            value = tuple(sparse_tensor(context, *span) for span in heavy.get(_SPARSES, ()))
        case 13:
            value = types[-1] if types else ValueRecord("", None, "")
        case 14:
            value = tuple(types)
        case _:
            value = None
    return name, value, reference


def _deduced(
    seen: int, heavy: Iterable[int], *, integers: object, reals: object, strings: object, types: object
) -> int:
    """Return the attribute's type in files of IR version 1, which do not say it: that of the field in use."""
    for kind, used in ((7, integers), (6, reals), (8, strings), (13, types)):
        if used:
            return kind
    tags = {_TENSOR: 4, _GRAPH: 5, _TENSORS: 9, _GRAPHS: 10, _SPARSE: 11, _SPARSES: 12}
    return next((tags[tag] for tag in heavy), seen)


def _floats(data: bytes) -> tuple[float, ...]:
    if len(data) % 4:
        raise WireError("a list of floats ends within one")
    return struct.unpack(f"<{len(data) // 4}f", data)


def graph(context: Context, start: int, end: int, depth: int = 0) -> GraphRecord:
    """Read the GraphProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is wrong, or its subgraphs are nested too deep.
    """
    if depth > MAX_SUBGRAPHS:
        raise context.error(f"its subgraphs are nested more than {MAX_SUBGRAPHS} deep")
    read = context.source.read
    name = ""
    nodes: list[NodeRecord] = []
    initializers: list[TensorRecord] = []
    inputs: list[ValueRecord] = []
    outputs: list[ValueRecord] = []
    infos: list[ValueRecord] = []
    quantized: list[str] = []
    for tag, begin, stop in fields(context.source, start, end):
        if tag == 0x0A:
            nodes.append(node(context, begin, stop, depth))
        elif tag == 0x2A:
            initializers.append(tensor(context, begin, stop))
        elif tag == 0x6A:
            infos.append(value_info(context, read(begin, stop - begin)))
        elif tag == 0x5A:
            inputs.append(value_info(context, read(begin, stop - begin)))
        elif tag == 0x62:
            outputs.append(value_info(context, read(begin, stop - begin)))
        elif tag == 0x12:
            name = context.text(begin, stop)
        elif tag == 0x7A:
            initializers.append(sparse_tensor(context, begin, stop))
        elif tag == 0x72:
            # tensor_name is field 1 of TensorAnnotation as key is of StringStringEntryProto.
            quantized.append(entry(read(begin, stop - begin))[0])
    return GraphRecord(
        name,
        tuple(nodes),
        {record.name: record for record in initializers},
        tuple(inputs),
        tuple(outputs),
        {record.name: record for record in infos},
        frozenset(quantized),
    )


def function(context: Context, start: int, end: int) -> FunctionRecord:
    """Read the FunctionProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is wrong, or its subgraphs are nested too deep.
    """
    read = context.source.read
    name = domain = overload = ""
    inputs: list[str] = []
    outputs: list[str] = []
    nodes: list[NodeRecord] = []
    required: list[str] = []
    defaults: dict[str, AttributeValue] = {}
    opsets: dict[str, int] = {}
    for tag, begin, stop in fields(context.source, start, end):
        if tag == 0x3A:
            nodes.append(node(context, begin, stop))
        elif tag == 0x0A:
            name = context.text(begin, stop)
        elif tag == 0x22:
            inputs.append(context.text(begin, stop))
        elif tag == 0x2A:
            outputs.append(context.text(begin, stop))
        elif tag == 0x32:
            required.append(context.text(begin, stop))
        elif tag == 0x4A:
            opsets.update((opset(read(begin, stop - begin)),))
        elif tag == 0x52:
            domain = opset_domain(read(begin, stop - begin))
        elif tag == 0x5A:
            key, value, _ = attribute(context, begin, stop, 0)
            if value is not None:
                defaults[key] = value
        elif tag == 0x6A:
            overload = context.text(begin, stop)
    return FunctionRecord(
        name,
        domain,
        tuple(inputs),
        tuple(outputs),
        tuple(nodes),
        opsets,
        overload,
        tuple(required),
        defaults,
    )


def opset(data: bytes) -> tuple[str, int]:
    """Decode an OperatorSetIdProto: domain and version."""
    domain, version = "", 0
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag == 0x0A:
            domain = opset_domain(data[start:pos])
        elif tag == 0x10:
            version = signed(varint(data, start)[0])
    closed(pos, end)
    return domain, version

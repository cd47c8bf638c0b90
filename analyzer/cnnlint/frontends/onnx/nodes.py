"""NodeProto, GraphProto and FunctionProto -> records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint.frontends.onnx.attributes import INLINE, attribute, decode_attribute
from cnnlint.frontends.onnx.context import MAX_SUBGRAPHS
from cnnlint.frontends.onnx.records import FunctionRecord, GraphRecord, NodeRecord
from cnnlint.frontends.onnx.tensors import sparse_tensor, tensor
from cnnlint.frontends.onnx.values import value_info
from cnnlint.frontends.onnx.wire import closed, content, entry, fields, signed, text, varint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnlint.frontends.onnx.context import Context
    from cnnlint.frontends.onnx.records import AttributeValue, TensorRecord, ValueRecord

_MEMO = 96
"""Attributes up to this many bytes are worth remembering."""

_NOTE = 512
"""Metadata up to this many bytes is looked at."""

_SCOPES = b"pkg.torch.onnx.name_scopes"
"""The metadata in which PyTorch's exporter notes the modules around a node: "['', 'layer1', 'layer1.0', 'conv2d']"."""

_NONE: dict[str, str] = {}


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
        elif tag != 0x32 and (tag != 0x4A or stop - begin <= _NOTE):  # a stack trace may stand there
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
    name = op_type = domain = overload = module = ""
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
                known = decode_attribute(context, key, base + start, depth)
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
        elif tag == 0x4A and _SCOPES in data[start:pos]:
            module = _innermost(entry(data[start:pos])[1])
    closed(pos, end)
    for start, stop in ranges:
        found.append(attribute(context, start, stop, depth))
    for key, value, reference in found:
        if reference:
            references = {**references, key: reference}
        elif value is not None:
            attributes[key] = value
    return NodeRecord(op_type, domain, name, tuple(inputs), tuple(outputs), attributes, overload, references, module)


def _innermost(scopes: str) -> str:
    """Return the last module of a list of scopes, whose very last is the operator itself."""
    names = scopes.strip("[]").split(", ")
    return names[-2].strip("'\"") if len(names) > 1 else ""


def opset_domain(data: bytes) -> str:
    """Decode an operator domain; the default one goes by two names."""
    domain = text(data)
    return "" if domain == "ai.onnx" else domain


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

"""Strip the weights from an ONNX model, for onnxruntime, which maps them, and for onnx's shape inference."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from cnnlint import limits
from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.inlining import expansion
from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord, ValueRecord, all_nodes
from cnnlint.frontends.onnx.wire import WireError, encoded, fields, message, varint, varints
from cnnlint.frontends.sources import local_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cnnlint.frontends.sources import ByteSource

STAYS = 4096
"""Tensors up to this many bytes stay in the model: shape inference needs the values of shapes and axes."""

_GRAPH, _NODE, _INITIALIZER, _INPUT = 0x3A, 0x0A, 0x2A, 0x5A
_KEPT = frozenset({0x08, 0x42, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x72, 0xCA})
"""Tags of the other fields of a ModelProto that are kept: versions, producer, domain, metadata, functions."""
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 0x4A, 0x6A, 0x70, 1
_FIELDS = frozenset({0x22, 0x2A, 0x32, 0x3A, 0x52, 0x5A})
_HEADER = frozenset({0x08, 0x0A, 0x10, 0x42})
"""Tags of dims (packed or not), data_type and name."""


class _NotRawError(Exception):
    """A large initializer is in a typed field, which cannot be mapped."""


def without_weights(path: str) -> bytes | None:
    """Return the model at `path` with every large initializer of its graph replaced by a reference to the file.

    The result is a serialized ModelProto, usually of a few kilobytes, for a session whose option
    `session.model_external_initializers_file_folder_path` is the absolute folder of `path`. Everything else is kept
    byte for byte: tensors in attributes, subgraphs and functions, and external data.

    Returns:
        None if the model must be loaded from its file: a large initializer is not raw_data, or the file is a
        symbolic link to another folder, which onnxruntime would not follow.

    Raises:
        ModelError: The file cannot be read or is not valid protobuf.
    """
    source = local_file(path)
    if os.path.dirname(os.path.realpath(path)) != os.path.realpath(os.path.dirname(path)):
        return None
    refer = partial(_reference, os.path.basename(path).encode())
    try:
        return _shrunk(source, refer)
    except _NotRawError:
        return None
    except WireError as error:
        raise ModelError(f"is a damaged ONNX model: {error}", path=path) from error


def without_values(source: ByteSource) -> bytes:
    """Return the model in `source` in a form of which onnx's checker says what it says of the file.

    It rejects a tensor without values, so what may lack them here is an input of the graph instead: initializers that
    are large, lie outside of the file, or have no values anyway, and large tensors of Constant nodes. The cost does not
    depend on the weights.

    Raises:
        WireError: The source is not valid protobuf.
    """
    parts: list[bytes] = []
    field = 0
    for tag, begin, stop in fields(source, 0, source.size):
        if tag == _GRAPH:
            parts.append(message(_GRAPH, b"".join(_with_inputs(source, begin, stop))))
        elif tag in _KEPT:
            parts.append(source.read(field, stop - field))
        field = stop
    return b"".join(parts)


def _with_inputs(source: ByteSource, start: int, end: int) -> Iterator[bytes]:
    """Yield the fields of the GraphProto, with an input for each tensor whose values are left out."""
    fed, made = set[bytes](), dict[bytes, bytes]()
    run = field = start
    for tag, begin, stop in fields(source, start, end):
        name, kind = b"", b""
        if tag == _INITIALIZER:
            name, kind = _typed(source, begin, stop)
        elif tag == _NODE and stop - begin > STAYS:
            name, kind = _constant(source, begin, stop)
        elif tag == _INPUT:
            fed.update(source.read(at, past - at) for inner, at, past in fields(source, begin, stop) if inner == 0x0A)
        if kind:
            yield source.read(run, field - run)
            run = stop
            made[name] = kind
        field = stop
    yield source.read(run, end - run)
    for name, kind in made.items():
        if name not in fed:
            yield message(_INPUT, message(0x0A, name) + message(0x12, kind))


def _typed(source: ByteSource, start: int, end: int) -> tuple[bytes, bytes]:
    """Return the name of the TensorProto, and its TypeProto if its values are to be left out."""
    name, code, dims = b"", 0, list[int]()
    is_held = is_outside = False
    for tag, begin, stop in fields(source, start, end):
        is_held = is_held or tag == _RAW_DATA or tag in _FIELDS
        if tag not in _HEADER and tag != _DATA_LOCATION:
            continue
        content = source.read(begin, stop - begin)
        if tag == 0x42:
            name = content
        elif tag == 0x0A:
            dims += varints(content)
        elif tag == 0x08:
            dims.append(varint(content, 0)[0])
        elif tag == 0x10:
            code = varint(content, 0)[0]
        else:
            is_outside = varint(content, 0)[0] == _EXTERNAL
    if not is_outside and (0 in dims or (is_held and end - start <= STAYS)):
        return name, b""
    shape = b"".join(message(0x0A, b"\x08" + encoded(dim)) for dim in dims)
    return name, message(0x0A, b"\x08" + encoded(code) + message(0x12, shape))


def _constant(source: ByteSource, start: int, end: int) -> tuple[bytes, bytes]:
    """Return the output of a Constant node and the TypeProto of its large tensor; nothing of another node."""
    operator, outputs, place = b"", list[bytes](), (0, 0)
    for tag, begin, stop in fields(source, start, end):
        if tag == 0x12:
            outputs.append(source.read(begin, stop - begin))
        elif tag == 0x22:
            operator = source.read(begin, stop - begin)
        elif tag == 0x2A:
            place = next(((at, past) for inner, at, past in fields(source, begin, stop) if inner == 0x2A), place)
    if operator != b"Constant" or len(outputs) != 1 or place[1] - place[0] <= STAYS:
        return b"", b""
    return outputs[0], _typed(source, *place)[1]


def shapes_only(source: ByteSource) -> bytes:
    """Return the model in `source` with the values of large initializers of its graph removed, for shape inference.

    Raises:
        WireError: The source is not valid protobuf.
    """
    return _shrunk(source, _header)


def _shrunk(source: ByteSource, shrink: Callable[[ByteSource, int, int], bytes]) -> bytes:
    """Return the ModelProto in `source` with `shrink` applied to every large initializer of its graph."""
    parts: list[bytes] = []
    field = 0
    for tag, begin, stop in fields(source, 0, source.size):
        if tag == _GRAPH:
            parts.append(message(_GRAPH, b"".join(_graph(source, begin, stop, shrink))))
        elif tag in _KEPT:
            parts.append(source.read(field, stop - field))
        field = stop
    return b"".join(parts)


def _graph(
    source: ByteSource, start: int, end: int, shrink: Callable[[ByteSource, int, int], bytes]
) -> Iterator[bytes]:
    """Yield the GraphProto's fields, unchanged ones in long runs."""
    run = field = start
    for tag, begin, stop in fields(source, start, end):
        if tag == _INITIALIZER and stop - begin > STAYS:
            yield source.read(run, field - run)
            yield message(_INITIALIZER, shrink(source, begin, stop))
            run = stop
        field = stop
    yield source.read(run, end - run)


def _header(source: ByteSource, start: int, end: int) -> bytes:
    """Return only the name, dims and type of the TensorProto."""
    kept: list[bytes] = []
    field = start
    for tag, _, stop in fields(source, start, end):
        if tag in _HEADER:
            kept.append(source.read(field, stop - field))
        field = stop
    return b"".join(kept)


def _reference(file: bytes, source: ByteSource, start: int, end: int) -> bytes:
    """Return the TensorProto with its raw_data replaced by a reference to the file."""
    kept: list[bytes] = []
    place: tuple[int, int] | None = None
    field = start
    for tag, begin, stop in fields(source, start, end):
        if tag == _RAW_DATA:
            place = (begin, stop - begin)
        elif tag in _FIELDS and stop - begin > STAYS:
            raise _NotRawError
        elif tag == _DATA_LOCATION:
            if varint(source.read(begin, stop - begin), 0)[0] == _EXTERNAL:
                return source.read(start, end - start)
        else:
            kept.append(source.read(field, stop - field))
        field = stop
    if place is None:
        raise _NotRawError
    for key, value in ((b"location", file), (b"offset", b"%d" % place[0]), (b"length", b"%d" % place[1])):
        kept.append(message(_EXTERNAL_DATA, message(0x0A, key) + message(0x12, value)))
    kept.append(bytes((_DATA_LOCATION, _EXTERNAL)))
    return b"".join(kept)


INFERENCE = """
from cnnlint.worker.onnx_library import inferred
sys.stdout.buffer.write(inferred(sys.stdin.buffer.read(), follows={follows}))
"""
"""The program that runs shape inference in its own process: onnx 1.23 crashes on reductions along invalid axes."""


def infer(model: ModelRecord, nodes: Iterable[NodeRecord]) -> Mapping[str, ValueRecord]:
    """Return the tensors of `model` with shapes inferred by onnx; {} if it fails.

    Args:
        model: The file. It is not inferred if its function calls expand to more than `limits.MAX_INLINED`.
        nodes: Its nodes with the calls inlined. Data propagation is off if their shape arithmetic exceeds
            `limits.MAX_FOLDED_IN_ALL` elements, since onnx has no limit.
    """
    if model.source is None or expansion(model.graph.nodes, model) > limits.MAX_INLINED:
        return {}
    from cnnlint.frontends.onnx.skeleton import read_bytes
    from cnnlint.worker.question import ask

    follows = elements_followed(nodes, model.graph) <= limits.MAX_FOLDED_IN_ALL
    given = shapes_only(model.source)
    nbytes = limits.INFERENCE_SPARE + limits.INFERENCE_A_BYTE * len(given)
    seconds = limits.INFERENCE_SECONDS + len(given) // limits.INFERENCE_BYTES_A_SECOND
    inferred = ask(INFERENCE.format(follows=follows), given, seconds=seconds, nbytes=nbytes)
    if inferred is None:
        return {}
    graph = read_bytes(inferred).graph
    return {**graph.value_infos, **{value.name: value for value in graph.outputs}}


def elements_followed(nodes: Iterable[NodeRecord], graph: GraphRecord) -> int:
    """Return an upper bound of the elements in onnx's data propagation."""
    sizes = {name: limits.product(record.shape) or 0 for name, record in graph.initializers.items()}
    sizes = {name: size for name, size in sizes.items() if size <= limits.MAX_FOLDED}
    total = 0
    for node in all_nodes(nodes):
        given = [sizes.get(name, 1) for name in node.inputs]
        if node.op_type == "Shape":
            made = limits.MAX_RANK
        elif node.op_type == "Concat":
            made = sum(given)
        else:
            made = max(given, default=1)
        # only shapes are propagated, but every operator could make one
        if made > 1:
            total += made
            sizes.update(dict.fromkeys(node.outputs, made))
        if total > limits.MAX_FOLDED_IN_ALL:
            break
    return total

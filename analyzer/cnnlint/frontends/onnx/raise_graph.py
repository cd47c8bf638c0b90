"""Raises the record of an ONNX file to a graph of CNN layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from msgspec.structs import replace

from cnnlint.errors import ContradictionError, ModelError
from cnnlint.frontends.onnx import lowering
from cnnlint.frontends.onnx.inlining import in_order, inlined
from cnnlint.frontends.onnx.lowering.operators import (
    CONTROL_FLOW,
    PLAIN,
    emit_aside,
    emit_contradiction,
    emit_opaque,
    emit_operator,
    names_read,
    subgraphs,
)
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.names import rename
from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord, ValueRecord
from cnnlint.frontends.raising.canonical import canonicalize
from cnnlint.frontends.raising.draft import Draft
from cnnlint.graph.dtype import storage_bytes
from cnnlint.graph.graph import Graph, Source, UnusedWeight
from cnnlint.graph.tensor import Shape, element_count

IGNORE_PREFIX = "cnnlint.ignore."
"""Keys of the model's metadata that name a rule to ignore."""

KNOWN_DOMAINS = frozenset({"", "com.microsoft"})
"""Domains that operators of the vocabulary come from."""


def raise_model(model: ModelRecord, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Return the graph of CNN layers that a file holds.

    Args:
        model: The file without its weights.
        inputs: Shapes by input name, in the file's order of axes, that replace what the file declares.

    Raises:
        ModelError: The graph is cyclic, a node reads what nothing produces, or an operator is malformed.
    """
    draft = Draft()
    state = Lowering(draft, model)
    graph = model.graph
    nodes = in_order(inlined(graph.nodes, model), graph, model.path)
    nodes = [node if node.outputs else replace(node, outputs=("",)) for node in nodes]
    state.declare([*graph.value_infos.values(), *graph.outputs] if not inputs else [])
    state.index_readers(nodes)
    state.add_initializers(graph.initializers)
    # constants come first: an input's layout may be read off the shape that a Reshape gives it
    _lower(state, (node for node in nodes if node.op_type == "Constant"))
    _add_inputs(state, graph.inputs, graph, inputs or {})
    _lower(state, (node for node in nodes if node.op_type != "Constant"))
    for value in graph.outputs:
        found = state.get(value.name)
        if found is None:
            raise ModelError(f"nothing produces the output {value.name!r}", path=model.path)
        draft.outputs.append(state.as_view(found, value.name).tensor)
    canonicalize(draft)
    rename(draft, model)
    return draft.freeze(_source(model, state), unused=_unused(graph, nodes), ignores=_ignores(model))


def _lower(state: Lowering, nodes: Iterable[NodeRecord]) -> None:
    known = dict[tuple[str, str, str], Handler]()
    for node in nodes:
        operator = (node.domain, node.op_type, node.overload)
        if operator not in known:
            _check_domain(node, state.model)
            known[operator] = _handler(node)
        state.turn_to(node)
        try:
            known[operator](state)
        except ContradictionError as error:
            state.turn_to(node)
            emit_contradiction(state, error.cause)
        for name in node.outputs:
            if name and state.get(name) is None and (state.readers(name) or state.is_result(name)):
                emit_aside(state, [other for other in node.outputs if other and state.get(other) is None])
                break


@cache
def handlers() -> dict[str, Handler]:
    """Return what lowers each operator."""
    return {name: handler for family in lowering.FAMILIES for name, handler in family.HANDLERS.items()}


def _handler(node: NodeRecord) -> Handler:
    if node.op_type in CONTROL_FLOW:
        return _opaque("control flow: what runs is decided by values")
    if node.domain in KNOWN_DOMAINS and (found := handlers().get(node.op_type)) is not None:
        return found
    if node.domain == "ai.onnx.ml" or (node.domain == "" and node.op_type in PLAIN):
        return emit_operator
    return _opaque(f"an operator of domain {node.domain}" if node.domain else "an operator whose cost is not known")


def _opaque(reason: str) -> Handler:
    return lambda state: emit_opaque(state, reason)


def _check_domain(node: NodeRecord, model: ModelRecord) -> None:
    if node.domain not in model.opsets and (node.domain, node.op_type, node.overload) not in model.functions:
        name = node.name or node.op_type
        raise ModelError(
            f"node {name!r} uses operator {node.op_type} of domain {node.domain or 'ai.onnx'!r}, "
            "but the file imports no version of that domain",
            path=model.path,
        )


def _add_inputs(state: Lowering, values: Sequence[ValueRecord], graph: GraphRecord, given: Mapping[str, Shape]) -> None:
    names = [value.name for value in values if value.name not in graph.initializers]
    named = {dim for value in (*values, *graph.value_infos.values(), *graph.outputs) for dim in value.shape or ()}
    batch = next(name for name in ("batch", "N", "first_axis_of_inputs") if name not in named)
    for name in given:
        if name not in names:
            raise ModelError(
                f"there is no input {name!r} to set", path=state.model.path, remedy=f"its inputs are {', '.join(names)}"
            )
    for value in values:
        if value.name in graph.initializers:
            continue
        shape = given.get(value.name, value.shape)
        if shape and shape[0] is None:
            shape = (batch, *shape[1:])
        if shape is not None and value.shape is not None and len(shape) != len(value.shape):
            raise ModelError(
                f"input {value.name!r} has {len(value.shape)} axes, not {len(shape)}", path=state.model.path
            )
        if shape is not None and any(
            isinstance(said, int) and isinstance(mine, int) and said != mine
            for said, mine in zip(value.shape or (), shape, strict=False)
        ):
            said = "×".join("?" if dim is None else str(dim) for dim in value.shape or ())
            raise ModelError(
                f"the shape {'×'.join(map(str, shape))} given to the input {value.name!r} contradicts the file",
                path=state.model.path,
                remedy=f"the file says {said}, and only what is no number there can be set",
            )
        permutation = state.layout(value.name, shape)
        view = state.draft.add_input(value.name, shape, value.dtype or "float32", permutation=permutation)
        state.bind(value.name, view)


def _source(model: ModelRecord, state: Lowering) -> Source:
    producer = f"{model.producer} {model.producer_version}".strip()
    last = any(state.layout(value.name, value.shape) for value in model.graph.inputs)
    return Source(
        path=model.path,
        format="onnx",
        producer=producer,
        opset=model.opsets.get(""),
        file_bytes=model.file_bytes,
        layout="channels_last" if last else "channels_first",
    )


def _unused(graph: GraphRecord, nodes: Iterable[NodeRecord]) -> tuple[UnusedWeight, ...]:
    if not graph.initializers:
        return ()
    read = {value.name for value in graph.outputs}
    for node in nodes:
        read.update(node.inputs)
        for body in subgraphs(node):
            read.update(names_read(body))
    return tuple(
        UnusedWeight(record.name, storage_bytes(record.dtype, element_count(record.shape) or 0))
        for name, record in graph.initializers.items()
        if name not in read
    )


def _ignores(model: ModelRecord) -> tuple[tuple[str, str], ...]:
    return tuple(
        (key.removeprefix(IGNORE_PREFIX), value)
        for key, value in model.metadata.items()
        if key.startswith(IGNORE_PREFIX)
    )

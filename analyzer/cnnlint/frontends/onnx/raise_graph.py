"""Raises the record of an ONNX file to a graph of CNN layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from cnnlint.errors import ContradictionError, ModelError
from cnnlint.frontends.onnx.inlining import in_order, inlined
from cnnlint.frontends.onnx.names import rename
from cnnlint.frontends.onnx.operators import handler_of
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext
from cnnlint.frontends.onnx.operators.outside import add_contradiction, add_missing
from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord, ValueRecord, names_read, subgraphs
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.canonical import canonicalize
from cnnlint.graph.dtype import storage_bytes
from cnnlint.graph.graph import Graph, Source, UnusedWeight
from cnnlint.graph.tensor import Shape, element_count

IGNORE_PREFIX = "cnnlint.ignore."
"""Keys of the model's metadata that name a rule to ignore."""


def raise_model(model: ModelRecord, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Return the graph of CNN layers that a file holds.

    Args:
        model: The file without its weights.
        inputs: Shapes by input name, in the file's order of axes, that replace what the file declares.

    Raises:
        ModelError: The graph is cyclic, a node reads what nothing produces, or an operator is malformed.
    """
    builder = GraphBuilder()
    ctx = NodeContext(builder, model)
    graph = model.graph
    nodes = in_order(inlined(graph.nodes, model), graph, model.path)
    nodes = [node if node.outputs else replace(node, outputs=("",)) for node in nodes]
    ctx.declare([*graph.value_infos.values(), *graph.outputs] if not inputs else [])
    ctx.index_readers(nodes)
    ctx.add_initializers(graph.initializers)
    # constants come first: an input's layout may be read off the shape that a Reshape gives it
    _raise_nodes(ctx, (node for node in nodes if node.op_type == "Constant"))
    _add_inputs(ctx, graph.inputs, graph, inputs or {})
    _raise_nodes(ctx, (node for node in nodes if node.op_type != "Constant"))
    for value in graph.outputs:
        found = ctx.get(value.name)
        if found is None:
            raise ModelError(f"nothing produces the output {value.name!r}", path=model.path)
        builder.outputs.append(ctx.as_view(found, value.name).tensor)
    canonicalize(builder)
    rename(builder, model)
    return builder.freeze(_source(model, ctx), unused=_unused(graph, nodes), ignores=_ignores(model))


def _raise_nodes(ctx: NodeContext, nodes: Iterable[NodeRecord]) -> None:
    known = dict[tuple[str, str, str], Handler]()
    for node in nodes:
        operator = (node.domain, node.op_type, node.overload)
        if operator not in known:
            _check_domain(node, ctx.model)
            known[operator] = handler_of(node)
        ctx.turn_to(node)
        try:
            known[operator](ctx)
        except ContradictionError as error:
            ctx.turn_to(node)
            add_contradiction(ctx, error.cause)
        for name in node.outputs:
            if name and ctx.get(name) is None and (ctx.readers(name) or ctx.is_result(name)):
                add_missing(ctx, [other for other in node.outputs if other and ctx.get(other) is None])
                break


def _check_domain(node: NodeRecord, model: ModelRecord) -> None:
    if node.domain not in model.opsets and (node.domain, node.op_type, node.overload) not in model.functions:
        name = node.name or node.op_type
        raise ModelError(
            f"node {name!r} uses operator {node.op_type} of domain {node.domain or 'ai.onnx'!r}, "
            "but the file imports no version of that domain",
            path=model.path,
        )


def _add_inputs(
    ctx: NodeContext, values: Sequence[ValueRecord], graph: GraphRecord, given: Mapping[str, Shape]
) -> None:
    names = [value.name for value in values if value.name not in graph.initializers]
    named = {dim for value in (*values, *graph.value_infos.values(), *graph.outputs) for dim in value.shape or ()}
    batch = next(name for name in ("batch", "N", "first_axis_of_inputs") if name not in named)
    for name in given:
        if name not in names:
            raise ModelError(
                f"there is no input {name!r} to set", path=ctx.model.path, remedy=f"its inputs are {', '.join(names)}"
            )
    for value in values:
        if value.name in graph.initializers:
            continue
        shape = given.get(value.name, value.shape)
        if shape and shape[0] is None:
            shape = (batch, *shape[1:])
        if shape is not None and value.shape is not None and len(shape) != len(value.shape):
            raise ModelError(f"input {value.name!r} has {len(value.shape)} axes, not {len(shape)}", path=ctx.model.path)
        if shape is not None and any(
            isinstance(said, int) and isinstance(mine, int) and said != mine
            for said, mine in zip(value.shape or (), shape, strict=False)
        ):
            said = "×".join("?" if dim is None else str(dim) for dim in value.shape or ())
            raise ModelError(
                f"the shape {'×'.join(map(str, shape))} given to the input {value.name!r} contradicts the file",
                path=ctx.model.path,
                remedy=f"the file says {said}, and only what is no number there can be set",
            )
        permutation = ctx.layout_of(value.name, shape)
        view = ctx.builder.add_input(value.name, shape, value.dtype or "float32", permutation=permutation)
        ctx.set_value(value.name, view)


def _source(model: ModelRecord, ctx: NodeContext) -> Source:
    producer = f"{model.producer} {model.producer_version}".strip()
    last = any(ctx.layout_of(value.name, value.shape) for value in model.graph.inputs)
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

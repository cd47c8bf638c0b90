"""Build the graph of an ONNX file, with names that the user recognizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from cnnlint.errors import ContradictionError, ModelError, UnknownError
from cnnlint.frontends.onnx.file import FileContext
from cnnlint.frontends.onnx.inlining import in_order, inlined
from cnnlint.frontends.onnx.operators import handler_of
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext
from cnnlint.frontends.onnx.operators.outside import add_contradiction, add_missing
from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord, ValueRecord, names_read, subgraphs
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.canonical import canonicalize
from cnnlint.graph.graph import Graph, Source, UnusedWeight
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.layers import Activation
from cnnlint.graph.tensor import Shape, element_count, storage_bytes

INNER = frozenset(
    {
        "batchnorm", "moments", "convolution", "separable_conv2d", "Cast", "ReadVariableOp", "merged_input", "Repeat",
        "Tensordot",
    }
)  # fmt: skip
"""Scopes that Keras's own layers open within their scope."""

AROUND = frozenset({"Pad", "Squeeze", "Unsqueeze"})
"""Operators before or after the one that a layer is named after."""

TRACED = re.compile(r"_\d+$")
"""Suffix that Keras appends to every scope when it traces a model again."""


def rename(builder: GraphBuilder, model: ModelRecord) -> None:
    """Give layers the names of their Keras layers or PyTorch modules, if the file has them."""
    if model.producer.startswith("tf2onnx"):
        scopes = {layer.name: scope for layer in builder if (scope := _scope(layer)) is not None}
        paths = {layer: "/".join(_layer_scope(path)) for layer, path in _without_root(scopes).items()} if scopes else {}
    elif model.producer.startswith("pytorch"):
        paths = {layer.name: module for layer in builder if (module := _module(layer))}
    else:
        return
    names, taken, scopes_taken = dict[str, str](), set[str](), set[str]()
    # a module is called after what holds its weights, and not after a Pad or Reshape ahead of that
    holders = {paths[layer.name]: layer.name for layer in reversed([*builder]) if layer.weights and layer.name in paths}
    for layer in builder:
        name = paths.get(layer.name)
        if name is None:
            continue
        scopes_taken.add(name.rpartition("/")[0])
        is_held = holders.get(name, layer.name) != layer.name
        if is_held or name in taken or (name in scopes_taken and isinstance(layer, Activation)):
            name += "/" + (layer.function if isinstance(layer, Activation) else layer.kind.lower())
        if name not in taken:
            taken.add(name)
            names[layer.name] = name
    builder.rename(names)


def _module(layer: Layer) -> str:
    """Return the PyTorch module of a layer: by its weights' names, the exporter's metadata, or its node's name."""
    if layer.weights and (found := re.fullmatch(r"([\w.]+)\.weight", layer.weights[0].key)):
        return found[1]
    parts = _at_the_core(layer)
    scope = next((part.scope for part in parts if part.scope), "")
    if scope or not parts:
        return scope
    path = list[str]()
    for step in parts[0].name.split("/")[1:-1]:
        # "/stages/stages.0/stages.0.1/conv1/Conv": members of a Sequential repeat the names of the enclosing ones
        names = step.split(".")
        known = next((size for size in range(len(names) - 1, 0, -1) if path[-size:] == names[:size]), 0)
        path += names[known:]
    return ".".join(path)


def _at_the_core(layer: Layer) -> Sequence[Part]:
    return [part for part in layer.origin if part.op not in AROUND] or layer.origin


def _scope(layer: Layer) -> list[str] | None:
    """Return the scopes and the name of the layer's node, or of its kernel if tf2onnx generated the node."""
    own = [part.name for part in _at_the_core(layer) if TRACED.sub("", part.name.split("/")[0]).rstrip("_") != part.op]
    candidates = own + [weight.key for weight in layer.weights]
    name = next((name for name in candidates if "/" in name and not name.startswith("const_fold")), None)
    if name is None:
        return None
    return name.partition(":")[0].split("/")


def _layer_scope(path: list[str]) -> list[str]:
    """Return the scopes without the operator's name and scopes that the layer opened within its own."""
    if path[-2:] == ["separable_conv2d", "depthwise"]:
        return [*path[:-2], "depthwise"]
    if path[-1] == "separable_conv2d" and len(path) > 1:
        return [*path[:-1], "pointwise"]
    end = max(len(path) - 1, 1)
    while end > 1 and path[end - 1] in INNER:
        end -= 1
    return path[:end]


def _without_root(scopes: dict[str, list[str]]) -> dict[str, list[str]]:
    """Remove the scopes that all layers share, and the suffix of a second trace if all have it."""
    paths = scopes
    while len({path[0] for path in paths.values()}) == 1 and all(len(path) > 1 for path in paths.values()):
        root = next(iter(paths.values()))[0]
        paths = {layer: path[1:] for layer, path in paths.items()}
        if TRACED.search(root) and all(TRACED.search(path[0]) for path in paths.values() if len(path) > 1):
            paths = {layer: [*(TRACED.sub("", step) for step in path[:-1]), path[-1]] for layer, path in paths.items()}
    return paths


IGNORE_PREFIX = "cnnlint.ignore."
"""Prefix of metadata keys that name a rule to ignore."""


def raise_model(model: ModelRecord, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Return the graph of a file.

    Args:
        model: The file without its weights.
        inputs: Shapes by input name, in the file's layout, that replace the file's.

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
    # constants come first: an input's layout may follow from the target of a Reshape
    _raise_nodes(ctx, (node for node in nodes if node.op_type == "Constant"))
    _add_inputs(ctx, graph.inputs, graph, inputs or {})
    _raise_nodes(ctx, (node for node in nodes if node.op_type != "Constant"))
    for value in graph.outputs:
        found = ctx.get(value.name)
        if found is None:
            raise ModelError(f"nothing produces the output {value.name!r}", path=model.path)
        builder.outputs.append(ctx.as_view(found, value.name).tensor)
    contradicted, broken = ({}, ()) if inputs else (_contradicted(ctx, graph), ctx.contradictions)
    file = FileContext(model, contradicted, broken, ctx.values)
    canonicalize(builder)
    rename(builder, model)
    frozen = builder.freeze(_source(model, ctx), unused=_unused(graph, nodes), ignores=_ignores(model))
    return replace(frozen, file=file)


def _raise_nodes(ctx: NodeContext, nodes: Iterable[NodeRecord]) -> None:
    """Raise nodes one by one; those that contradict their operator's definition are opaque."""
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
            if not isinstance(error, UnknownError):
                ctx.contradict(error.cause)
        for name in node.outputs:
            if name and ctx.get(name) is None and (ctx.readers(name) or ctx.is_result(name)):
                add_missing(ctx, [other for other in node.outputs if other and ctx.get(other) is None])
                break


def _contradicted(ctx: NodeContext, graph: GraphRecord) -> dict[str, Shape]:
    """Return the shapes of tensors that have another number of axes, or another extent, than the file declares."""
    found = dict[str, Shape]()
    for value in (*graph.value_infos.values(), *graph.outputs):
        made = ctx.get(value.name) if value.shape is not None else None
        shape = None if made is None else made.shape
        if shape is None or value.shape is None or shape == value.shape:
            continue
        if len(shape) != len(value.shape) or any(
            isinstance(mine, int) and isinstance(said, int) and mine != said
            for mine, said in zip(shape, value.shape, strict=True)
        ):
            found[value.name] = shape
    return found


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
                remedy=f"the file says {said}, and only open dims can be set",
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

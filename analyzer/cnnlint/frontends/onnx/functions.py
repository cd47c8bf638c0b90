"""Inlines model-local functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.records import FunctionRecord, GraphRecord, ModelRecord, NodeRecord

DEEPEST = 64
"""Calls inside calls; a file with more has functions that call one another in a circle."""


def inlined(nodes: Iterable[NodeRecord], model: ModelRecord, depth: int = 0) -> tuple[NodeRecord, ...]:
    """Return `nodes` with every call of a function of `model` replaced by its body.

    Raises:
        ModelError: Functions call one another in a circle.
    """
    if not model.functions:
        return tuple(nodes)
    if depth > DEEPEST:
        raise ModelError("its functions call one another in a circle", path=model.path)
    result = list[NodeRecord]()
    for index, node in enumerate(nodes):
        function = model.functions.get((node.domain, node.op_type, node.overload))
        if function is None:
            result.append(node)
        else:
            result += inlined(_body(function, node, f"{node.name or node.op_type + str(index)}"), model, depth + 1)
    return tuple(result)


def _body(function: FunctionRecord, call: NodeRecord, scope: str) -> Iterator[NodeRecord]:
    names = dict(zip(function.inputs, call.inputs, strict=False))
    names.update(dict.fromkeys(function.inputs[len(call.inputs) :], ""))
    # a function may hand an input straight on; an Identity keeps the caller's name for it
    results = dict(zip(function.outputs, call.outputs, strict=False))
    straight = {formal: actual for formal, actual in results.items() if formal in names}
    names.update({formal: actual for formal, actual in results.items() if formal not in names and actual})

    def local(name: str) -> str:
        return names.setdefault(name, f"{scope}/{name}") if name else ""

    for node in function.nodes:
        attributes = dict(node.attributes)
        for name, reference in node.references.items():
            value = call.attributes.get(reference, function.attribute_defaults.get(reference))
            if value is not None:
                attributes[name] = value
        bodies = {key: _renamed(value, local) for key, value in attributes.items() if isinstance(value, GraphRecord)}
        yield replace(
            node,
            name=f"{scope}/{node.name}" if node.name else "",
            inputs=tuple(local(name) for name in node.inputs),
            outputs=tuple(local(name) for name in node.outputs),
            attributes={**attributes, **bodies},
            references={},
        )
    for formal, actual in straight.items():
        yield NodeRecord("Identity", "", "", (names[formal],), (actual,), {})


def _renamed(body: GraphRecord, local: Callable[[str], str]) -> GraphRecord:
    """Return a subgraph whose captured names are those of the caller."""
    own = {*body.initializers, *(value.name for value in body.inputs)}
    own.update(name for node in body.nodes for name in node.outputs)
    nodes = tuple(
        replace(node, inputs=tuple(name if name in own else local(name) for name in node.inputs)) for node in body.nodes
    )
    return replace(body, nodes=nodes)

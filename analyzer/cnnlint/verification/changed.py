"""What a rewrite changed: the smallest parts of two models between tensors that both compute the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import RuntimeCheckError
from cnnlint.runtime.nodes import subgraphs, used_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import onnx
    from onnx import NodeProto


class ChangedRegion(Struct, frozen=True):
    """The part of two models in which they differ.

    Attributes:
        border: Tensors that enter the part; both models compute them in the same way.
        compared: Tensors that both compute in different ways: outputs, and those that the caller asked for.
    """

    border: tuple[str, ...]
    compared: tuple[str, ...]


def changed_region(original: onnx.ModelProto, rewritten: onnx.ModelProto, also: Iterable[str] = ()) -> ChangedRegion:
    """Return where `rewritten` differs from `original`.

    Args:
        original: The model as it was.
        rewritten: The model after an edit that kept its outputs.
        also: Tensors to compare besides the outputs, if they are computed differently.

    Raises:
        RuntimeCheckError: The rewritten model lacks an output or a tensor of `also`.
    """
    alike = _alike(original, rewritten)
    outputs = [value.name for value in original.graph.output]
    wanted = [name for name in dict.fromkeys((*outputs, *also)) if name not in alike]
    made = {name for node in rewritten.graph.node for name in node.output}
    if lost := [name for name in wanted if name not in made]:
        raise RuntimeCheckError(f"the rewritten model lacks {', '.join(lost)}, so it cannot be compared")
    border = set[str]()
    for model in (original, rewritten):
        given = alike - _constants(model)
        border.update(name for node in _needed(model, wanted, given) for name in used_names(node) & given)
    return ChangedRegion(tuple(sorted(_independent(border, original))), tuple(wanted))


def _independent(border: set[str], model: onnx.ModelProto) -> set[str]:
    """Move `border` upstream until no tensor of it depends on another, so each can be fed freely."""
    constants = _constants(model)
    makers = {name: node for node in model.graph.node for name in node.output}

    def sources(name: str) -> set[str]:
        return used_names(makers[name]) - constants if name in makers else set()

    while True:
        above, waiting = set[str](), [source for name in border for source in sources(name)]
        while waiting:
            name = waiting.pop()
            if name not in above:
                above.add(name)
                waiting.extend(sources(name))
        earlier = border & above
        if not earlier:
            return border
        later = {name for name in border if _leads_to(name, earlier - {name}, sources)}
        border = (border - later).union(*(sources(name) for name in later))


def _leads_to(name: str, earlier: set[str], sources: Callable[[str], set[str]]) -> bool:
    """Return whether `name` depends on one of `earlier`."""
    seen, waiting = set[str](), list(sources(name))
    while waiting:
        source = waiting.pop()
        if source in earlier:
            return True
        if source not in seen:
            seen.add(source)
            waiting.extend(sources(source))
    return False


def part(model: onnx.ModelProto, inputs: Iterable[str], outputs: Iterable[str]) -> onnx.ModelProto:
    """Return the part of `model` that computes `outputs` from `inputs` and constants; shapes are left open.

    Raises:
        RuntimeCheckError: That part needs an input of the model that is not among `inputs`.
    """
    import onnx

    inputs, outputs = tuple(inputs), tuple(outputs)
    nodes = _needed(model, outputs, set(inputs))
    used = {name for node in nodes for name in used_names(node)} | set(outputs)
    made = {name for node in nodes for name in node.output}
    weights = {weight.name for weight in model.graph.initializer}
    open_ends = {value.name for value in model.graph.input} & used - made - weights - set(inputs)
    if open_ends:
        raise RuntimeCheckError(f"the part that changed also depends on {', '.join(sorted(open_ends))}")
    result = onnx.ModelProto()
    result.ir_version = max(model.ir_version, 4)  # older versions require every initializer among the inputs
    result.opset_import.extend(model.opset_import)
    result.functions.extend(model.functions)
    result.graph.name = model.graph.name
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(w for w in model.graph.initializer if w.name in used and w.name not in inputs)
    result.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return result


def _alike(original: onnx.ModelProto, rewritten: onnx.ModelProto) -> set[str]:
    """Return the tensors of `rewritten` that the same nodes compute from the same inputs and weights."""
    inputs = {value.name for value in original.graph.input}
    weights = {weight.name: weight for weight in original.graph.initializer}
    alike = {value.name for value in rewritten.graph.input if value.name in inputs and value.name not in weights}
    alike |= {weight.name for weight in rewritten.graph.initializer if weights.get(weight.name) == weight}
    nodes = {tuple(node.output): node for node in original.graph.node}
    for node in rewritten.graph.node:
        if nodes.get(tuple(node.output)) == node and used_names(node) <= alike | _inner_names(node):
            alike.update(name for name in node.output if name)
    return alike


def _inner_names(node: NodeProto) -> set[str]:
    """Return the tensors that are defined inside the subgraphs of `node`."""
    made = set[str]()
    for graph in subgraphs(node):
        made |= {value.name for value in graph.input} | {weight.name for weight in graph.initializer}
        for inner in graph.node:
            made |= set(inner.output) | _inner_names(inner)
    return made


def _constants(model: onnx.ModelProto) -> set[str]:
    """Return the tensors that depend only on weights."""
    constants = {weight.name for weight in model.graph.initializer}
    for node in model.graph.node:
        if used_names(node) <= constants and not node.op_type.startswith("Random"):
            constants.update(node.output)
    return constants


def _needed(model: onnx.ModelProto, outputs: Iterable[str], given: set[str]) -> list[NodeProto]:
    """Return the nodes that compute `outputs` from `given`, in order."""
    wanted = set(outputs) - given
    found: list[NodeProto] = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            found.append(node)
            wanted |= used_names(node) - given
    return found[::-1]

"""Which nodes of a file each node computes that onnxruntime runs after its optimizations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from cnnlint.frontends.onnx.records import NodeRecord, names_read, subgraphs

NCHWC = "com.microsoft.nchwc"
"""Domain of onnxruntime's operators on maps whose channels lie in blocks."""

GENERATED = re.compile(r"_token_\d+$")
"""What onnxruntime appends to a name that is taken."""

REPLACED = re.compile(r"(?:_bn|_mul|_add)?_nchwc$")
"""What it appends to the name of the first output to name the node that takes the place of its maker."""

FUSED = re.compile(r"/\w+Fusion/?$")
"""What it appends to the name of the last node that it fused."""


class Ran(Struct, frozen=True):
    """A node that onnxruntime runs.

    Attributes:
        name: onnxruntime's name for it.
        op: What it is, with what it does besides: "Conv + Add + Relu".
        covers: The nodes of the file that it computes, by index; () for one that onnxruntime added.
    """

    name: str
    op: str
    covers: tuple[int, ...]


def follow(nodes: Sequence[NodeRecord], optimized: Sequence[NodeRecord]) -> tuple[Ran, ...]:
    """Return what each of `optimized` computes, in their order.

    An optimized node is anchored at the last tensor of the file that it makes: by the name of its output, which
    fusions keep, or by that of its copy in another layout, else by its own name, which it has from the file or from
    that tensor. A convolution that took in an addition and an activation is followed across these. What it computes is
    then all that leads to its anchors from the anchors of other nodes. A node that makes what another one has made
    already, as a copy in another layout is, computes nothing.

    Args:
        nodes: Those of the file, in topological order.
        optimized: Those that onnxruntime runs, in its order.
    """
    file = _File(nodes)
    copies = {node.inputs[0]: node.outputs[0] for node in optimized if node.op_type == "ReorderOutput"}
    anchors = [file.anchors(node, copies) for node in optimized]
    made = {tensor for of_one in anchors for tensor in of_one}
    taken = set[int]()
    ran = list[Ran]()
    for node, ends in zip(optimized, anchors, strict=True):
        covered = file.between(made.difference(ends), ends) - taken
        taken |= covered
        ran.append(Ran(node.name, _words(node), tuple(sorted(covered))))
    return tuple(ran)


class _File:
    """The nodes of the file, by what they make and read."""

    def __init__(self, nodes: Sequence[NodeRecord]) -> None:
        self._nodes = nodes
        self._maker = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
        self._named = {node.name: index for index, node in enumerate(nodes) if node.name}
        self._readers = dict[str, list[int]]()
        for index, node in enumerate(nodes):
            for name in _read(node):
                self._readers.setdefault(name, []).append(index)

    def anchors(self, node: NodeRecord, copies: Mapping[str, str]) -> tuple[str, ...]:
        """Return the tensors of the file that an optimized node makes; () if it was added.

        Args:
            node: The optimized node.
            copies: By tensor, the name of its copy in the order of the file.
        """
        outputs = [copies.get(name, name) for name in node.outputs]
        if known := tuple(name for name in outputs if name in self._maker):
            return known
        name = GENERATED.sub("", node.name)
        if (tensor := REPLACED.sub("", name)) in self._maker:
            return (self._after(tensor, _taken_in(node)),)
        index = self._named.get(FUSED.sub("", name), self._named.get(node.name))
        return () if index is None else tuple(filter(None, self._nodes[index].outputs))

    def _after(self, tensor: str, operators: Iterable[str]) -> str:
        """Return what `operators` make of `tensor`, each its only reader."""
        for operator in operators:
            readers = self._readers.get(tensor, [])
            if len(readers) != 1 or self._nodes[readers[0]].op_type != operator:
                break
            tensor = self._nodes[readers[0]].outputs[0]
        return tensor

    def between(self, begins: set[str], ends: Iterable[str]) -> set[int]:
        """Return the nodes that lead from `begins`, or from nothing, to `ends`."""
        found, open_names = set[int](), [*ends]
        while open_names:
            index = self._maker.get(open_names.pop())
            if index is not None and index not in found:
                found.add(index)
                open_names += [name for name in _read(self._nodes[index]) if name not in begins]
        return found


def _read(node: NodeRecord) -> set[str]:
    inside = {name for body in subgraphs(node) for name in names_read(body)}
    return {*filter(None, node.inputs), *inside}


def _taken_in(node: NodeRecord) -> tuple[str, ...]:
    """Return the operators that a convolution took in, in the order in which it does them."""
    if node.op_type not in {"Conv", "FusedConv"} or (node.op_type == "Conv" and node.domain != NCHWC):
        return ()
    added = ("Add",) if len(node.inputs) > 3 and node.inputs[3] else ()
    activation = node.attributes.get("activation")
    return (*added, activation.decode()) if isinstance(activation, bytes) and activation else added


def _words(node: NodeRecord) -> str:
    op = "Conv" if node.op_type == "FusedConv" else node.op_type
    return " + ".join((op, *_taken_in(node)))

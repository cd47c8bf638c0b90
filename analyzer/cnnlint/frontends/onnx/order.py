"""Puts nodes in topological order and says what is wrong where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.lowering.operators import names_read, subgraphs
from cnnlint.frontends.onnx.records import GraphRecord, NodeRecord


def in_order(nodes: Sequence[NodeRecord], graph: GraphRecord, path: str) -> list[NodeRecord]:
    """Return `nodes` so that each comes behind those it reads; the file's own order where that will do.

    Raises:
        ModelError: Two nodes make one tensor, a node reads what nothing makes, or nodes read one another.
    """
    known = {*graph.initializers, *(value.name for value in graph.inputs)}
    maker = dict[str, NodeRecord]()
    for node in nodes:
        for name in node.outputs:
            if name and (name in maker or name in known):
                raise ModelError(f"two nodes produce the tensor {name!r}", path=path)
            maker[name] = node
    made = set(known)
    ordered, waiting = list[NodeRecord](), list[NodeRecord]()
    for node in nodes:
        if all(name in made for name in _reads(node, maker)):
            ordered.append(node)
            made.update(node.outputs)
        else:
            waiting.append(node)
    return ordered if not waiting else _sorted(ordered, waiting, made, maker, path)


def _reads(node: NodeRecord, maker: dict[str, NodeRecord]) -> list[str]:
    names = [name for name in node.inputs if name]
    for body in subgraphs(node):
        names += [name for name in names_read(body) if name in maker]
    return names


def _sorted(
    ordered: list[NodeRecord],
    waiting: list[NodeRecord],
    made: set[str],
    maker: dict[str, NodeRecord],
    path: str,
) -> list[NodeRecord]:
    readers = dict[str, list[int]]()
    missing = list[int]()
    for index, node in enumerate(waiting):
        lacks = {name for name in _reads(node, maker) if name not in made}
        for name in lacks:
            if name not in maker:
                label = node.name or node.op_type
                raise ModelError(f"node {label!r} ({node.op_type}) reads {name!r}, which nothing produces", path=path)
            readers.setdefault(name, []).append(index)
        missing.append(len(lacks))
    ready = [index for index, count in enumerate(missing) if count == 0]
    done = 0
    while ready:
        node = waiting[ready.pop()]
        ordered.append(node)
        done += 1
        for name in node.outputs:
            for index in readers.get(name, ()):
                missing[index] -= 1
                if missing[index] == 0:
                    ready.append(index)
    if done < len(waiting):
        stuck = [node.name or node.outputs[0] for index, node in enumerate(waiting) if missing[index] > 0]
        shown = ", ".join(stuck[:4]) + (", …" if len(stuck) > 4 else "")
        raise ModelError(f"the graph is cyclic: nodes {shown} wait for one another", path=path)
    return ordered

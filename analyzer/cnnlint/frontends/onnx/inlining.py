"""The nodes of a model as one list: function calls inlined, in topological order.

Nested calls multiply: thirty functions of two calls each expand to a billion nodes. So the size of the expansion is
computed first, once per function, and calls are inlined only within the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.records import (
    FunctionRecord,
    GraphRecord,
    ModelRecord,
    NodeRecord,
    all_nodes,
    names_read,
    subgraphs,
)

Key = tuple[str, str, str]


def inlined(nodes: Iterable[NodeRecord], model: ModelRecord) -> tuple[NodeRecord, ...]:
    """Return `nodes` with every call of a function of `model` replaced by its body.

    Raises:
        ModelError: Functions are recursive, or the calls expand to more than `limits.MAX_INLINED`.
    """
    if not model.functions:
        return tuple(nodes)
    nodes, sizes = tuple(nodes), dict[Key, int]()
    for key in _called_first(model):
        sizes[key] = _weigh(model.functions[key].nodes, sizes)
    kept = sum(_size(node) for node in nodes)
    size = limits.Allowance(limits.MAX_INLINED, "names and numbers in the nodes that its function calls come to")
    if not size.take(_weigh(nodes, sizes) - kept):
        raise ModelError(size.exceeded, path=model.path)
    result = list[NodeRecord]()
    characters = limits.Allowance(limits.MAX_INLINED_TEXT, "characters in the names that its function calls come to")
    scopes = set[str]()
    # The bodies of calls that are being inlined, the innermost on top.
    stack = [_Frame(iter(nodes), "")]
    while stack:
        frame = stack[-1]
        node = next(frame.nodes, None)
        if node is None:
            stack.pop()
            continue
        frame.place += 1
        function = model.functions.get((node.domain, node.op_type, node.overload))
        if function is None:
            result.append(node)
            continue
        scope = _fresh(node.name or f"{frame.scope}{node.op_type}{frame.place - 1}", scopes)
        body = tuple(_body(function, node, scope, characters, model.path))
        stack.append(_Frame(iter(body), f"{scope}/"))
    return tuple(result)


class _Frame(Struct, gc=False):
    """The body of a call that is being inlined.

    Attributes:
        nodes: The remaining nodes.
        scope: Prefix of the names in it.
        place: Number of nodes processed so far.
    """

    nodes: Iterator[NodeRecord]
    scope: str
    place: int = 0


def _size(node: NodeRecord) -> int:
    """Return the number of names and numbers in a node."""
    listed = sum(len(value) for value in node.attributes.values() if isinstance(value, tuple | bytes))
    return 1 + len(node.inputs) + len(node.outputs) + listed


def _fresh(scope: str, taken: set[str]) -> str:
    """Return `scope`, with a number appended if another call has it."""
    found, count = scope, 1
    while found in taken:
        count += 1
        found = f"{scope}~{count}"
    taken.add(found)
    return found


def expansion(nodes: Iterable[NodeRecord], model: ModelRecord) -> int:
    """Return the number of names and numbers in `nodes` after inlining all calls, including those in subgraphs."""
    sizes = dict[Key, int]()
    for key in _called_first(model):
        sizes[key] = _weigh(all_nodes(model.functions[key].nodes), sizes)
    return _weigh(all_nodes(nodes), sizes)


def _weigh(nodes: Iterable[NodeRecord], sizes: dict[Key, int]) -> int:
    """Return the number of names and numbers in `nodes` and the functions they call, capped far above the limit."""
    total = 0
    for node in nodes:
        total += _size(node) + sizes.get((node.domain, node.op_type, node.overload), 0)
    return min(total, 1 << 40)


def _called_first(model: ModelRecord) -> list[Key]:
    """Return the functions in an order in which each comes after those that it calls.

    Raises:
        ModelError: Functions are recursive.
    """
    functions = model.functions
    ordered, state = list[Key](), dict[Key, bool]()  # whether all functions that it calls are in `ordered`
    for first in functions:
        if first in state:
            continue
        state[first] = False
        stack = [(first, _calls(functions[first], functions))]
        while stack:
            key, calls = stack[-1]
            called = next(calls, None)
            if called is None:
                stack.pop()
                state[key] = True
                ordered.append(key)
            elif called not in state:
                state[called] = False
                stack.append((called, _calls(functions[called], functions)))
            elif not state[called]:
                raise ModelError(
                    f"its functions are recursive: {called[1]} calls itself, directly or through others",
                    path=model.path,
                )
    return ordered


def _calls(function: FunctionRecord, functions: dict[Key, FunctionRecord]) -> Iterator[Key]:
    keys = ((node.domain, node.op_type, node.overload) for node in all_nodes(function.nodes))
    return (key for key in keys if key in functions)


def _body(
    function: FunctionRecord, call: NodeRecord, scope: str, characters: limits.Allowance, path: str
) -> Iterator[NodeRecord]:
    names = dict(zip(function.inputs, call.inputs, strict=False))
    names.update(dict.fromkeys(function.inputs[len(call.inputs) :], ""))
    # a function may return an input unchanged; an Identity keeps the caller's name for it
    results = dict(zip(function.outputs, call.outputs, strict=False))
    straight = {formal: actual for formal, actual in results.items() if formal in names}
    names.update({formal: actual for formal, actual in results.items() if formal not in names and actual})

    def local(name: str) -> str:
        if name and name not in names:
            if not characters.take(len(scope) + len(name) + 1):
                raise ModelError(characters.exceeded, path=path)
            names[name] = f"{scope}/{name}"
        return names[name] if name else ""

    for node in function.nodes:
        attributes = dict(node.attributes)
        for name, reference in node.references.items():
            value = call.attributes.get(reference, function.attribute_defaults.get(reference))
            if value is not None:
                attributes[name] = value
        bodies = {key: _renamed(value, local) for key, value in attributes.items() if isinstance(value, GraphRecord)}
        if node.name and not characters.take(len(scope) + len(node.name) + 1):
            raise ModelError(characters.exceeded, path=path)
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
    """Return a subgraph with its captured names replaced by the caller's."""
    own = {*body.initializers, *(value.name for value in body.inputs)}
    own.update(name for node in body.nodes for name in node.outputs)
    nodes = tuple(
        replace(node, inputs=tuple(name if name in own else local(name) for name in node.inputs)) for node in body.nodes
    )
    return replace(body, nodes=nodes)


def in_order(nodes: Sequence[NodeRecord], graph: GraphRecord, path: str) -> list[NodeRecord]:
    """Return `nodes` in topological order, keeping the file's order if it is valid.

    Raises:
        ModelError: Two nodes produce one tensor, a node reads what nothing produces, or the graph is cyclic.
    """
    known = {*graph.initializers, *(value.name for value in graph.inputs)}
    maker = dict[str, NodeRecord]()
    for node in nodes:
        for name in node.outputs:
            if name and (name in maker or name in known):
                raise ModelError(f"two nodes produce the tensor {name!r}", path=path)
            maker[name] = node
    made = {"", *known}  # "" is an omitted input
    ordered, waiting = list[NodeRecord](), list[NodeRecord]()
    for node in nodes:
        if made.issuperset(_reads(node, maker)):
            ordered.append(node)
            made.update(node.outputs)
        else:
            waiting.append(node)
    return ordered if not waiting else _sorted(ordered, waiting, made, maker, path)


def _reads(node: NodeRecord, maker: dict[str, NodeRecord]) -> Sequence[str]:
    if not node.attributes:
        return node.inputs
    inner = (name for body in subgraphs(node) for name in names_read(body) if name in maker)
    return (*node.inputs, *inner)


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
        stuck = [
            node.name or next(iter(node.outputs), node.op_type)
            for index, node in enumerate(waiting)
            if missing[index] > 0
        ]
        shown = ", ".join(stuck[:4]) + (", …" if len(stuck) > 4 else "")
        raise ModelError(f"the graph is cyclic: nodes {shown} wait for one another", path=path)
    return ordered

"""The constants of a converted graph: attach its weights, and fold the nodes that depend only on constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cnnlint.runtime.nodes import names_inside

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Attributes = dict[str, Any]
    Evaluate = Callable[[list[Array], Attributes], Array]


class Constants:
    """The values of a graph's constant tensors, as views wherever numpy can give one.

    The constructor takes them out of the graph, and `write` puts them back.

    Attributes:
        graph: The graph, edited in place.
        values: Array by tensor name.
        labels: Names in the finished file of tensors that are to be renamed.
        inner: Names that a subgraph refers to; they stay as they are.
    """

    def __init__(self, graph: onnx.GraphProto, held: Mapping[str, Array], labels: Mapping[str, str]) -> None:
        """Take over the initializers of `graph`, and its inputs that `held` has values for."""
        from onnx import numpy_helper

        self.graph = graph
        self.values: dict[str, Array] = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        del graph.initializer[:]
        self.labels = dict(labels)
        self.values |= held
        self.inner = {name for node in graph.node for name in names_inside(node)}
        kept = [value for value in graph.input if value.name not in self.values]
        del graph.input[:]
        graph.input.extend(kept)

    def fold(self) -> None:
        """Evaluate nodes whose inputs are all constant; equal nodes share one tensor, so shared weights stay shared."""
        fixed = self.inner | {value.name for value in self.graph.output}
        seen: dict[tuple[object, ...], str] = {}
        aliases: dict[str, str] = {}
        kept: list[onnx.NodeProto] = []
        for node in self.graph.node:
            rename_inputs(node, aliases)
            name = node.output[0]
            value = None if name in fixed else self._evaluate(node)
            if value is None:
                kept.append(node)
                continue
            identity = (node.op_type, *node.input, *(part.SerializeToString() for part in node.attribute))
            if identity in seen:
                aliases[name] = seen[identity]
                continue
            seen[identity] = name
            self.values[name] = value
            if node.op_type in MOVES and node.input[0] in self.labels:
                self.labels[name] = self.labels[node.input[0]]
        replace_nodes(self.graph, kept)

    def write(self) -> None:
        """Add the constants that are used as initializers, under their labels."""
        from onnx import numpy_helper

        # In the order of first use: the converter's own order comes from sets.
        used = dict.fromkeys(self.used())
        taken = set(used) | {name for node in self.graph.node for name in node.output}
        taken |= {value.name for value in self.graph.input}
        names: dict[str, str] = {}
        for name, label in self.labels.items():
            if name in used and name not in self.inner and name != label:
                names[name] = unique_name(label, taken)
                taken.add(names[name])
        for node in self.graph.node:
            rename_inputs(node, names)
        for name in [name for name in used if name in self.values]:
            # Popped, so at most one array at a time is in memory twice.
            self.graph.initializer.append(numpy_helper.from_array(self.values.pop(name), names.get(name, name)))

    def used(self) -> Iterator[str]:
        """Yield every name that a node, a subgraph or the graph's outputs read, once per use."""
        for node in self.graph.node:
            yield from node.input
            yield from names_inside(node)
        yield from (value.name for value in self.graph.output)

    def _evaluate(self, node: onnx.NodeProto) -> Array | None:
        from onnx import helper

        evaluate = EVALUATE.get(node.op_type) if node.domain in {"", "ai.onnx"} else None
        names = [name for name in node.input if name]
        if evaluate is None or len(node.output) != 1 or any(name not in self.values for name in names):
            return None
        arrays = [self.values[name] for name in names]
        value = evaluate(arrays, {item.name: helper.get_attribute_value(item) for item in node.attribute})
        # A broadcast stays a node if its result is larger than its inputs.
        return value if value.nbytes <= sum(array.nbytes for array in arrays) else None


def unique_name(wanted: str, taken: set[str]) -> str:
    """Return `wanted`, with a number appended if it is in `taken`."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def rename_inputs(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Rename the inputs of `node` that are keys of `names`."""
    for index, name in enumerate(node.input):
        if name in names:
            node.input[index] = names[name]


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Replace the nodes of `graph` by `nodes`, some of which may be its own."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _transpose(arrays: list[Array], attributes: Attributes) -> Array:
    return arrays[0].transpose(attributes.get("perm"))


def _reshape(arrays: list[Array], attributes: Attributes) -> Array:
    data, wanted = arrays[0], [int(dim) for dim in arrays[1]]
    if not attributes.get("allowzero"):
        wanted = [data.shape[axis] if dim == 0 else dim for axis, dim in enumerate(wanted)]
    return data.reshape(wanted)


def _squeeze(arrays: list[Array], attributes: Attributes) -> Array:
    import numpy as np

    axes = _axes(arrays, attributes)
    return np.squeeze(arrays[0], axis=None if axes is None else tuple(axes))


def _unsqueeze(arrays: list[Array], attributes: Attributes) -> Array:
    import numpy as np

    return np.expand_dims(arrays[0], tuple(_axes(arrays, attributes) or ()))


def _axes(arrays: list[Array], attributes: Attributes) -> list[int] | None:
    """An attribute up to opset 12, an input since."""
    given = attributes.get("axes") if len(arrays) == 1 else arrays[1]
    return None if given is None else [int(axis) for axis in given]


def _cast(arrays: list[Array], attributes: Attributes) -> Array:
    from onnx import helper

    return arrays[0].astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _sqrt(arrays: list[Array], _: Attributes) -> Array:
    import numpy as np

    return np.sqrt(arrays[0])


MOVES = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast"})
"""Operators whose output holds the values of their first input."""

EVALUATE: dict[str, Evaluate] = {
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Identity": lambda arrays, _: arrays[0],
    "Cast": _cast,
    "Add": lambda arrays, _: arrays[0] + arrays[1],
    "Sub": lambda arrays, _: arrays[0] - arrays[1],
    "Mul": lambda arrays, _: arrays[0] * arrays[1],
    "Neg": lambda arrays, _: -arrays[0],
    "Sqrt": _sqrt,
    "Reciprocal": lambda arrays, _: arrays[0].dtype.type(1) / arrays[0],
}
"""By operator type: the value of the node's output from its inputs and attributes."""

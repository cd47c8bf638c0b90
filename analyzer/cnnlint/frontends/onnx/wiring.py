"""How the nodes of an ONNX file hang together: who makes and reads each tensor, its shape, type and constant value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from cnnlint.frontends.onnx.operators.values import Constant, Value
from cnnlint.frontends.onnx.records import GraphRecord, NodeRecord, names_read, subgraphs
from cnnlint.graph.tensor import Shape

CHANGING = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomUniform"})
"""Operators that give something else at each run though they read nothing that changes."""

ELEMENTWISE = frozenset(
    {
        "Abs", "Add", "Cast", "Celu", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish",
        "Identity", "LeakyRelu", "Max", "Mean", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu",
        "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh",
    }
)  # fmt: skip
"""Operators that compute each element from the elements at its place."""


class Wiring:
    """The nodes of the outermost graph of a file, which calls of functions and holders of graphs are among.

    Attributes:
        nodes: Those that have an output, in the order of the file.
        outputs: Names of the network's outputs.
    """

    def __init__(self, graph: GraphRecord, types: Mapping[str, str], values: Mapping[str, Value]) -> None:
        self.nodes = tuple([node for node in graph.nodes if node.outputs])
        self.outputs = frozenset(value.name for value in graph.outputs)
        self._given = {value.name for value in graph.inputs}.union(graph.initializers)
        self._stored = graph.initializers.keys()
        self._holds = dict[int, bool]()
        self._types = types
        self._values = values
        self._makers = {name: node for node in self.nodes for name in node.outputs if name}
        self._readers = readers = dict[str, list[NodeRecord]]()
        for node in self.nodes:
            for name in self.reads(node):
                if name not in readers:
                    readers[name] = [node]
                elif readers[name][-1] is not node:  # it may read a tensor twice
                    readers[name].append(node)

    def maker(self, name: str) -> NodeRecord | None:
        """Return the node that makes a tensor; None for an input, an initializer and a name that nothing makes."""
        return self._makers.get(name)

    def is_given(self, name: str) -> bool:
        """Return whether a tensor is an input of the network or an initializer."""
        return name in self._given

    def readers(self, name: str) -> tuple[NodeRecord, ...]:
        """Return the nodes that read a tensor, also in a graph inside them, each once."""
        return tuple(self._readers.get(name, ()))

    def reads(self, node: NodeRecord) -> Sequence[str]:
        """Return the names that a node reads, those in graphs inside it among them."""
        holds = self._holds.get(id(node.attributes))  # nodes whose attributes are the same bytes share them
        if holds is None:
            holds = self._holds[id(node.attributes)] = next(subgraphs(node), None) is not None
        if not holds and "" not in node.inputs:
            return node.inputs
        inside = (name for body in subgraphs(node) for name in names_read(body))
        return tuple(dict.fromkeys(filter(None, (*node.inputs, *inside))))

    def sole_reader(self, name: str) -> NodeRecord | None:
        """Return the only node that reads a tensor; None if there are others, or the network outputs it."""
        readers = self._readers.get(name, ())
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def is_read(self, name: str) -> bool:
        """Return whether a node reads a tensor, or the network outputs it."""
        return name in self._readers or name in self.outputs

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor in the file's order of axes; None if not even the rank is known."""
        value = self._values.get(name)
        return None if value is None else value.shape

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """Return the extents of a tensor if all of them are known numbers."""
        shape = self.shape(name)
        if shape is None:
            return None
        extents = tuple(dim for dim in shape if isinstance(dim, int))
        return extents if len(extents) == len(shape) else None

    def dtype(self, name: str) -> str:
        """Return the element type of a tensor; "" if it is not known."""
        return self._types.get(name) or ""

    def has_type(self, dtype: str) -> bool:
        """Return whether any tensor is known to be of an element type."""
        return dtype in self._types.values()

    def constant(self, name: str) -> Constant | None:
        """Return the value of a tensor that does not depend on the network's inputs but by their extents."""
        value = self._values.get(name)
        return value if isinstance(value, Constant) else None

    def is_fixed(self, name: str) -> bool:
        """Return whether a tensor follows from arrays in the file alone, also where its values are not worked out."""
        return name in self._fixed

    @cached_property
    def _fixed(self) -> frozenset[str]:
        fixed = {"", *self._stored}
        for node in self.nodes:
            if node.op_type not in CHANGING and fixed.issuperset(self.reads(node)):
                fixed.update(node.outputs)
        return frozenset(fixed - {""})

    def has_shape_of(self, one: str, other: str) -> bool:
        """Return whether two tensors are known to have the same shape, symbols included."""
        mine = self.shape(one)
        return mine is not None and None not in mine and mine == self.shape(other)


def permutation_of(node: NodeRecord, wiring: Wiring) -> tuple[int, ...] | None:
    """Return the input's axis at each place of a Transpose's output; None for another operator, or if not known."""
    if node.op_type != "Transpose" or node.domain or not node.inputs:
        return None
    given = node.attributes.get("perm")
    if not isinstance(given, tuple):
        shape = wiring.shape(node.inputs[0])
        return None if shape is None else tuple(reversed(range(len(shape))))
    order = tuple(axis for axis in given if isinstance(axis, int))
    return order if sorted(order) == list(range(len(order))) else None


def reshape_target(node: NodeRecord, source: str, wiring: Wiring) -> tuple[int, ...] | None:
    """Return a constant target with which a Reshape of `source` gives what `node` makes; None if there is none.

    One extent that is not known is -1, and others must stay in their place, which 0 says.
    """
    given, made = wiring.shape(source), wiring.shape(node.outputs[0])
    if made is None or any(dim == 0 for dim in (*made, *(given or ()))):
        return None
    if node.op_type == "Reshape" and wiring.numbers(node.inputs[-1]) not in (None, (len(made),)):
        return None  # the file declares another rank than the node makes
    known = given or ()
    stays = [axis < len(known) and isinstance(dim, str) and known[axis] == dim for axis, dim in enumerate(made)]
    target = [dim if isinstance(dim, int) else 0 if same else -1 for dim, same in zip(made, stays, strict=True)]
    return tuple(target) if target.count(-1) <= 1 else None

"""The state of a lowering: what each tensor name stands for, and the graph that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError, ModelError
from cnnlint.frontends.onnx.lowering.layout import find_layout
from cnnlint.frontends.onnx.lowering.values import Constant, Rows, Value, constant_of
from cnnlint.frontends.onnx.lowering.weights import is_parameter, weight_of
from cnnlint.frontends.onnx.records import ModelRecord, NodeRecord, TensorRecord, ValueRecord
from cnnlint.frontends.raising.draft import Draft
from cnnlint.frontends.raising.view import Permutation, View
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.layers import Operator, Reshape
from cnnlint.graph.tensor import Shape, Tensor, Weight


class Lowering:
    """Lowers the nodes of one graph or function body in order.

    Attributes:
        draft: The graph under construction.
        model: The file.
        opset: Version of the default domain.
        node: The node at hand.
        label: What the file calls it; its first output if it has no name.
    """

    def __init__(self, draft: Draft, model: ModelRecord) -> None:
        self.draft = draft
        self.model = model
        self.opset = model.opsets.get("", 1)
        self.node: NodeRecord = NodeRecord("", "", "", (), (), {})
        self.label = ""
        self.used: set[str] = set()
        self._values: dict[str, Value] = {}
        self._nodes: tuple[NodeRecord, ...] = ()
        self._readers: dict[str, list[NodeRecord]] = {}
        self._results = frozenset(value.name for value in model.graph.outputs)
        self._declared: dict[str, ValueRecord] = {}
        self._inferred: Mapping[str, ValueRecord] | None = None
        self._materialized: dict[str, View] = {}
        self._folded = limits.Allowance(limits.MAX_FOLDED_IN_ALL, "elements of constants in shape arithmetic")
        self._joined = limits.Allowance(limits.MAX_JOINED, "tensors that its constants are put together from")

    def turn_to(self, node: NodeRecord) -> None:
        """Make `node` the one at hand."""
        self.node = node
        self.label = node.name or node.outputs[0] or next(filter(None, node.outputs), node.op_type)

    # what a node gives

    def attribute_int(self, name: str, default: int) -> int:
        """Return an INT attribute of the node."""
        value = self.node.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def attribute_float(self, name: str, default: float) -> float:
        """Return a FLOAT attribute of the node."""
        value = self.node.attributes.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def attribute_text(self, name: str, default: str) -> str:
        """Return a STRING attribute of the node."""
        value = self.node.attributes.get(name)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else default

    def attribute_ints(self, name: str) -> tuple[int, ...] | None:
        """Return an INTS attribute of the node; None if it is not given."""
        value = self.node.attributes.get(name)
        if not isinstance(value, tuple):
            return None
        return tuple(item for item in value if isinstance(item, int))

    def steps(self, name: str, rank: int) -> tuple[int, ...]:
        """Return strides or dilations of the node: a positive number per axis, 1 where they are not given.

        Raises:
            ContradictionError: There are more or fewer, or one is not positive.
        """
        found = self.attribute_ints(name) or (1,) * rank
        if len(found) != rank or min(found, default=1) < 1:
            raise ContradictionError(f"its {name} are {_listed(found)} for a kernel of {rank} axes")
        return found

    def has_input(self, index: int) -> bool:
        """Return whether the node's input at `index` is given."""
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    # what names stand for

    def value(self, index: int) -> Value:
        """Return what the node's input at `index` stands for.

        Raises:
            ModelError: The node leaves out an input that it must have.
        """
        inputs = self.node.inputs
        if index >= len(inputs) or not inputs[index]:
            raise ModelError(f"node {self.label} ({self.node.op_type}) lacks its input {index}", path=self.model.path)
        return self._values[inputs[index]]

    def constant(self, index: int) -> Constant | None:
        """Return the node's input at `index` if it is given and constant."""
        if not self.has_input(index):
            return None
        value = self._values[self.node.inputs[index]]
        return value if isinstance(value, Constant) else None

    def setting(self, index: int, attribute: str) -> tuple[tuple[int, ...] | None, bool]:
        """Return whole numbers that newer opsets give as an input and older ones as an attribute.

        Returns:
            The numbers, None where they are not given or not known; and whether they are known.
        """
        if self.has_input(index):
            given = self.constant(index)
            numbers = None if given is None else given.integers
            return numbers, numbers is not None
        return self.attribute_ints(attribute), True

    def view(self, index: int) -> View:
        """Return the node's input at `index` as an activation, in the order of axes that the file has."""
        return self.as_view(self.value(index), self.node.inputs[index])

    def tensor(self, index: int) -> Tensor:
        """Return the node's input at `index` as a tensor of the graph, in the order of axes that the file has."""
        return self.draft.tensor(self.view(index))

    def as_view(self, value: Value, name: str) -> View:
        """Return `value` as an activation; rows get their Reshape and constants a layer of their own."""
        if isinstance(value, View):
            return value
        if name not in self._materialized:
            self._materialized[name] = self._materialize(value, name)
        return self._materialized[name]

    def _materialize(self, value: Constant | Rows, name: str) -> View:
        if isinstance(value, Rows):
            source = self.draft.tensor(value.view)
            layer = Reshape(name=name, inputs=(source,), target=value.shape, origin=(Part(name=name, op="Reshape"),))
            return View(self.draft.add(layer, [name])[0])
        layer = Operator(
            name=name,
            inputs=(),
            op="Constant",
            shapes=(value.shape,),
            weights=self.weights(value, "constant"),
            origin=(Part(name=name, op="Constant", output=name),),
        )
        return View(self.draft.add(layer, [name], dtype=value.dtype)[0])

    def get(self, name: str) -> Value | None:
        """Return what a tensor name stands for, if it is known yet."""
        return self._values.get(name)

    def bind(self, name: str, value: Value) -> None:
        """Let a tensor name stand for `value`; of a constant, what goes beyond the limits is not known."""
        if name:
            self._values[name] = self._bounded(value) if isinstance(value, Constant) else value

    def _bounded(self, value: Constant) -> Constant:
        shape, values = limits.extents(value.shape), value.values
        if values is not None:
            if self.may_fold(len(values)):
                values = tuple(limits.int64(item) if isinstance(item, int) else item for item in values)
                self._folded.take(len(values))
            else:
                values = None
        return value if shape == value.shape and values == value.values else replace(value, shape=shape, values=values)

    def may_fold(self, elements: int) -> bool:
        """Return whether a constant of so many elements may still be spelled out."""
        return elements <= min(limits.MAX_FOLDED, self._folded.left)

    def records_of(self, constants: Iterable[Constant]) -> tuple[TensorRecord, ...]:
        """Return the tensors of the file that `constants` are made of, each once.

        Raises:
            ModelError: The constants of the model are put together from more than cnnlint follows.
        """
        found = dict[str | int, TensorRecord]()
        for constant in constants:
            self._joined.spend(len(constant.records), self.model.path)
            found.update({record.name or id(record): record for record in constant.records})
        return tuple(found.values())

    def give(self, value: Value, index: int = 0) -> None:
        """Let the node's output at `index` stand for `value`."""
        if index < len(self.node.outputs):
            self.bind(self.node.outputs[index], value)

    def emit(self, layer: Layer, *, like: View | None = None, dtype: str | None = None) -> tuple[Tensor, ...]:
        """Add the layer that the node becomes and bind the node's outputs to its own.

        Args:
            layer: Without outputs.
            like: A view whose order of axes the outputs have for the file.
            dtype: Of the outputs, if it is not that of the first input.
        """
        names = self.node.outputs
        if not all(names):
            short = self.label[: limits.LONGEST_NAME]
            names = [name or f"{short}:{index}" for index, name in enumerate(names)]
        outputs = self.draft.add(layer, names, dtype=dtype)
        for name, tensor in zip(self.node.outputs, outputs, strict=False):
            if name:
                is_alike = like is not None and like.permutation is not None and like.rank == tensor.rank
                self._values[name] = View(tensor, like.permutation if like is not None and is_alike else None)
        return outputs

    def give_aside(self, first: int, inputs: tuple[Tensor, ...], shapes: tuple[Shape | None, ...]) -> None:
        """Bind the node's outputs from `first` on, which hold statistics or caches, to an Operator of their own."""
        names = [
            name
            for name in self.node.outputs[first : first + len(shapes)]
            if name in self._readers or self.is_result(name)
        ]
        if names:
            layer = Operator(
                name=f"{self.label}/aside",
                inputs=inputs,
                op=self.node.op_type,
                shapes=tuple(
                    shape for shape, name in zip(shapes, self.node.outputs[first:], strict=False) if name in names
                ),
                origin=self.origin,
            )
            for name, tensor in zip(names, self.draft.add(layer, names), strict=True):
                self.bind(name, View(tensor))

    # identity

    @property
    def origin(self) -> tuple[Part, ...]:
        """The origin of a layer that the node becomes."""
        node = self.node
        return (Part(self.label, node.op_type, None, node.outputs[0] if node.outputs else "", node.module),)

    # weights

    def weights(self, constant: Constant | None, *roles: str) -> tuple[Weight, ...]:
        """Return the weights that a constant is made of.

        What plays the role "constant" counts only if it is floating or quantised and not a bare number; a number
        spread over a whole tensor is the zero bias that some exporters write out.
        """
        if constant is None:
            return ()
        # A constant may be put together from several slices of one tensor, as the gates of a PyTorch LSTM are.
        records = constant.records if len(constant.records) < 2 else self.records_of((constant,))
        found = [record for record in records if roles[0] != "constant" or is_parameter(record)]
        if constant.shape is not None and not constant.is_scalar:
            found = [record for record in found if prod(record.shape) != 1]
        return tuple(
            weight_of(record, role) for record, role in zip(found, [*roles, *[roles[-1]] * len(found)], strict=False)
        )

    # shapes and layout

    def declare(self, values: Iterable[ValueRecord]) -> None:
        """Note what the file says of its tensors."""
        for value in values:
            self._declared[value.name] = value

    def index_readers(self, nodes: Iterable[NodeRecord]) -> None:
        """Note who reads each tensor."""
        self._nodes = tuple(nodes)
        for node in self._nodes:
            for name in node.inputs:
                if name:
                    self._readers.setdefault(name, []).append(node)

    def readers(self, name: str) -> list[NodeRecord]:
        """Return the nodes that read a tensor."""
        return self._readers.get(name, [])

    def is_result(self, name: str) -> bool:
        """Return whether a tensor is an output of the network."""
        return name in self._results

    def noted(self, name: str) -> ValueRecord | None:
        """Return what the file itself says of a tensor."""
        return self._declared.get(name)

    def declared(self, name: str) -> ValueRecord | None:
        """Return what the file, or else onnx's shape inference, says of a tensor."""
        found = self._declared.get(name)
        if found is not None and found.shape is not None:
            return found
        if self._inferred is None:
            from cnnlint.frontends.onnx.strip import infer

            self._inferred = infer(self.model, self._nodes)
        return self._inferred.get(name, found)

    def layout(self, name: str, shape: Shape | None) -> Permutation | None:
        """Return how a tensor of free layout becomes channels-first, read off the first reader that cares."""
        return find_layout(name, shape, self._readers, self._values)

    def constants(self) -> Iterator[Constant]:
        """Yield the constants among the node's inputs."""
        for index in range(len(self.node.inputs)):
            if (found := self.constant(index)) is not None:
                yield found

    def add_initializers(self, records: Mapping[str, TensorRecord]) -> None:
        """Let each initializer's name stand for its constant."""
        for name, record in records.items():
            self._values[name] = constant_of(record)


def full_rank(shape: Shape, rank: int) -> Shape:
    """Return `shape` with ones in front, as broadcasting sees it."""
    return (*((1,) * (rank - len(shape))), *shape)


def _listed(numbers: tuple[int, ...]) -> str:
    return " × ".join(map(str, numbers[:4])) + (" × …" if len(numbers) > 4 else "")


Handler = Callable[[Lowering], None]
"""Lowers the node at hand."""

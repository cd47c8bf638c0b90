"""Where nodes of ONNX are raised: what each tensor name stands for, and the graph that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import Any

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError, ModelError
from cnnlint.frontends.onnx.operators.layout import said_of
from cnnlint.frontends.onnx.operators.values import Constant, FlattenedRows, Value, constant_of
from cnnlint.frontends.onnx.records import ModelRecord, NodeRecord, TensorRecord, ValueRecord
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.ops import OpContext
from cnnlint.frontends.raising.view import Permutation, TensorView, find_layout
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.layers import Operator, Reshape
from cnnlint.graph.tensor import Shape, Tensor, Weight, is_floating


class NodeContext(OpContext):
    """The nodes of a graph, one after the other.

    Attributes:
        builder: The graph under construction.
        model: The file.
        opset: Version of the default domain.
        node: The node at hand.
        label: What the file calls it; its first output if it has no name.
    """

    def __init__(self, builder: GraphBuilder, model: ModelRecord) -> None:
        self.builder = builder
        self.model = model
        self.opset = model.opsets.get("", 1)
        self.node: NodeRecord = NodeRecord("", "", "", (), (), {})
        self.label = ""
        self._values: dict[str, Value] = {}
        self._nodes: tuple[NodeRecord, ...] = ()
        self._readers: dict[str, list[NodeRecord]] = {}
        self._results = frozenset(value.name for value in model.graph.outputs)
        self._declared: dict[str, ValueRecord] = {}
        self._inferred: Mapping[str, ValueRecord] | None = None
        self._materialized: dict[str, TensorView] = {}
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

    def view(self, index: int) -> TensorView:
        """Return the node's input at `index` as an activation, in the order of axes that the file has."""
        return self.as_view(self.value(index), self.node.inputs[index])

    def tensor(self, index: int) -> Tensor:
        """Return the node's input at `index` as a tensor of the graph, in the order of axes that the file has."""
        return self.builder.tensor(self.view(index))

    def as_view(self, value: Value, name: str) -> TensorView:
        """Return `value` as an activation; rows get their Reshape and constants a layer of their own."""
        if isinstance(value, TensorView):
            return value
        if name not in self._materialized:
            self._materialized[name] = self._materialize(value, name)
        return self._materialized[name]

    def _materialize(self, value: Constant | FlattenedRows, name: str) -> TensorView:
        if isinstance(value, FlattenedRows):
            source = self.builder.tensor(value.view)
            layer = Reshape(name=name, inputs=(source,), target=value.shape, origin=(Part(name=name, op="Reshape"),))
            return TensorView(self.builder.add(layer, [name])[0])
        layer = Operator(
            name=name,
            inputs=(),
            op="Constant",
            shapes=(value.shape,),
            weights=self.weights(value, "constant"),
            origin=(Part(name=name, op="Constant", output=name),),
        )
        return TensorView(self.builder.add(layer, [name], dtype=value.dtype)[0])

    def get(self, name: str) -> Value | None:
        """Return what a tensor name stands for, if it is known yet."""
        return self._values.get(name)

    def set_value(self, name: str, value: Value) -> None:
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

    def set_output(self, value: Value, index: int = 0) -> None:
        """Let the node's output at `index` stand for `value`."""
        if index < len(self.node.outputs):
            self.set_value(self.node.outputs[index], value)

    def set_alike(self, made: TensorView, value: Value) -> None:
        """Let the node's output stand for `made`, as flattened rows where `value`, what it was made of, is that."""
        self.set_output(FlattenedRows(made) if isinstance(value, FlattenedRows) else made)

    def add(self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None) -> TensorView:
        """Add a layer, and return its first output in the order of axes of `like` where that has the same rank.

        Its outputs are called as the node's; which of these it stands for is said by `set_output`.
        """
        return _ordered(self._added(layer, dtype)[0], like)

    def add_layer(
        self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None
    ) -> tuple[Tensor, ...]:
        """Add the layer that the node becomes, whose outputs are the node's, and return them.

        Args:
            layer: Without outputs.
            like: A view whose order of axes the outputs have for the file.
            dtype: Of the outputs, if it is not that of the first input.
        """
        outputs = self._added(layer, dtype)
        for name, tensor in zip(self.node.outputs, outputs, strict=False):
            if name:
                self._values[name] = _ordered(tensor, like)
        return outputs

    def _added(self, layer: Layer, dtype: str | None) -> tuple[Tensor, ...]:
        names = self.node.outputs
        if not all(names):
            short = self.label[: limits.LONGEST_NAME]
            names = [name or f"{short}:{index}" for index, name in enumerate(names)]
        return self.builder.add(layer, names, dtype=dtype)

    def add_side_outputs(self, first: int, inputs: tuple[Tensor, ...], shapes: tuple[Shape | None, ...]) -> None:
        """Let the node's outputs from `first` on, statistics or caches, be those of an Operator of their own."""
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
            for name, tensor in zip(names, self.builder.add(layer, names), strict=True):
                self.set_value(name, TensorView(tensor))

    # identity

    @property
    def identity(self) -> dict[str, Any]:
        """The name and the origin of the layer that the node becomes."""
        return {"name": self.label, "origin": self.origin}

    @property
    def origin(self) -> tuple[Part, ...]:
        """The origin of a layer that the node becomes."""
        node = self.node
        return (Part(self.label, node.op_type, None, node.outputs[0] if node.outputs else "", node.module),)

    # weights

    def weights(self, constant: Constant | None, *roles: str) -> tuple[Weight, ...]:
        """Return the weights that a constant is made of.

        What plays the role "constant" counts only if it is floating or quantized and not a bare number; a number
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

    def layout(self, shape: Shape | None) -> Permutation | None:
        """Return how the node's first output, of `shape`, becomes channels-first, read off what reads it."""
        return self.layout_of(self.node.outputs[0], shape)

    def layout_of(self, name: str, shape: Shape | None) -> Permutation | None:
        """Return how a tensor whose order of axes is free becomes channels-first, read off what reads it."""
        if shape is None or len(shape) < 3:
            return None
        rank = len(shape)
        found = find_layout(
            name, shape, lambda other, seen_as: said_of(other, seen_as, rank, self._readers, self._values)
        )
        return None if found is None else found.permutation

    def constants(self) -> Iterator[Constant]:
        """Yield the constants among the node's inputs."""
        for index in range(len(self.node.inputs)):
            if (found := self.constant(index)) is not None:
                yield found

    def add_initializers(self, records: Mapping[str, TensorRecord]) -> None:
        """Let each initializer's name stand for its constant."""
        for name, record in records.items():
            self._values[name] = constant_of(record)


def _ordered(tensor: Tensor, like: TensorView | None) -> TensorView:
    alike = like is not None and like.permutation is not None and like.rank == tensor.rank
    return TensorView(tensor, like.permutation if like is not None and alike else None)


QUANTIZED = ("int8", "uint8", "int4", "uint4", "int2", "uint2")
"""Element types that quantized weights are stored in."""


def is_parameter(record: TensorRecord) -> bool:
    """Return whether a tensor of the file is a weight and not a number, an axis or a shape."""
    return record.shape != () and (is_floating(record.dtype) or record.dtype in QUANTIZED)


def weight_of(record: TensorRecord, role: str) -> Weight:
    """Return the weight that a tensor of the file is."""
    return Weight(key=record.name, shape=record.shape, dtype=record.dtype, role=role, storage=record.storage)


def _listed(numbers: tuple[int, ...]) -> str:
    return " × ".join(map(str, numbers[:4])) + (" × …" if len(numbers) > 4 else "")


Handler = Callable[[NodeContext], None]
"""Raises the node at hand."""

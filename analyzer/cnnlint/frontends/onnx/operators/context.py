"""The context of ONNX handlers: the current node, the values of tensor names, and the graph under construction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from cnnlint.graph.tensor import Dim, Shape, Tensor, Weight, is_floating


class NodeContext(OpContext):
    """The context of handlers, which moves from node to node.

    Attributes:
        builder: The graph under construction.
        model: The file.
        opset: Version of the default domain.
        node: The current node.
        label: Its name in the file, or its first output.
        contradictions: Nodes whose attributes, weights and inputs contradict one another, each with how, as a clause.
    """

    def __init__(self, builder: GraphBuilder, model: ModelRecord) -> None:
        self.builder = builder
        self.model = model
        self.opset = model.opsets.get("", 1)
        self.node: NodeRecord = NodeRecord("", "", "", (), (), {})
        self.label = ""
        self.contradictions: list[tuple[NodeRecord, str]] = []
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
        """Make `node` the current node."""
        self.node = node
        self.label = node.label

    def contradict(self, cause: str) -> None:
        """Note what is impossible about the node, as a clause; its layer stands for what was probably meant."""
        self.contradictions.append((self.node, cause))

    # attributes

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
        """Return strides or dilations of the node: a positive number per axis, 1 by default.

        Raises:
            ContradictionError: There are more or fewer, or one is not positive.
        """
        found = self.attribute_ints(name) or (1,) * rank
        if len(found) != rank or min(found, default=1) < 1:
            raise ContradictionError(f"its {name} are {listed(found)} for a kernel of {rank} axes")
        return found

    def has_input(self, index: int) -> bool:
        """Return whether the node has an input at `index`."""
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    # values of names

    def value(self, index: int) -> Value:
        """Return the value of the node's input at `index`.

        Raises:
            ModelError: A required input is missing.
        """
        inputs = self.node.inputs
        if index >= len(inputs) or not inputs[index]:
            raise ModelError(f"node {self.label} ({self.node.op_type}) lacks its input {index}", path=self.model.path)
        return self._values[inputs[index]]

    def constant(self, index: int) -> Constant | None:
        """Return the node's input at `index` if it exists and is constant."""
        if not self.has_input(index):
            return None
        value = self._values[self.node.inputs[index]]
        return value if isinstance(value, Constant) else None

    def setting(self, index: int, attribute: str) -> tuple[tuple[int, ...] | None, bool]:
        """Return integers that are an input in newer opsets and an attribute in older ones.

        Returns:
            The integers, None if they are missing or unknown; and whether they are known.
        """
        if self.has_input(index):
            given = self.constant(index)
            numbers = None if given is None else given.integers
            return numbers, numbers is not None
        return self.attribute_ints(attribute), True

    def view(self, index: int) -> TensorView:
        """Return the node's input at `index` as an activation, in the file's layout."""
        return self.as_view(self.value(index), self.node.inputs[index])

    def tensor(self, index: int) -> Tensor:
        """Return the node's input at `index` as a tensor of the graph, in the file's layout."""
        return self.builder.tensor(self.view(index))

    def as_view(self, value: Value, name: str) -> TensorView:
        """Return `value` as an activation; flattened rows get a Reshape, and constants their own layer."""
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

    @property
    def values(self) -> Mapping[str, Value]:
        """What is known of each tensor name so far."""
        return self._values

    def get(self, name: str) -> Value | None:
        """Return the value of a tensor name, if it is known yet."""
        return self._values.get(name)

    def set_value(self, name: str, value: Value) -> None:
        """Set the value of a tensor name; the elements of a constant are dropped beyond the limits."""
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
        """Return whether the elements of a constant of this size may be kept."""
        return elements <= min(limits.MAX_FOLDED, self._folded.left)

    def records_of(self, constants: Iterable[Constant]) -> tuple[TensorRecord, ...]:
        """Return the tensors of the file that `constants` are made of, each once.

        Raises:
            ModelError: The limit on tensors in constants is exceeded.
        """
        found = dict[str | int, TensorRecord]()
        for constant in constants:
            if not self._joined.take(len(constant.records)):
                raise ModelError(self._joined.exceeded, path=self.model.path)
            found.update({record.name or id(record): record for record in constant.records})
        return tuple(found.values())

    def set_output(self, value: Value, index: int = 0) -> None:
        """Set the node's output at `index` to `value`."""
        if index < len(self.node.outputs):
            self.set_value(self.node.outputs[index], value)

    def set_alike(self, made: TensorView, value: Value) -> None:
        """Set the node's output to `made`, as flattened rows if its input `value` is."""
        self.set_output(FlattenedRows(made) if isinstance(value, FlattenedRows) else made)

    def add(self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None) -> TensorView:
        """Add a layer, and return its first output in the layout of `like` if the ranks are equal.

        Its outputs have the node's output names, but must be assigned by `set_output`.
        """
        return _ordered(self._added(layer, dtype)[0], like)

    def add_layer(
        self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None
    ) -> tuple[Tensor, ...]:
        """Add a layer whose outputs are the node's, and return them.

        Args:
            layer: Without outputs.
            like: A view in the layout of the outputs.
            dtype: Type of the outputs, if not that of the first input.
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
        """Add an Operator for the node's outputs from `first` on, which are statistics or caches."""
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
        """The name and the origin of the layer to add."""
        return {"name": self.label, "origin": self.origin}

    @property
    def origin(self) -> tuple[Part, ...]:
        """The origin of the layer to add."""
        node = self.node
        return (Part(self.label, node.op_type, None, node.outputs[0] if node.outputs else "", node.module),)

    # weights

    def weights(self, constant: Constant | None, *roles: str) -> tuple[Weight, ...]:
        """Return the weights in a constant.

        For the role "constant", only floating or quantized tensors count, and no scalars; a scalar that is broadcast
        to a whole tensor is the zero bias that some exporters write.
        """
        if constant is None:
            return ()
        # A constant may consist of several slices of one tensor, such as the gates of a PyTorch LSTM.
        records = constant.records if len(constant.records) < 2 else self.records_of((constant,))
        found = [record for record in records if roles[0] != "constant" or is_parameter(record)]
        if constant.shape is not None and not constant.is_scalar:
            found = [record for record in found if prod(record.shape) != 1]
        return tuple(
            weight_of(record, role) for record, role in zip(found, [*roles, *[roles[-1]] * len(found)], strict=False)
        )

    def kernel(self, index: int, *channel_axes: int) -> tuple[Weight, ...]:
        """Return the weights in the kernel at `index`, which has `channel_axes` if it is stored as it is read."""
        constant = self.constant(index)
        found = self.weights(constant, "kernel")
        # A constant of another name may be a transposed one of the same shape.
        if constant is None or len(found) != 1 or constant.records[0].name != self.node.inputs[index]:
            return found
        return (replace(found[0], channel_axes=channel_axes),)

    # shapes and layout

    def declare(self, values: Iterable[ValueRecord]) -> None:
        """Store the file's declarations of tensors."""
        for value in values:
            self._declared[value.name] = value

    def index_readers(self, nodes: Iterable[NodeRecord]) -> None:
        """Store the readers of each tensor."""
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
        """Return the file's declaration of a tensor."""
        return self._declared.get(name)

    def declared(self, name: str) -> ValueRecord | None:
        """Return the declaration of a tensor by the file, or else by onnx's shape inference."""
        found = self._declared.get(name)
        if found is not None and found.shape is not None:
            return found
        if self._inferred is None:
            from cnnlint.frontends.onnx.strip import infer

            self._inferred = infer(self.model, self._nodes)
        return self._inferred.get(name, found)

    def layout(self, shape: Shape | None) -> Permutation | None:
        """Return the permutation that makes the node's first output channels-first, by the nodes that read it."""
        return self.layout_of(self.node.outputs[0], shape)

    def layout_of(self, name: str, shape: Shape | None) -> Permutation | None:
        """Return the permutation that makes a tensor of unknown layout channels-first, by the nodes that read it."""
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
        """Set the value of each initializer."""
        for name, record in records.items():
            self._values[name] = constant_of(record)


def _ordered(tensor: Tensor, like: TensorView | None) -> TensorView:
    alike = like is not None and like.permutation is not None and like.rank == tensor.rank
    return TensorView(tensor, like.permutation if like is not None and alike else None)


QUANTIZED = ("int8", "uint8", "int4", "uint4", "int2", "uint2")
"""Element types of quantized weights."""


def is_parameter(record: TensorRecord) -> bool:
    """Return whether a tensor of the file is a weight, rather than a number, an axis or a shape."""
    return record.shape != () and (is_floating(record.dtype) or record.dtype in QUANTIZED)


def weight_of(record: TensorRecord, role: str) -> Weight:
    """Return a tensor of the file as a weight."""
    return Weight(key=record.name, shape=record.shape, dtype=record.dtype, role=role, storage=record.storage)


def listed(extents: Sequence[Dim]) -> str:
    """Return extents as they are shown: "3 × 3"; an unknown one is "?"."""
    return " × ".join("?" if dim is None else str(dim) for dim in extents[:6]) + (" × …" if len(extents) > 6 else "")


Handler = Callable[[NodeContext], None]
"""Adds the layers of the current node."""

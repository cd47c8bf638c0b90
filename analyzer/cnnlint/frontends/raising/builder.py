"""A graph under construction: layers are added in order, then fused and bypassed by passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError
from cnnlint.frontends.raising.view import Permutation, TensorView, inverse, is_row
from cnnlint.graph.graph import Graph, Source, UnusedWeight
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.layers import Reshape, Transpose
from cnnlint.graph.tensor import Shape, Tensor
from cnnlint.graph.training import UNTOLD, Training

L = TypeVar("L", bound=Layer)


class GraphBuilder:
    """Layers in topological order, each in a slot, with an index of the producer and the readers of each tensor."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.input_orders: list[Permutation | None] = []
        self.outputs: list[Tensor] = []
        self._slots: list[Layer | None] = []
        self._kinds: set[type[Layer]] = set()
        self._producer: dict[str, int] = {}
        self._readers: dict[str, dict[int, None]] | None = None  # built on first use
        self._tensor_names: dict[str, int] = {}
        self._layer_names: dict[str, int] = {}
        self._transposed: dict[tuple[str, Permutation], Tensor] = {}
        self._indexed: tuple[list[Tensor], int, frozenset[str]] = ([], 0, frozenset())

    # building

    def add_input(
        self, name: str, shape: Shape | None, dtype: str, *, permutation: Permutation | None = None
    ) -> TensorView:
        """Add an input of the network.

        Args:
            name: Its name in the source.
            shape: In the source's layout.
            dtype: Element type.
            permutation: From the source's layout to the graph's; None if they are the same.
        """
        tensor, view = self._oriented(name, shape, dtype, permutation)
        self.inputs.append(tensor)
        self.input_orders.append(None if shape is None else permutation)
        return view

    def add(
        self,
        layer: Layer,
        names: Iterable[str] | None = None,
        *,
        dtype: str | None = None,
    ) -> tuple[Tensor, ...]:
        """Append a layer and return its outputs, with shapes computed by the layer.

        Args:
            layer: Without outputs; its inputs are tensors of this builder.
            names: Names of the outputs; the layer's own name by default.
            dtype: Type of the outputs; that of the first input by default.

        Raises:
            ContradictionError: The layer is impossible.
        """
        if wrong := layer.contradiction():
            raise ContradictionError(wrong)
        layer_name = _unique(layer.name, self._layer_names)
        shapes = layer.output_shapes()
        wanted = list(names or (layer_name,))
        if len(wanted) < len(shapes):
            short = layer_name[: limits.LONGEST_NAME]
            wanted += [f"{short}:{index}" for index in range(len(wanted), len(shapes))]
        given = layer.inputs[0] if layer.inputs else None
        kind = dtype or (given.dtype if given is not None else "float32")
        outputs = list[Tensor]()
        for name, shape in zip(wanted, shapes, strict=False):
            is_known = given is not None and shape is given.shape
            extents = shape if is_known else limits.extents(shape)
            outputs.append(Tensor(self._unique_tensor_name(name), extents, kind))
        origin = layer.origin
        if origin and origin[-1].shape is None and outputs:
            last = origin[-1]
            origin = (*origin[:-1], Part(last.name, last.op, outputs[0].shape, last.output, last.scope))
        self._slots.append(None)
        self._put(len(self._slots) - 1, replace(layer, name=layer_name, outputs=tuple(outputs), origin=origin))
        return tuple(outputs)

    def tensor(self, view: TensorView) -> Tensor:
        """Return a view as a tensor, adding a Transpose if its layout differs.

        If only one axis is longer than 1, as after global pooling, no element moves, and a Reshape is added instead.
        """
        if view.permutation is None:
            return view.tensor
        key = (view.tensor.name, view.permutation)
        if key not in self._transposed:
            name, shape = f"{view.tensor.name}/transpose", view.shape
            layer = Transpose(name=name, inputs=(view.tensor,), permutation=view.permutation)
            if view.permutation[0] == 0 and is_row(shape):
                layer = Reshape(name=name, inputs=(view.tensor,), target=shape)
            self._transposed[key] = self.add(layer, [name])[0]
        return self._transposed[key]

    def _oriented(
        self, name: str, shape: Shape | None, dtype: str, permutation: Permutation | None
    ) -> tuple[Tensor, TensorView]:
        name = self._unique_tensor_name(name)
        if permutation is None or shape is None:
            tensor = Tensor(name, shape, dtype)
            return tensor, TensorView(tensor)
        tensor = Tensor(name, tuple(shape[axis] for axis in permutation), dtype)
        return tensor, TensorView(tensor, inverse(permutation))

    # queries

    def __iter__(self) -> Iterator[Layer]:
        """Yield the layers in order; passes may fuse and bypass during iteration."""
        for index in range(len(self._slots)):
            layer = self._slots[index]
            if layer is not None:
                yield layer

    def of_kind(self, *kinds: type[L]) -> Iterator[L]:
        """Yield the layers of the given kinds (and kinds derived from them) in order.

        It takes no time if there are none, since most passes look for rare layers.
        """
        if any(issubclass(kind, kinds) for kind in self._kinds):
            for layer in self._slots:
                if isinstance(layer, kinds):
                    yield layer

    def producer(self, tensor: Tensor) -> Layer | None:
        """Return the layer that produces `tensor`; None for an input."""
        slot = self._producer.get(tensor.name)
        return None if slot is None else self._slots[slot]

    def consumers(self, tensor: Tensor) -> list[Layer]:
        """Return the layers that read `tensor`, each once."""
        if self._readers is None:
            self._readers = {}
            for slot, layer in enumerate(self._slots):
                if layer is not None:
                    _note(self._readers, layer, slot)
        found = (self._slots[slot] for slot in self._readers.get(tensor.name, ()))
        return [layer for layer in found if layer is not None]

    def sole_consumer(self, tensor: Tensor) -> Layer | None:
        """Return the only layer that reads `tensor`; None if there are others, or it is an output."""
        if self.is_output(tensor):
            return None
        consumers = self.consumers(tensor)
        return consumers[0] if len(consumers) == 1 else None

    def sole_successor(self, layer: Layer) -> Layer | None:
        """Return the only layer that reads `layer`, which has one output; as for a finished graph."""
        return self.sole_consumer(layer.outputs[0]) if len(layer.outputs) == 1 else None

    def is_output(self, tensor: Tensor) -> bool:
        """Return whether `tensor` is an output of the network."""
        outputs, count, names = self._indexed
        if outputs is not self.outputs or count != len(self.outputs):
            names = frozenset(output.name for output in self.outputs)
            self._indexed = (self.outputs, len(self.outputs), names)
        return tensor.name in names

    def in_order(self, layers: Iterable[Layer]) -> list[Layer]:
        """Sort layers of this builder topologically."""
        return sorted(layers, key=lambda layer: self._producer[layer.output.name])

    # changes

    def fuse(self, layers: Iterable[Layer], fused: Layer) -> Layer:
        """Replace `layers` by `fused`, which produces the last layer's tensor and keeps all origins.

        Args:
            layers: In topological order; no other layer reads the tensors between them.
            fused: Without outputs and origin.
        """
        old = list(layers)
        slots = [self._producer[layer.output.name] for layer in old]
        parts = tuple(part for layer in old for part in layer.origin)
        for slot in slots:
            self._take(slot)
        made = replace(fused, outputs=old[-1].outputs, origin=parts)
        self._put(max(slots), made)
        return made

    def join(self, layers: Iterable[Layer], joined: Layer) -> Layer:
        """Replace `layers` by `joined`, which produces the tensors of them all, at the position of the first.

        Args:
            layers: Each with one output, in the order of the outputs of `joined`.
            joined: Without outputs and origin.
        """
        old = list(layers)
        slots = [self._producer[layer.output.name] for layer in old]
        for slot in slots:
            self._take(slot)
        outputs = tuple(layer.output for layer in old)
        made = replace(joined, outputs=outputs, origin=tuple(part for layer in old for part in layer.origin))
        self._put(min(slots), made)
        return made

    def bypass(self, layer: Layer) -> None:
        """Remove a layer with one output; its readers read its first input instead."""
        gone, stays = layer.output, layer.input
        self._take(self._producer[gone.name])
        for reader in self.consumers(gone):
            slot = self._producer[reader.output.name]
            self._take(slot)
            inputs = tuple(stays if tensor.name == gone.name else tensor for tensor in reader.inputs)
            self._put(slot, replace(reader, inputs=inputs))
        if self.is_output(gone):
            self.outputs = [stays if tensor.name == gone.name else tensor for tensor in self.outputs]

    def substitute(self, layer: Layer, other: Layer) -> Layer:
        """Replace `layer` by `other`, which has no outputs; outputs keep their names and get its shapes."""
        slot = self._producer[layer.output.name]
        self._take(slot)
        shapes = map(limits.extents, other.output_shapes())
        outputs = tuple(replace(tensor, shape=shape) for tensor, shape in zip(layer.outputs, shapes, strict=True))
        made = replace(other, outputs=outputs, origin=other.origin or layer.origin)
        self._put(slot, made)
        for old, new in zip(layer.outputs, outputs, strict=True):
            if old.shape != new.shape:
                self._retype(old, new)
        return made

    def _retype(self, old: Tensor, new: Tensor) -> None:
        for reader in self.consumers(old):
            slot = self._producer[reader.output.name]
            inputs = tuple(new if tensor.name == old.name else tensor for tensor in reader.inputs)
            self._slots[slot] = replace(reader, inputs=inputs)
        if self.is_output(old):
            self.outputs = [new if tensor.name == old.name else tensor for tensor in self.outputs]

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename layers, old name to new; names that other layers keep get a number."""
        kept = {layer.name: 1 for layer in self if layer.name not in names}
        for slot, layer in enumerate(self._slots):
            if layer is not None and layer.name in names:
                self._slots[slot] = replace(layer, name=_unique(names[layer.name], kept))

    def freeze(
        self,
        source: Source,
        *,
        training: Training = UNTOLD,
        unused: tuple[UnusedWeight, ...] = (),
        ignores: tuple[tuple[str, str], ...] = (),
        unread: str = "",
    ) -> Graph:
        """Return the finished graph."""
        return Graph(
            layers=tuple(self),
            inputs=tuple(self.inputs),
            input_orders=tuple(self.input_orders),
            outputs=tuple(self.outputs),
            source=source,
            training=training,
            unused=unused,
            ignores=ignores,
            unread=unread,
        )

    def _put(self, slot: int, layer: Layer) -> None:
        self._kinds.add(type(layer))
        self._slots[slot] = layer
        for tensor in layer.outputs:
            self._producer[tensor.name] = slot
        if self._readers is not None:
            _note(self._readers, layer, slot)

    def _take(self, slot: int) -> None:
        layer = self._slots[slot]
        if layer is None:
            return
        self._slots[slot] = None
        for tensor in layer.outputs:
            self._producer.pop(tensor.name, None)
        if self._readers is not None:
            for tensor in layer.inputs:
                self._readers.get(tensor.name, {}).pop(slot, None)

    def _unique_tensor_name(self, name: str) -> str:
        if name in self._tensor_names:
            count = self._tensor_names[name]
            while f"{name}~{count}" in self._tensor_names:
                count += 1
            self._tensor_names[name] = count + 1
            name = f"{name}~{count}"
        self._tensor_names[name] = 1
        return name


def _note(readers: dict[str, dict[int, None]], layer: Layer, slot: int) -> None:
    for tensor in layer.inputs:
        readers.setdefault(tensor.name, {})[slot] = None


def _unique(name: str, taken: dict[str, int]) -> str:
    if name not in taken:
        taken[name] = 1
        return name
    while True:
        taken[name] += 1
        candidate = f"{name}_{taken[name]}"
        if candidate not in taken:
            taken[candidate] = 1
            return candidate

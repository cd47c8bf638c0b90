"""Replace nodes of an ONNX model while the tensors that other nodes read keep their names."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from cnnlint.errors import CnnlintError
from cnnlint.frontends.onnx.datatypes import NAMES
from cnnlint.runtime.nodes import subgraphs, used_names

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableSequence, Sequence

    import onnx
    from google.protobuf.message import Message
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.frontends.onnx.records import NodeRecord
    from cnnlint.graph.layer import Layer
    from cnnlint.graph.tensor import Shape

Place = tuple[float, float]
"""Where a node stands: after all nodes of a lower place, unless what it reads is made later."""

CONSTANT_BEFORE = 4
"""The IR version from which on an initializer need not be an input, and one that is is no constant."""

SMALL = 1 << 16
"""Most elements of a constant whose values an edit reads; kernels are left to arithmetic on their names."""


class RewriteError(CnnlintError):
    """A rewrite does not fit the model; the cause is a clause such as "its weights are computed at run time"."""


class Editor:
    """An ONNX model that is being rewritten.

    Edits take constant time each. What an edit needs of large weights it says as nodes that compute it from them, which
    are worked out once the model is written.

    Args:
        model: Changed in place by `finish`. Large weights are best left as external data.
        folder: Of the external data.
        file: What is known of the model as it was before any edit; None if nothing is.
    """

    def __init__(self, model: onnx.ModelProto, folder: str = "", file: FileContext | None = None) -> None:
        self.model = model
        self.folder = folder
        self.file = file
        graph = model.graph
        self._places: dict[int, Place] = {}
        self._nodes: dict[int, NodeProto] = {}
        self._readers: dict[str, dict[int, NodeProto]] = {}
        self._makers: dict[str, NodeProto] = {}
        self._constants: dict[str, TensorProto] = {weight.name: weight for weight in graph.initializer}
        self._inputs = {value.name for value in graph.input}
        self._outputs = {value.name for value in graph.output}
        self._gone: dict[int, NodeProto] = {}  # keeps them, so that no other node gets the same id
        self._undo: list[Callable[[], object]] = []
        self._inserted = 0
        self._added = 0
        self._changed = set[str]()
        self._own = set[int]()
        for index, node in enumerate(graph.node):
            self._attach(node, (index, inf))
        self._changed.clear()
        self._names = {*self._readers, *self._makers, *self._constants, *self._inputs, *self._outputs}
        self._undo.clear()

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        return next((entry.version for entry in self.model.opset_import if entry.domain in {"", "ai.onnx"}), 1)

    @property
    def known_file(self) -> FileContext:
        """What is known of the model as it was before any edit.

        Raises:
            RewriteError: Nothing is.
        """
        if self.file is None:
            raise RewriteError("nothing is known of the file")
        return self.file

    @property
    def is_changed(self) -> bool:
        """Whether anything was edited."""
        return bool(self._undo)

    @property
    def computed(self) -> frozenset[str]:
        """Outputs of the nodes to be worked out before the model is written, if all that they read is constant."""
        return frozenset(name for key in self._own & self._nodes.keys() for name in self._nodes[key].output if name)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._nodes)

    @contextmanager
    def whole(self) -> Generator[None]:
        """Undo what is edited until the block ends if it raises an exception."""
        mark = len(self._undo)
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            raise

    # looking

    @property
    def nodes_in_order(self) -> list[NodeProto]:
        """The nodes, each after those whose outputs it reads."""
        from graphlib import CycleError, TopologicalSorter

        ordered = sorted(self._nodes, key=self._places.__getitem__)
        made = dict[str, int]()
        for number, key in enumerate(ordered):
            made.update((name, number) for name in self._nodes[key].output if name)
        sources = [
            {made[name] for name in used_names(self._nodes[key]) if name in made and made[name] != number}
            for number, key in enumerate(ordered)
        ]
        if all(max(before, default=-1) < number for number, before in enumerate(sources)):
            return [self._nodes[key] for key in ordered]
        from heapq import heapify, heappop, heappush

        sorter = TopologicalSorter(dict(enumerate(sources)))
        try:
            sorter.prepare()
        except CycleError as error:
            raise RewriteError("the rewritten nodes read one another in a circle") from error
        result, ready = list["NodeProto"](), list(sorter.get_ready())
        heapify(ready)
        while ready:
            number = heappop(ready)
            result.append(self._nodes[ordered[number]])
            sorter.done(number)
            for each in sorter.get_ready():
                heappush(ready, each)
        return result

    def producer(self, tensor: str) -> NodeProto | None:
        """Return the node that produces `tensor`; None for inputs, initializers and unknown names."""
        return self._makers.get(tensor)

    def consumers(self, tensor: str) -> list[NodeProto]:
        """Return the nodes that read `tensor`, inside their subgraphs too, in the order of the file."""
        found = self._readers.get(tensor, {})
        return [found[key] for key in sorted(found, key=self._places.__getitem__)]

    def is_output(self, tensor: str) -> bool:
        """Return whether the model gives `tensor`."""
        return tensor in self._outputs

    def is_read(self, tensor: str) -> bool:
        """Return whether a node reads `tensor`, or the model gives it."""
        return bool(self._readers.get(tensor)) or tensor in self._outputs

    def is_sole(self, tensor: str) -> bool:
        """Return whether one node alone reads `tensor`, in one place, and the model does not give it."""
        readers = self._readers.get(tensor, {})
        return (
            len(readers) == 1
            and tensor not in self._outputs
            and sum(name == tensor for node in readers.values() for name in node.input) == 1
        )

    def nodes(self, layer: Layer) -> list[NodeProto]:
        """Return the nodes that `layer` was raised from, in the order of the file.

        Raises:
            RewriteError: The layer does not come from a node of this model.
        """
        made = (self._makers.get(part.output) for part in layer.origin if part.output)
        found = {id(node): node for node in made if node is not None}
        if not found:
            raise RewriteError(f"layer {layer.name} comes from no node of the file")
        return [found[key] for key in sorted(found, key=self._places.__getitem__)]

    def node(self, record: NodeRecord) -> NodeProto:
        """Return a node of the file.

        Raises:
            RewriteError: Another edit removed or changed it.
        """
        found = self._makers.get(next((name for name in record.outputs if name), ""))
        if found is None or list(found.input) != list(record.inputs) or found.op_type != record.op_type:
            raise RewriteError(f"node {record.label} is no longer there")
        return found

    def core(self, layer: Layer, *op_types: str) -> NodeProto:
        """Return the one node of `layer` whose operator is among `op_types`.

        Raises:
            RewriteError: There is none, or more than one.
        """
        found = [node for node in self.nodes(layer) if node.op_type in op_types and not node.domain]
        if len(found) != 1:
            raise RewriteError(f"layer {layer.name} has {len(found)} nodes of {' or '.join(op_types)}")
        return found[0]

    def only(self, layer: Layer, *op_types: str) -> NodeProto:
        """Return the node that `layer` is: one whose operator is among `op_types`, or any, and that alone.

        Raises:
            RewriteError: It is of several nodes, or of another one.
        """
        found = self.nodes(layer)
        if len(found) != 1 or len(layer.origin) != 1:
            raise RewriteError(f"layer {layer.name} is {max(len(found), len(layer.origin))} nodes of the file")
        return self.core(layer, *op_types) if op_types else found[0]

    def walk_back(self, tensor: str) -> Iterator[NodeProto]:
        """Yield the node that produces `tensor`, the node that produces its first input, and so on."""
        node = self.producer(tensor)
        while node is not None:
            yield node
            node = self.producer(node.input[0]) if node.input else None

    # constants

    def _constant_proto(self, tensor: str) -> TensorProto | None:
        """Return the values that `tensor` always has; None if an input may change them, or a node computes them."""
        held = self._constants.get(tensor)
        if held is not None:
            return None if tensor in self._inputs and self.model.ir_version >= CONSTANT_BEFORE else held
        node = self._makers.get(tensor)
        if node is not None and node.op_type == "Identity" and not node.domain:
            return self._constant_proto(node.input[0])
        if node is None or node.op_type != "Constant" or node.domain:
            return None
        attribute = node.attribute[0]
        if attribute.HasField("t"):
            return attribute.t
        from onnx import helper

        if attribute.name in ("value_float", "value_int", "value_floats", "value_ints"):
            value = helper.get_attribute_value(attribute)
            return _tensor(value, "float32" if "float" in attribute.name else "int64", tensor)
        return None

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """Return the shape of a constant, an initializer or a Constant node's tensor; None for other tensors."""
        held = self._constants.get(tensor) or self._constant_proto(tensor)
        return None if held is None else tuple(held.dims)

    def constant_shape(self, tensor: str) -> tuple[int, ...] | None:
        """Return the shape of what always has the same values; None for other tensors."""
        held = self._constant_proto(tensor)
        return None if held is None else tuple(held.dims)

    def dtype(self, tensor: str) -> str:
        """Return the element type of a constant, as NumPy spells it; "" for other tensors."""
        from onnx import helper

        held = self._constants.get(tensor) or self._constant_proto(tensor)
        return "" if held is None else helper.tensor_dtype_to_np_dtype(held.data_type).name

    def is_scalar(self, tensor: str) -> bool:
        """Return whether `tensor` is omitted, or a constant of one element, which broadcasts to any map."""
        shape = self.shape(tensor) if tensor else ()
        return shape is not None and all(extent == 1 for extent in shape)

    def values(self, tensor: str) -> NDArray[Any] | None:
        """Return the values of a small constant; None for other tensors and large ones."""
        held = self._constant_proto(tensor)
        if held is None:
            return None
        count = 1
        for extent in held.dims:
            count *= extent
        if count > SMALL:
            return None
        from onnx import numpy_helper

        return numpy_helper.to_array(held, base_dir=self.folder)

    def constant_integers(self, tensor: str) -> list[int] | None:
        """Return the values of a small constant tensor of integers; None if it is not constant."""
        found = self.values(tensor)
        return None if found is None else [int(value) for value in found.reshape(-1)]

    def integers(self, stem: str, values: Iterable[int]) -> str:
        """Add an initializer of int64 `values` and return its name."""
        return self.constant(stem, list(values), "int64")

    def scalar(self, value: float, dtype: str) -> str:
        """Add an initializer of one element and return its name."""
        return self.constant("scalar", value, dtype)

    def constant(self, stem: str, values: Any, dtype: str) -> str:
        """Add an initializer of these values and return its name."""
        name = self.fresh(stem)
        self._hold(_tensor(values, dtype, name))
        return name

    def _hold(self, tensor: TensorProto) -> None:
        self._constants[tensor.name] = tensor
        self._undo.append(lambda: self._constants.pop(tensor.name))

    # editing

    def fresh(self, stem: str) -> str:
        """Return a tensor name that the model does not have."""
        while True:
            self._added += 1
            name = f"{stem}/cnnlint_{self._added}"
            if name not in self._names:
                self._names.add(name)
                return name

    def insert(
        self,
        before: NodeProto,
        op_type: str,
        inputs: Sequence[str],
        output: str | None = None,
        *,
        called: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node in front of the node `before` and return the name of its output: `output`, or a fresh one.

        The node is `called` like the one that it replaces, so the user recognizes the layer. That one may be gone by
        then.
        """
        node, name = self._made(op_type, inputs, output, called, attributes)
        self._put(node, self._places[id(before)][0])
        return name

    def insert_after(
        self,
        after: NodeProto,
        op_type: str,
        inputs: Sequence[str],
        output: str | None = None,
        *,
        called: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node behind the node `after`, as `insert` does in front of one."""
        node, name = self._made(op_type, inputs, output, called, attributes)
        self._put(node, self._places[id(after)][0] + 0.5)
        return name

    def _made(
        self, op_type: str, inputs: Sequence[str], output: str | None, called: str, attributes: Mapping[str, Any]
    ) -> tuple[NodeProto, str]:
        from onnx import helper

        name = output or self.fresh(op_type)
        if name in self._makers:
            raise RewriteError(f"{name} is made by another node already")
        return helper.make_node(op_type, inputs, [name], name=called or self.fresh(op_type), **attributes), name

    def _put(self, node: NodeProto, place: float) -> None:
        self._inserted += 1
        self._own.add(id(node))
        self._attach(node, (place, self._inserted))

    def exchange(self, first: NodeProto, second: NodeProto) -> None:
        """Have `second`, which reads what `first` makes and nothing else does, come ahead of it.

        Raises:
            RewriteError: The two do not follow each other alone.
        """
        between, made = first.output[0], second.output[0]
        alone = all(len([name for name in node.output if name]) == 1 for node in (first, second))
        if not alone or second.input[0] != between or not self.is_sole(between):
            raise RewriteError("what lies between the two is read elsewhere too")
        inner = self.fresh(between)
        with self._altered(first), self._altered(second):
            second.input[0], second.output[0] = first.input[0], inner
            first.input[0], first.output[0] = inner, made

    def settle(self, tensor: str, values: Any, dtype: str, shape: Sequence[Any] | None) -> None:
        """Have `tensor`, which a node makes, be an initializer of these values.

        Raises:
            RewriteError: The model gives it, or another tensor of the same node is used.
        """
        node = self._makers[tensor]
        if tensor in self._outputs or any(name != tensor and self._readers.get(name) for name in node.output if name):
            raise RewriteError(f"{node.name or node.op_type} makes other tensors too")
        held = _tensor(values, dtype, tensor, shape)
        self._detach(node)
        self._hold(held)

    def work_out(self, nodes: Iterable[NodeProto]) -> None:
        """Have `nodes`, which no input has a part in, be worked out before the model is written."""
        more = {id(node) for node in nodes} - self._own
        self._own |= more
        self._undo.append(lambda: self._own.difference_update(more))

    def close_inputs(self, names: Iterable[str]) -> None:
        """Have initializers of these names no longer be inputs, which could give them other values."""
        before = set(self._inputs)
        self._inputs -= {name for name in names if name in self._constants}
        self._undo.append(lambda: self._inputs.update(before))

    def remove(self, nodes: Iterable[NodeProto]) -> None:
        """Remove `nodes`; other nodes must produce their outputs."""
        for node in {id(node): node for node in nodes}.values():
            self._detach(node)

    def set_input(self, node: NodeProto, index: int, tensor: str) -> None:
        """Have `node` read `tensor` as its input number `index`, "" for none."""
        inputs = list(node.input)
        inputs += [""] * (index + 1 - len(inputs))
        inputs[index] = tensor
        while inputs and not inputs[-1]:
            inputs.pop()
        self.set_inputs(node, inputs)

    def set_attribute(self, node: NodeProto, name: str, value: Any) -> None:
        """Give `node` this attribute; None takes it away."""
        from onnx import helper

        kept = [_copied(each) for each in node.attribute if each.name != name]
        with self._altered(node):
            del node.attribute[:]
            node.attribute.extend(kept)
            if value is not None:
                node.attribute.append(helper.make_attribute(name, value))

    def bypass(self, node: NodeProto, source: str = "") -> None:
        """Remove `node`, and have what reads its output read `source`, which is equal, or its first input.

        A name that the model gives stays: what makes the source makes the output then.

        Raises:
            RewriteError: The source is given by the model too, or comes from no node.
        """
        output, *others = [name for name in node.output if name]
        if any(name in self._outputs or self._readers.get(name) for name in others):
            raise RewriteError(f"{node.name or node.op_type} makes {others[0]} too")
        source = source or node.input[0]
        if output not in self._outputs:
            self._detach(node)
            self._redirect(output, source)
            return
        maker = self._makers.get(source)
        if maker is None or source in self._outputs:
            raise RewriteError(f"the model gives {output}, which only {node.name or node.op_type} makes")
        self._detach(node)
        self.set_output(maker, source, output)

    def set_output(self, node: NodeProto, output: str, name: str) -> None:
        """Have `node` call its output `name`, which no node makes now, and whoever reads the output read that.

        Raises:
            RewriteError: The model gives the output, or a node makes `name`.
        """
        if output in self._outputs or name in self._makers:
            raise RewriteError(f"{output} cannot be called {name}")
        with self._altered(node):
            node.output[:] = [name if each == output else each for each in node.output]
        self._redirect(output, name)

    def drop_outputs(self, node: NodeProto, names: Iterable[str]) -> None:
        """Have `node` no longer make the outputs `names`, which it need not make.

        Raises:
            RewriteError: Something reads one of them.
        """
        dropped = set(names)
        if read := [name for name in dropped if self.is_read(name)]:
            raise RewriteError(f"{read[0]} is read")
        after = ["" if name in dropped else name for name in node.output]
        while after and not after[-1]:
            after.pop()
        with self._altered(node):
            node.output[:] = after

    def read_instead(self, tensor: str, other: str) -> None:
        """Have all nodes that read `tensor` read `other`.

        Raises:
            RewriteError: The model gives `tensor`, which must then stay.
        """
        if tensor in self._outputs:
            raise RewriteError(f"the model gives {tensor}")
        self._redirect(tensor, other)

    def _redirect(self, tensor: str, other: str) -> None:
        for reader in self.consumers(tensor):
            with self._altered(reader):
                rename(reader, tensor, other)

    def set_inputs(self, node: NodeProto, inputs: Sequence[str]) -> None:
        """Have `node` read `inputs`."""
        with self._altered(node):
            node.input[:] = inputs

    @contextmanager
    def _altered(self, node: NodeProto) -> Generator[None]:
        """Let a node be changed until the block ends."""
        before, place = _copied(node), self._places[id(node)]
        self._detach(node)
        self._undo.append(lambda: node.CopyFrom(before))
        yield
        self._attach(node, place)

    def _attach(self, node: NodeProto, place: Place) -> None:
        key = id(node)
        self._nodes[key], self._places[key] = node, place
        names, made = used_names(node), [name for name in node.output if name]
        for name in names:
            self._readers.setdefault(name, {})[key] = node
        self._makers.update(dict.fromkeys(made, node))
        self._changed.update(made)
        self._undo.append(lambda: self._forget(node, names, made))

    def _detach(self, node: NodeProto) -> None:
        key = id(node)
        if key not in self._nodes:
            raise RewriteError(f"node {node.name or node.op_type} is no longer there")
        names, made, place = used_names(node), [name for name in node.output if name], self._places[key]
        self._forget(node, names, made)

        def back() -> None:
            self._attach(node, place)
            self._undo.pop()

        self._undo.append(back)

    def _forget(self, node: NodeProto, names: Iterable[str], made: Iterable[str]) -> None:
        """Drop the node; its place is kept, for what is inserted where it stood."""
        key = id(node)
        del self._nodes[key]
        for name in names:
            self._readers[name].pop(key, None)
        for name in made:
            if self._makers.get(name) is node:
                del self._makers[name]
        self._gone[key] = node

    def undeclare(self, tensors: Iterable[str]) -> None:
        """Drop what the model declares of the shapes of `tensors`, which are others now."""
        self._changed.update(tensors)

    def relist(self, entries: MutableSequence[Entry], wanted: Iterable[Entry]) -> None:
        """Have a list of the model that holds no nodes (imports, metadata, functions, outputs) hold what is `wanted`.

        Args:
            entries: The list.
            wanted: Entries of it, or changed copies of them; outputs keep their names.
        """

        def hold(some: Sequence[Entry]) -> None:
            del entries[:]
            entries.extend(some)

        before, after = [[_copied(each) for each in some] for some in (entries, wanted)]
        hold(after)
        self._undo.append(lambda: hold(before))

    def declare_outputs(self, shapes: Mapping[str, Shape], types: Mapping[str, str] = {}) -> None:
        """Have outputs be declared with these shapes, and with these element types where the model has none.

        An extent that was declared and does not contradict the shape stays; of other symbols only those of inputs are
        written.
        """
        codes = {dtype: code for code, dtype in NAMES.items()}
        symbols = {dim.dim_param for value in self.model.graph.input for dim in value.type.tensor_type.shape.dim}
        wanted = list["onnx.ValueInfoProto"]()
        for given in self.model.graph.output:
            value = _copied(given)
            shape = shapes.get(value.name)
            if shape is not None:
                kind = value.type.tensor_type
                if not kind.elem_type and value.name in types:
                    kind.elem_type = codes[types[value.name]]
                kind.shape.SetInParent()
                dims = kind.shape.dim
                if len(dims) != len(shape):
                    del dims[:]
                    for extent in shape:
                        dims.add(dim_param=extent if isinstance(extent, str) and extent in symbols else None)
                for dim, extent in zip(dims, shape, strict=True):
                    if isinstance(extent, int) and not dim.dim_param:
                        dim.dim_value = extent
            wanted.append(value)
        self.relist(self.model.graph.output, wanted)

    def name_graph(self, name: str) -> None:
        """Have the model's graph be called `name` if it has no name."""
        graph = self.model.graph
        if not graph.name:
            graph.name = name
            self._undo.append(partial(graph.ClearField, "name"))

    # writing

    def finish(self) -> onnx.ModelProto:
        """Remove what no output needs, and declarations of tensors that are gone or may have changed."""
        graph = self.model.graph
        needed, kept = set(self._outputs), list["NodeProto"]()
        for node in reversed(self.nodes_in_order):
            if needed.intersection(node.output):
                needed |= used_names(node)
                kept.append(node)
        nodes = [type(node).FromString(node.SerializeToString()) for node in reversed(kept)]
        del graph.node[:]
        graph.node.extend(nodes)
        present = {weight.name for weight in graph.initializer}
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name not in needed:
                del graph.initializer[index]
        graph.initializer.extend(
            tensor for name, tensor in self._constants.items() if name not in present and name in needed
        )
        # Files of IR version 3 list their initializers as inputs too; version 4 tells constants from defaults.
        is_old = self.model.ir_version < CONSTANT_BEFORE
        for index in reversed(range(len(graph.input))):
            name = graph.input[index].name
            if name not in self._inputs or (name in self._constants and (is_old or name not in needed)):
                del graph.input[index]
        self.model.ir_version = max(self.model.ir_version, CONSTANT_BEFORE)
        stays = {name for node in graph.node for name in node.output} - self._changed
        for index in reversed(range(len(graph.value_info))):
            if graph.value_info[index].name not in stays:
                del graph.value_info[index]
        return self.model


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Return the value of an attribute of `node`, or `default`."""
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def rename(node: NodeProto, tensor: str, other: str) -> None:
    """Have `node` and its subgraphs read `other` instead of `tensor`."""
    for index, name in enumerate(node.input):
        if name == tensor:
            node.input[index] = other
    for graph in subgraphs(node):
        for value in graph.output:
            if value.name == tensor:
                raise RewriteError(f"a subgraph gives {tensor}")
        for inner in graph.node:
            rename(inner, tensor, other)


Entry = TypeVar("Entry", bound="Message")


def _copied(given: Entry) -> Entry:
    copy = type(given)()
    copy.CopyFrom(given)
    return copy


def _tensor(values: Any, dtype: str, name: str, shape: Sequence[Any] | None = None) -> TensorProto:
    import numpy as np
    from onnx import numpy_helper

    try:
        array = np.asarray(values, np.dtype(dtype))
        return numpy_helper.from_array(array if shape is None else array.reshape(shape), name)
    except (TypeError, ValueError, OverflowError) as error:
        raise RewriteError(f"{name} cannot be held as {dtype}") from error

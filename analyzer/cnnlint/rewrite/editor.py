"""Replace nodes of an ONNX model while the tensors that other nodes read keep their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlint.errors import CnnlintError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import onnx
    from onnx import NodeProto

    from cnnlint.graph.layer import Layer


class RewriteError(CnnlintError):
    """A rewrite does not fit the model; the cause is a clause such as "its weights are computed at run time"."""


class Editor:
    """An ONNX model that is being rewritten.

    Args:
        model: Changed in place. Large weights are best left as external data, since edits never read them.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._graph = model.graph
        self._names = {name for node in self._graph.node for name in (*node.input, *node.output)}
        self._names |= {value.name for value in (*self._graph.input, *self._graph.output, *self._graph.initializer)}
        self._added = 0

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        return next((entry.version for entry in self.model.opset_import if entry.domain in {"", "ai.onnx"}), 1)

    def producer(self, tensor: str) -> NodeProto | None:
        """Return the node that produces `tensor`; None for inputs, initializers and unknown names."""
        return next((node for node in self._graph.node if tensor in node.output), None)

    def nodes(self, layer: Layer) -> list[NodeProto]:
        """Return the nodes that `layer` was raised from, in the order of the file.

        Raises:
            RewriteError: The layer does not come from a node of this model.
        """
        wanted = {part.output for part in layer.origin if part.output}
        found = [node for node in self._graph.node if wanted.intersection(node.output)]
        if not found:
            raise RewriteError(f"layer {layer.name} comes from no node of the file")
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

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """Return the shape of a constant, an initializer or a Constant node's tensor; None for other tensors."""
        for weight in self._graph.initializer:
            if weight.name == tensor:
                return tuple(weight.dims)
        node = self.producer(tensor)
        if node is None or node.op_type != "Constant":
            return None
        attribute = node.attribute[0]
        return tuple(attribute.t.dims) if attribute.HasField("t") else (max(len(attribute.floats), 1),)

    def is_scalar(self, tensor: str) -> bool:
        """Return whether `tensor` is omitted, or a constant of one element, which broadcasts to any map."""
        shape = self.shape(tensor) if tensor else ()
        return shape is not None and all(extent == 1 for extent in shape)

    def fresh(self, stem: str) -> str:
        """Return a tensor name that the model does not have."""
        while True:
            self._added += 1
            name = f"{stem}/cnnlint_{self._added}"
            if name not in self._names:
                self._names.add(name)
                return name

    def integers(self, stem: str, values: Iterable[int]) -> str:
        """Add an initializer of int64 `values` and return its name."""
        return self._constant(stem, list(values), "int64")

    def scalar(self, value: float, dtype: str) -> str:
        """Add an initializer of one element and return its name."""
        return self._constant("scalar", value, dtype)

    def _constant(self, stem: str, value: float | list[int], dtype: str) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = self.fresh(stem)
        self._graph.initializer.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def constant_integers(self, tensor: str) -> list[int] | None:
        """Return the values of a small constant tensor of integers; None if it is not constant."""
        from onnx import numpy_helper

        node = self.producer(tensor)
        held = [weight for weight in self._graph.initializer if weight.name == tensor]
        if node is not None and node.op_type == "Constant":
            held = [attribute.t for attribute in node.attribute if attribute.HasField("t")]
        return [int(value) for value in numpy_helper.to_array(held[0]).reshape(-1)] if held else None

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

        The node is `called` like the one that it replaces, so the user recognizes the layer.
        """
        from onnx import helper

        name = output or self.fresh(op_type)
        node = helper.make_node(op_type, inputs, [name], name=called or self.fresh(op_type), **attributes)
        self._graph.node.insert(self._index(before), node)
        return name

    def remove(self, nodes: Iterable[NodeProto]) -> None:
        """Remove `nodes`; other nodes must produce their outputs."""
        for index in sorted({self._index(node) for node in nodes}, reverse=True):
            del self._graph.node[index]

    def finish(self) -> onnx.ModelProto:
        """Remove what no output needs, and declarations of tensors that are gone or may have changed."""
        graph = self._graph
        needed = {value.name for value in graph.output}
        for index in reversed(range(len(graph.node))):
            node = graph.node[index]
            if needed.intersection(node.output):
                needed |= used_names(node)
            else:
                del graph.node[index]
        dead = {weight.name for weight in graph.initializer} - needed
        # Files of IR version 3 list their initializers as inputs too.
        for values in (graph.initializer, graph.input):
            for index in reversed(range(len(values))):
                if values[index].name in dead:
                    del values[index]
        del graph.value_info[:]
        return self.model

    def _index(self, node: NodeProto) -> int:
        wanted = list(node.output)
        return next(index for index, other in enumerate(self._graph.node) if list(other.output) == wanted)

    def walk_back(self, tensor: str) -> Iterator[NodeProto]:
        """Yield the node that produces `tensor`, the node that produces its first input, and so on."""
        node = self.producer(tensor)
        while node is not None:
            yield node
            node = self.producer(node.input[0]) if node.input else None


def used_names(node: NodeProto) -> set[str]:
    """Return the names that `node` reads: its inputs, and all that its subgraphs mention."""
    used = {name for name in node.input if name}
    for attribute in node.attribute:
        graphs = [attribute.g] if attribute.HasField("g") else []
        for graph in (*graphs, *attribute.graphs):
            used |= {value.name for value in graph.output}
            for inner in graph.node:
                used |= used_names(inner)
    return used

"""An ONNX model, run by onnxruntime without graph optimisations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlint.compare.side import Port, Values
from cnnlint.errors import RuntimeCheckError
from cnnlint.runtime.inputs import fed_inputs
from cnnlint.runtime.origin import outcome
from cnnlint.runtime.session import Session, SessionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import ValueRecord
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Tensor
    from cnnlint.runtime.program import Program


class OnnxSide:
    """An ONNX model; one session for the outputs of the model and of the layers that are watched."""

    def __init__(self, path: str, program: Program, graph: Graph) -> None:
        self.path = path
        self.graph = graph
        self._program = program
        self._session: tuple[tuple[str, ...], Session] | None = None
        record = program.record.graph
        self.inputs = ports(fed_inputs(record), graph.inputs)
        self.outputs = ports(record.outputs, graph.outputs)

    def run(self, feeds: Mapping[str, NDArray[Any]], watched: Collection[str]) -> Values:
        """Run the session; a layer's value is the tensor that its last node makes.

        Raises:
            RuntimeCheckError: onnxruntime refuses the model or the inputs.
        """
        nodes = self._program.record.graph.nodes
        made = {name for node in nodes for name in node.outputs} | {port.name for port in self.inputs}
        tensors = {layer.name: outcome(layer) for layer in self.graph.layers if layer.name in watched}
        found = {layer: tensor for layer, tensor in tensors.items() if tensor in made}
        names = tuple(dict.fromkeys((*(port.name for port in self.outputs), *found.values())))
        try:
            if self._session is None or self._session[0] != names:
                self._session = names, Session(self._program, names)
            values: dict[str, Any] = self._session[1].run(feeds)
        except SessionError as error:
            raise RuntimeCheckError(f"onnxruntime cannot run it: {error.cause}", path=self.path) from error
        return Values(
            [values[port.name] for port in self.outputs],
            {layer: [values[tensor]] for layer, tensor in found.items() if hasattr(values[tensor], "dtype")},
        )


def ports(values: Sequence[ValueRecord], tensors: Sequence[Tensor]) -> tuple[Port, ...]:
    """Return inputs or outputs as the file declares them, with what the graph says of each."""
    named = {tensor.name: tensor for tensor in tensors}
    alike = len(values) == len(tensors)
    return tuple(
        Port(value.name, value.shape, _canonical(named.get(value.name, tensors[i] if alike else None)), value.dtype)
        for i, value in enumerate(values)
    )


def _canonical(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.shape

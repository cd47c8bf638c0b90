"""Running a model and looking at what its layers make on the way: by onnxruntime, or whatever else runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from cnnlint.errors import RuntimeCheckError
from cnnlint.runtime.inputs import fed_inputs
from cnnlint.runtime.origin import outcome
from cnnlint.runtime.session import Session, SessionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import ValueRecord
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape, Tensor
    from cnnlint.runtime.program import Program

    Array = NDArray[Any]


class Port(Struct, frozen=True):
    """An input or output.

    Attributes:
        name: What the model calls it.
        shape: In the model's own order of axes; None if unknown.
        canonical: Channels first; None if unknown.
        dtype: Element type.
    """

    name: str
    shape: Shape | None
    canonical: Shape | None
    dtype: str


class Values(Struct, frozen=True, eq=False):
    """What a run gives.

    Attributes:
        outputs: In the order of the model's outputs.
        layers: By layer of the graph. There are several where a layer is called several times, and it is not known
            which call is which; none where the value cannot be had.
    """

    outputs: list[Array]
    layers: dict[str, list[Array]]


class Runner(Protocol):
    """A model that can be run."""

    @property
    def path(self) -> str:
        """As the user wrote it."""
        ...

    @property
    def graph(self) -> Graph:
        """The network."""
        ...

    @property
    def inputs(self) -> Sequence[Port]:
        """What it is fed."""
        ...

    @property
    def outputs(self) -> Sequence[Port]:
        """What it gives."""
        ...

    def run(self, feeds: Mapping[str, Array], watched: Collection[str]) -> Values:
        """Run the model once, and look at the layers `watched`.

        Args:
            feeds: By input name, in the model's own order of axes.
            watched: Names of layers of the graph.

        Raises:
            RuntimeCheckError: It cannot be run on these.
        """
        ...


class OnnxRunner:
    """An ONNX model under onnxruntime; one session for the outputs of the model and of the layers that are watched."""

    def __init__(self, path: str, program: Program, graph: Graph) -> None:
        self.path = path
        self.graph = graph
        self._program = program
        self._session: tuple[tuple[str, ...], Session] | None = None
        record = program.record.graph
        self.inputs = ports(fed_inputs(record), graph.inputs)
        self.outputs = ports(record.outputs, graph.outputs)

    def run(self, feeds: Mapping[str, Array], watched: Collection[str]) -> Values:
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


def _canonical(tensor: Tensor | None) -> Shape | None:
    return None if tensor is None else tensor.shape

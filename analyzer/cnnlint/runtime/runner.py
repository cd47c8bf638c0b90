"""Run a model and observe the values of its layers, under onnxruntime or another runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from cnnlint.analysis.inputs import closing_options
from cnnlint.errors import RuntimeCheckError
from cnnlint.runtime.inputs import fed_inputs
from cnnlint.runtime.probe import outcome
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
        name: Its name in the model.
        shape: In the model's own layout; None if unknown.
        canonical: Channels first; None if unknown.
        dtype: Element type.
    """

    name: str
    shape: Shape | None
    canonical: Shape | None
    dtype: str


class Values(Struct, frozen=True, eq=False):
    """The values of a run.

    Attributes:
        outputs: In the order of the model's outputs.
        layers: By layer of the graph: one value per call of the layer, in no particular order; none if the value is
            not available.
    """

    outputs: list[Array]
    layers: dict[str, list[Array]]

    def single(self) -> dict[str, Array]:
        """Return the values of the layers that have exactly one, by layer."""
        return {name: values[0] for name, values in self.layers.items() if len(values) == 1}


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
        """Its inputs."""
        ...

    @property
    def outputs(self) -> Sequence[Port]:
        """Its outputs."""
        ...

    @property
    def sees_inside(self) -> bool:
        """Whether the outputs are computed from the layers whose values it reports."""
        ...

    def run(
        self, feeds: Mapping[str, Array], watched: Collection[str], given: Mapping[str, Array] | None = None
    ) -> Values:
        """Run the model once, and return the values of the layers `watched`.

        Args:
            feeds: By input name, in the model's own layout.
            watched: Names of layers of the graph.
            given: Values to pass on in place of layers' outputs, by layer, in the model's own layout; what is returned
                are still the outputs themselves.

        Raises:
            RuntimeCheckError: It cannot be run on these inputs.
        """
        ...

    def optimized(self, feeds: Mapping[str, Array], watched: Collection[str]) -> Values | None:
        """Run the model with onnxruntime's optimizations; None for another runtime.

        Raises:
            RuntimeCheckError: It cannot be run on these inputs.
        """
        ...


class OnnxRunner:
    """An ONNX model under onnxruntime, with one session for the model's outputs and those of the watched layers."""

    sees_inside = True

    def __init__(self, path: str, program: Program, graph: Graph) -> None:
        self.path = path
        self.graph = graph
        self._program = program
        self._session: tuple[object, Session, Mapping[str, str]] | None = None
        record = program.record.graph
        self.inputs = ports(fed_inputs(record), graph.inputs)
        self.outputs = ports(record.outputs, graph.outputs)

    def run(
        self, feeds: Mapping[str, Array], watched: Collection[str], given: Mapping[str, Array] | None = None
    ) -> Values:
        """Run the session; a layer's value is the output of its last node.

        Raises:
            RuntimeCheckError: onnxruntime does not accept the model or the inputs.
        """
        found = self._tensors({*watched, *(given or ())})
        replaced = {found[layer]: value for layer, value in (given or {}).items() if layer in found}
        watched_tensors = {layer: tensor for layer, tensor in found.items() if layer in watched}
        return self._run(feeds, watched_tensors, replaced)

    def optimized(self, feeds: Mapping[str, Array], watched: Collection[str]) -> Values | None:
        """Run the model with all of onnxruntime's graph optimizations."""
        return self._run(feeds, self._tensors(watched), {}, optimize=True)

    def _tensors(self, layers: Collection[str]) -> dict[str, str]:
        """Return the output tensor in the file for each of these layers that has one."""
        nodes = self._program.record.graph.nodes
        made = {name for node in nodes for name in node.outputs} | {port.name for port in self.inputs}
        tensors = {layer.name: outcome(layer) for layer in self.graph.layers if layer.name in layers}
        return {layer: tensor for layer, tensor in tensors.items() if tensor in made}

    def _run(
        self,
        feeds: Mapping[str, Array],
        watched: Mapping[str, str],
        replaced: Mapping[str, Array],
        *,
        optimize: bool = False,
    ) -> Values:
        names = tuple(dict.fromkeys((*(port.name for port in self.outputs), *watched.values())))
        wanted = names, tuple(sorted(replaced)), optimize
        try:
            if self._session is None or self._session[0] != wanted:
                program, given = self._program.replacing(replaced)
                self._session = wanted, Session(program, names, optimize=optimize), given
            _, session, given = self._session
            fed = {**feeds, **{given[tensor]: value for tensor, value in replaced.items()}}
            values: dict[str, Any] = session.run({name: fed[name] for name in session.inputs})
        except SessionError as error:
            options = closing_options(self.graph)  # extents that were chosen may be none that it takes
            raise RuntimeCheckError(
                f"onnxruntime cannot run it: {error.cause}",
                path=self.path,
                remedy=f"say which extents it takes: {options}" if options else None,
            ) from error
        return Values(
            [values[port.name] for port in self.outputs],
            {layer: [values[tensor]] for layer, tensor in watched.items() if hasattr(values[tensor], "dtype")},
        )


def ports(values: Sequence[ValueRecord], tensors: Sequence[Tensor]) -> tuple[Port, ...]:
    """Return inputs or outputs as the file declares them, with their shapes in the graph."""
    named = {tensor.name: tensor for tensor in tensors}
    alike = len(values) == len(tensors)
    return tuple(
        Port(value.name, value.shape, _canonical(named.get(value.name, tensors[i] if alike else None)), value.dtype)
        for i, value in enumerate(values)
    )


def _canonical(tensor: Tensor | None) -> Shape | None:
    return None if tensor is None else tensor.shape

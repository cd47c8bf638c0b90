"""The runs that checks share: one session, one batch of seeded inputs, and a second look at one sample of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.cost import peak_activation_bytes, total_macs
from cnnlint.errors import RuntimeCheckError, UnfinishedRunError
from cnnlint.frontends.onnx.records import all_nodes
from cnnlint.graph.quantity import size
from cnnlint.graph.queries import mixing_layers
from cnnlint.runtime.checks import Tail, find_tails
from cnnlint.runtime.inputs import (
    BATCH,
    EXTENTS,
    Extents,
    choose_extents,
    distribution,
    fed_inputs,
    sample,
    shown_shape,
)
from cnnlint.runtime.session import Session, SessionError
from cnnlint.worker import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import ValueRecord
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.runtime.program import Program

    Values = Mapping[str, NDArray[Any]]

SEED = 20_150_410
"""The day that VGG's final version was put on arXiv; any number would do."""

COSTLY = 5_000_000_000
"""Multiply-accumulates per sample from which a run that can tell nothing new is spared."""


class Run(Struct, frozen=True, eq=False):
    """One run of the model.

    Attributes:
        feeds: Inputs by name.
        values: The model's outputs and the watched tensors, by name.
        extents: The shapes that were fed, and which were chosen here.
        conditions: How the inputs were made, in words: "x 2×3×224×224 standard normal, seed 20150410".
    """

    feeds: dict[str, NDArray[Any]]
    values: dict[str, NDArray[Any]]
    extents: Extents
    conditions: str


class Failure(Struct, frozen=True, eq=False):
    """A run that onnxruntime could not finish."""

    error: SessionError
    extents: Extents
    conditions: str


class Probe:
    """A model under onnxruntime; sessions and runs are made when first asked for, and shared by all checks.

    Args:
        program: The model.
        graph: The network that was raised from it.
        inputs: Whole shapes by the user, for inputs with open extents.
    """

    def __init__(
        self, program: Program, graph: Graph, *, inputs: Mapping[str, tuple[int, ...]] | None = None, seed: int = SEED
    ) -> None:
        self.program = program
        self.graph = graph
        self.seed = seed
        self.given = dict(inputs or {})
        self._watched = tuple(name for tail in self.tails for name in (tail.logits, tail.probabilities))
        self._session: Session | SessionError | None = None
        self._run: Run | RuntimeCheckError | None = None
        self.failures: list[Failure] = []

    @property
    def inputs(self) -> tuple[ValueRecord, ...]:
        """What the file declares of the inputs that are fed."""
        return fed_inputs(self.program.record.graph)

    @property
    def outputs(self) -> tuple[ValueRecord, ...]:
        """What the file declares of the outputs."""
        return self.program.record.graph.outputs

    @cached_property
    def tails(self) -> tuple[Tail, ...]:
        """The softmaxes and sigmoids that outputs come from."""
        return find_tails(self.program.record)

    def watch(self, names: Iterable[str]) -> None:
        """Have runs return the tensors `names` as well; cheap before the first run, another session after it."""
        made = {name for node in self.program.record.graph.nodes for name in node.outputs}
        more = [name for name in dict.fromkeys(names) if name in made and name not in self._watched]
        if more:
            self._watched += tuple(more)
            self._session = self._run = None
            self.failures.clear()

    @property
    def session(self) -> Session:
        """The model, loaded.

        Raises:
            SessionError: onnxruntime refuses it.
        """
        if self._session is None:
            names = [value.name for value in self.outputs]
            try:
                self._session = Session(self.program, tuple(dict.fromkeys([*names, *self._watched])))
            except SessionError as error:
                self._session = error
        if isinstance(self._session, SessionError):
            raise self._session
        return self._session

    @property
    def load_error(self) -> SessionError | None:
        """Why onnxruntime does not load the model; None if it does."""
        try:
            _ = self.session
        except SessionError as error:
            return error
        return None

    def run(self) -> Run:
        """Return the run of the first batch: two samples, where the model takes two.

        Open heights and widths are tried with `EXTENTS`, an open batch that fails with one sample too; what failed
        on the way is in `failures`.

        Raises:
            SessionError: onnxruntime does not load the model, or runs it with none of the shapes tried.
            RuntimeCheckError: Inputs cannot be made up.
            UnfinishedRunError: The run takes more memory than it may.
        """
        if self._run is None:
            try:
                self._run = self._first()
            except RuntimeCheckError as error:
                self._run = error
        if isinstance(self._run, RuntimeCheckError):
            raise self._run
        return self._run

    @property
    def untried(self) -> str:
        """Why the model was not run though it loads: no inputs can be made; "" if it was, or nobody asked."""
        if isinstance(self._run, RuntimeCheckError) and not isinstance(self._run, SessionError):
            return self._run.cause
        return ""

    @property
    def runs(self) -> bool:
        """Whether the model loads and runs."""
        try:
            self.run()
        except RuntimeCheckError:
            return False
        return True

    def _first(self) -> Run:
        session = self.session
        batch = 1 if self.is_spared else BATCH
        choices = [choose_extents(self.inputs, self.given, batch=batch)]
        if choices[0].guessed:
            choices += [choose_extents(self.inputs, self.given, batch=batch, extent=extent) for extent in EXTENTS[1:]]
        if choices[0].dynamic and batch > 1:
            choices.append(choose_extents(self.inputs, self.given, batch=1))
        tried = list[Extents]()
        for extents in choices:
            if extents in tried:
                continue
            tried.append(extents)
            self._refuse_memory(extents)
            feeds = self.feeds(extents, self.seed)
            conditions = self._conditions(extents)
            try:
                return Run(feeds, session.run(feeds), extents, conditions)
            except SessionError as error:
                self.failures.append(Failure(error, extents, conditions))
        raise self.failures[0].error

    @cached_property
    def is_spared(self) -> bool:
        """Whether the graph shows that samples cannot meet and a run costs enough to be content with that."""
        macs = total_macs(self.graph)
        return macs is not None and macs > COSTLY and self.is_batch_invariant

    @cached_property
    def is_batch_invariant(self) -> bool:
        """Whether every layer is known to treat each sample of a batch by itself.

        A dynamic quantization takes the range of the whole batch, of which the layer that is made of it does not tell.
        """
        record = self.program.record
        bodies = [record.graph.nodes, *(function.nodes for function in record.functions.values())]
        ranged = any(node.op_type.startswith("DynamicQuantize") for body in bodies for node in all_nodes(body))
        return not ranged and not mixing_layers(self.graph)

    def again(self) -> Run | None:
        """Return a run of the first batch's first sample in other company: alone, or beside other samples.

        None where the model takes no batch, only one of a single sample, or nothing could be learned from it.

        Raises:
            SessionError: onnxruntime cannot run it.
            RuntimeCheckError: There is no first run.
        """
        import numpy as np

        first = self.run()
        extents = first.extents
        if extents.batch is None or extents.batch < 2:
            return None
        if extents.dynamic:
            feeds = {name: value[:1] if name in extents.batched else value for name, value in first.feeds.items()}
            shapes = {name: value.shape for name, value in feeds.items()}
            extents = replace(extents, batch=1, shapes=shapes)
        else:
            others = self.feeds(extents, self.seed + 1)
            feeds = {
                name: np.concatenate([value[:1], others[name][1:]]) if name in extents.batched else value
                for name, value in first.feeds.items()
            }
        return Run(feeds, self.session.run(feeds), extents, self._conditions(extents))

    def feeds(self, extents: Extents, seed: int) -> dict[str, NDArray[Any]]:
        """Return inputs of the shapes `extents`, drawn in the order of the model's inputs from one generator.

        Raises:
            RuntimeCheckError: An input's type cannot be made up.
        """
        import numpy as np

        rng = np.random.default_rng(seed)
        return {value.name: sample(extents.shapes[value.name], value.dtype, rng) for value in self.inputs}

    def _conditions(self, extents: Extents) -> str:
        parts = (f"{v.name} {shown_shape(extents.shapes[v.name])} {distribution(v.dtype)}" for v in self.inputs)
        return f"{', '.join(parts) or 'no inputs'}, seed {self.seed}"

    def _refuse_memory(self, extents: Extents) -> None:
        """Refuse a run whose activations, or weights that the file claims and does not hold, exceed the memory.

        Where the peak is not known, what the system holds this process to is all there is.
        """
        most = memory.most_bytes()
        if most is None:
            return
        peak = (peak_activation_bytes(self.graph) or 0) * (extents.batch or 1)
        made = sum(weight.nbytes or 0 for weight in self.graph.weights if weight.storage is None)
        for needed, what in ((peak, "activations"), (made, "weights that are not in the file")):
            if needed > most:
                raise UnfinishedRunError(f"a run needs {size(needed)} of {what}, more than it may have")


def first_layer(probe: Probe, shows: Callable[[Values, str], bool]) -> Layer | None:
    """Return the first layer of the network at whose output `shows` holds; None if none does, or it cannot be told.

    The model runs once more, with every layer's output kept.

    Args:
        probe: The model; its own runs stay as they are.
        shows: Is given all values of the run, by tensor, and the name of the layer's output among them.
    """
    run = traced(probe)
    if run is None:
        return None
    for layer in probe.graph.layers:
        tensor = outcome(layer)
        if tensor in run and shows(run, tensor):
            return layer
    return None


def traced(probe: Probe, *, again: bool = False) -> Values | None:
    """Return the values of all layers in the first run, or in the second; None if there is no such run."""
    watcher = Probe(probe.program, probe.graph, inputs=probe.given, seed=probe.seed)
    watcher.watch(name for layer in probe.graph.layers if (name := outcome(layer)))
    try:
        run = watcher.again() if again else watcher.run()
    except RuntimeCheckError:
        return None
    return run.values if run is not None else None


def outcome(layer: Layer) -> str:
    """Return the file's name for what `layer` makes; "" if it has none."""
    return layer.origin[-1].output if layer.origin else ""

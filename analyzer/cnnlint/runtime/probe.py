"""The runs that checks share: one session, one batch of seeded inputs, and a second run of one of its samples."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.cost import peak_activation_bytes, total_macs
from cnnlint.errors import MemoryLimitError, RuntimeCheckError
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
    from cnnlint.runtime.referee import Referee, Verdict

    Values = Mapping[str, NDArray[Any]]

SEED = 20_150_410
"""The day that VGG's final version was put on arXiv; any number would do."""

COSTLY = 5_000_000_000
"""Multiply-accumulates per sample from which runs that would show nothing new are skipped."""


class Run(Struct, frozen=True, eq=False):
    """One run of the model.

    Attributes:
        feeds: Inputs by name.
        values: The model's outputs and the watched tensors, by name.
        extents: The shapes of the inputs, and which of them were chosen.
        conditions: How the inputs were generated: "x 2×3×224×224 standard normal, seed 20150410".
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
    """A model under onnxruntime; sessions and runs are created on demand and shared by all checks.

    Args:
        program: The model.
        graph: Its network.
        inputs: The user's shapes for inputs with open extents.
        seed: Of the inputs.
        batch: Samples of the first run, if the model takes any number.
        session: The model as it is loaded already.
    """

    def __init__(
        self,
        program: Program,
        graph: Graph,
        *,
        inputs: Mapping[str, tuple[int, ...]] | None = None,
        seed: int = SEED,
        batch: int = BATCH,
        session: Session | None = None,
    ) -> None:
        self.program = program
        self.graph = graph
        self.seed = seed
        self.given = dict(inputs or {})
        self._watched = tuple(name for tail in self.tails for name in (tail.logits, tail.probabilities))
        self._batch = batch
        self._session: Session | SessionError | None = session
        self._run: Run | RuntimeCheckError | None = None
        self.failures: list[Failure] = []

    @property
    def inputs(self) -> tuple[ValueRecord, ...]:
        """The file's declarations of the inputs to feed."""
        return fed_inputs(self.program.record.graph)

    @property
    def outputs(self) -> tuple[ValueRecord, ...]:
        """The file's declarations of the outputs."""
        return self.program.record.graph.outputs

    @cached_property
    def is_left_to_rules(self) -> bool:
        """Whether rules tell all that onnx's checker could reject in the file."""
        from cnnlint.runtime.referee import is_left_to_rules

        return is_left_to_rules(self.program.record)

    @cached_property
    def referee(self) -> Referee:
        """The checker of onnx, which looks at the file from the first mention on, in a process of its own."""
        from cnnlint.runtime.referee import Referee

        return Referee(self.program)

    @cached_property
    def verdict(self) -> Verdict | None:
        """What onnx's checker says of the file; None if it came to no end."""
        return self.referee.verdict()

    @cached_property
    def tails(self) -> tuple[Tail, ...]:
        """The final softmaxes and sigmoids of the outputs."""
        return find_tails(self.program.record)

    def watch(self, names: Iterable[str]) -> None:
        """Make runs return the tensors `names` as well; cheap before the first run, a new session after it."""
        made = {name for node in self.program.record.graph.nodes for name in node.outputs}
        more = [name for name in dict.fromkeys(names) if name in made and name not in self._watched]
        if more:
            self._watched += tuple(more)
            self._session = self._run = None
            self.failures.clear()

    @property
    def session(self) -> Session:
        """The loaded model.

        Raises:
            SessionError: onnxruntime does not load it.
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
        """Return the first run: a batch of two samples, if the model takes two.

        Open heights and widths are tried with `EXTENTS`, and an open batch that fails with one sample too; failed
        attempts are in `failures`.

        Raises:
            SessionError: onnxruntime does not load the model, or runs it with none of the shapes tried.
            RuntimeCheckError: Inputs cannot be generated.
            MemoryLimitError: The run would exceed the memory limit.
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
        """Why the model loads but was not run: inputs cannot be generated; "" if it was, or no run was requested."""
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
        batch = 1 if self._batch > 1 and self.is_abridged else self._batch
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
    def is_abridged(self) -> bool:
        """Whether the graph shows that samples are independent, and a run is costly enough to rely on that."""
        macs = total_macs(self.graph)
        return macs is not None and macs > COSTLY and self.is_batch_invariant

    @cached_property
    def is_batch_invariant(self) -> bool:
        """Whether every layer is known to treat the samples of a batch independently.

        A dynamic quantization uses the range of the whole batch, which the layers of the graph do not show.
        """
        record = self.program.record
        bodies = [record.graph.nodes, *(function.nodes for function in record.functions.values())]
        ranged = any(node.op_type.startswith("DynamicQuantize") for body in bodies for node in all_nodes(body))
        return not ranged and not mixing_layers(self.graph)

    def again(self) -> Run | None:
        """Return a run of the first sample in a different batch: alone, or with other samples.

        None if the model takes no batch, or only single samples.

        Raises:
            SessionError: onnxruntime cannot run it.
            RuntimeCheckError: The first run failed.
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
            RuntimeCheckError: Inputs of such a type cannot be generated.
        """
        import numpy as np

        rng = np.random.default_rng(seed)
        return {value.name: sample(extents.shapes[value.name], value.dtype, rng) for value in self.inputs}

    def _conditions(self, extents: Extents) -> str:
        parts = (f"{v.name} {shown_shape(extents.shapes[v.name])} {distribution(v.dtype)}" for v in self.inputs)
        return f"{', '.join(parts) or 'no inputs'}, seed {self.seed}"

    def _refuse_memory(self, extents: Extents) -> None:
        """Refuse a run whose activations, or weights that the file declares without values, exceed the memory limit.

        If the peak is unknown, only the limit that the system enforces applies.
        """
        most = memory.most_bytes()
        if most is None:
            return
        peak = (peak_activation_bytes(self.graph) or 0) * (extents.batch or 1)
        made = sum(weight.nbytes or 0 for weight in self.graph.weights if weight.storage is None)
        for needed, what in ((peak, "activations"), (made, "weights that are not in the file")):
            if needed > most:
                raise MemoryLimitError(f"a run needs {size(needed)} of {what}, more than the memory limit")


def first_layer(probe: Probe, shows: Callable[[Values, str], bool]) -> Layer | None:
    """Return the first layer for whose output `shows` holds; None if there is none, or the run fails.

    The model runs once more, keeping every layer's output.

    Args:
        probe: The model; its own runs are not affected.
        shows: KerasCall with all values of the run, by tensor, and the name of the layer's output.
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
    """Return the values of all layers in the first run, or the second if `again`; None if there is no such run."""
    watcher = Probe(probe.program, probe.graph, inputs=probe.given, seed=probe.seed)
    watcher.watch(name for layer in probe.graph.layers if (name := outcome(layer)))
    try:
        run = watcher.again() if again else watcher.run()
    except RuntimeCheckError:
        return None
    return run.values if run is not None else None


def outcome(layer: Layer) -> str:
    """Return the name of the output of `layer` in the file; "" if it has none."""
    return layer.origin[-1].output if layer.origin else ""

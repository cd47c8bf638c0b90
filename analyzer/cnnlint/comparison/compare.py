"""Two models on the same seeded inputs: their outputs, and the layers where they begin to differ."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.cost import total_macs
from cnnlint.comparison.error import Error, nearest
from cnnlint.comparison.feeding import Feed, agree, draw, pair_ports
from cnnlint.comparison.layout import channels_first, like
from cnnlint.comparison.origins import origins
from cnnlint.comparison.pairing import LayerPair, pair_layers
from cnnlint.comparison.records import ComparisonReport, Origin, ValueRow, Verdict
from cnnlint.errors import RuntimeCheckError
from cnnlint.graph.layers import Activation
from cnnlint.models import open_model
from cnnlint.rewrite.prove import TOLERANCES
from cnnlint.runtime.inputs import BATCH
from cnnlint.runtime.probe import COSTLY, SEED
from cnnlint.worker import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnlint.graph.graph import Graph
    from cnnlint.runtime.runner import Port, Runner

SCALES = (1.0, 1000.0)
"""Standard normal inputs, then ones so large that a clip at 6 is reached even behind a rescaling of pixels to ±1."""


class Comparison(Struct, frozen=True, kw_only=True):
    """Two models to compare, as a worker is asked to.

    Attributes:
        before: The path of the model that is taken for right.
        after: That of the other.
        inputs: Shapes by input name that replace what a model declares.
        tolerance: As for `compare`.
        seed: Of the inputs.
        layers: Whether to look at all layers, and not at outputs alone.
    """

    before: str
    after: str
    inputs: dict[str, tuple[int, ...]] = {}
    tolerance: float | None = None
    seed: int = SEED
    layers: bool = True


def compare_paths(request: Comparison) -> ComparisonReport:
    """Open two models and compare them: see `compare`.

    Raises:
        ModelError: One cannot be read.
        ConfigError: One is remote.
        MissingExtraError: One is a Keras model or a SavedModel, and TensorFlow is not installed.
        ConversionError: One holds code that is not run.
        RuntimeCheckError: One does not run, or inputs cannot be made up.
    """
    before, after = (open_model(path).runner(request.inputs) for path in (request.before, request.after))
    size_up(before.graph, after.graph)
    return compare(before, after, tolerance=request.tolerance, seed=request.seed, layers=request.layers)


def size_up(*graphs: Graph) -> None:
    """State how much work the runs of these networks are, for whoever waits."""
    macs = [total_macs(graph) for graph in graphs]
    steps.sized(
        weight_bytes=sum(graph.source.file_bytes or 0 for graph in graphs),
        macs=None if None in macs else BATCH * max(each or 0 for each in macs),
    )


def compare(
    before: Runner, after: Runner, *, tolerance: float | None = None, seed: int = SEED, layers: bool = True
) -> ComparisonReport:
    """Run both models on the same inputs and compare outputs, values before a last activation, and layers.

    Args:
        before: The model that is taken for right.
        after: The other.
        tolerance: The largest difference relative to the largest magnitude of a tensor; by the types of the models
            if None.
        seed: Of the inputs.
        layers: Whether to look at all layers, and not at outputs alone.

    Raises:
        RuntimeCheckError: One of the models does not run, or inputs cannot be made up.
    """
    return _Comparison(before, after, tolerance or usual_tolerance(before, after), seed).report(layers=layers)


def usual_tolerance(before: Runner, after: Runner) -> float:
    """Return what rounding may come to in the coarsest floating type that either model computes in."""
    types = {weight.dtype for side in (before, after) for weight in side.graph.weights}
    types |= {tensor.dtype for side in (before, after) for layer in side.graph.layers for tensor in layer.outputs}
    known = [TOLERANCES[dtype] for dtype in types if dtype in TOLERANCES]
    return max(known, default=TOLERANCES["float32"])


Feeds = tuple[Feed, ...]

Measured = tuple[Error, tuple[int, ...]]
"""How far two tensors are apart, and the shape of the first."""


class _Run(Struct, frozen=True, eq=False):
    """What one run of both models showed, of each output and of the layers that could be seen in both."""

    outputs: list[Measured]
    layers: dict[str, Measured]


class _Comparison:
    def __init__(self, before: Runner, after: Runner, tolerance: float, seed: int) -> None:
        self.before, self.after = before, after
        self.tolerance = tolerance
        self.seed = seed
        self.pairs = pair_layers(before.graph, after.graph)
        self.heads = set[str]()

    def report(self, *, layers: bool) -> ComparisonReport:
        cost = max(total_macs(side.graph) or 0 for side in (self.before, self.after))
        costly = cost > COSTLY
        narrow = self.tolerance > TOLERANCES["float32"]  # half precision, where large values overflow
        scales = SCALES[:1] if costly or narrow else SCALES
        feeds, problems = agree(self.before, self.after, batch=1 if costly else BATCH)
        ports = pair_ports(self.before.outputs, self.after.outputs)
        if ports is None:
            counts = [len(side.outputs) for side in (self.before, self.after)]
            problems += (f"the first model has {counts[0]} outputs and the second {counts[1]}",)
        if problems or ports is None:
            return self._report(equal=False, interface=problems)
        self.heads = {head.left.name for head in self._before_last_activation()}
        watched = [pair for pair in self.pairs if layers or pair.left.name in self.heads]
        feeds, runs = self._runs(feeds, ports, watched, scales)
        outputs = tuple(
            self._judged(left.name, right.name, "Output", [run.outputs[index] for run in runs])
            for index, (left, right) in enumerate(ports)
        )
        rows = {pair.left.name: self._row(pair, runs) for pair in watched}
        outputs += tuple(
            replace(row, note="before the last activation")
            for name, row in rows.items()
            if name in self.heads and row.verdict in ("equal", "differs")
        )
        return self._report(
            equal=all(row.verdict == "equal" for row in outputs),
            interface=tuple(self._renamed(ports)),
            conditions=tuple(
                f"{', '.join(feed.words for feed in feeds)}{f' × {scale:g}' if scale != 1 else ''}, "
                f"seed {self.seed + number}"
                for number, scale in enumerate(scales)
            ),
            outputs=outputs,
            layers=tuple(self._rows(rows)) if layers else (),
            origins=tuple(origins(self.before.graph, self.after.graph, self.pairs, rows)) if layers else (),
        )

    def _report(
        self,
        *,
        equal: bool,
        interface: tuple[str, ...],
        conditions: tuple[str, ...] = (),
        outputs: tuple[ValueRow, ...] = (),
        layers: tuple[ValueRow, ...] = (),
        origins: tuple[Origin, ...] = (),
    ) -> ComparisonReport:
        return ComparisonReport(
            before=self.before.path,
            after=self.after.path,
            equal=equal,
            tolerance=self.tolerance,
            conditions=conditions,
            interface=interface,
            outputs=outputs,
            layers=layers,
            origins=origins,
        )

    def _runs(
        self, feeds: Feeds, ports: list[tuple[Port, Port]], watched: list[LayerPair], scales: tuple[float, ...]
    ) -> tuple[Feeds, list[_Run]]:
        """Return the runs, and what was fed: one sample where a model that leaves its batch open takes no more."""
        try:
            return feeds, [self._run(feeds, ports, watched, *run) for run in enumerate(scales)]
        except RuntimeCheckError:
            alone, _ = agree(self.before, self.after, batch=1)
            if alone == feeds:
                raise
            return alone, [self._run(alone, ports, watched, *run) for run in enumerate(scales)]

    def _run(
        self, feeds: Feeds, ports: list[tuple[Port, Port]], watched: list[LayerPair], number: int, scale: float
    ) -> _Run:
        """Run both models once; of all tensors, only how far they are apart is kept."""
        given = draw(feeds, self.seed + number, scale)
        seen = [pair for pair in watched if not pair.is_view]
        left = self.before.run(given[0], {pair.ahead.name for pair in seen})
        right = self.after.run(given[1], {pair.behind.name for pair in seen})
        outputs, layers = list[Measured](), dict[str, Measured]()
        for index, (one, other) in enumerate(ports):
            expected = channels_first(left.outputs[index], one.canonical)
            actual = right.outputs[self.after.outputs.index(other)]
            outputs.append(nearest(expected, like(actual, other.canonical, expected)))
        for pair in seen:
            values = left.layers.get(pair.ahead.name, ()), right.layers.get(pair.behind.name, ())
            if values[0] and values[1]:
                expected = [form for value in values[0] for form in channels_first(value, pair.ahead.output.shape)]
                forms = [form for value in values[1] for form in like(value, pair.behind.output.shape, expected)]
                layers[pair.left.name] = nearest(expected, forms)
        return _Run(outputs, layers)

    def _before_last_activation(self) -> Iterator[LayerPair]:
        """Yield the pairs whose values go into an activation and nowhere else: a softmax hides what goes into it."""
        graph = self.before.graph
        for tensor in graph.outputs:
            last = graph.producer(tensor)
            if isinstance(last, Activation):
                yield from (pair for pair in self.pairs if pair.ahead.output.name == last.input.name)

    def _renamed(self, ports: list[tuple[Port, Port]]) -> Iterator[str]:
        inputs = pair_ports(self.before.inputs, self.after.inputs) or []
        for what, pairs in (("input", inputs), ("output", ports)):
            for left, right in pairs:
                if left.name != right.name:
                    yield f"{what} {left.name} is called {right.name} in the second model"
                if left.dtype != right.dtype:
                    yield f"{what} {left.name} is {left.dtype} in the first model and {right.dtype} in the second"

    def _row(self, pair: LayerPair, runs: list[_Run]) -> ValueRow:
        names = pair.left.name, pair.right.name, pair.left.kind
        if pair.is_view:
            return _empty(*names, verdict="view")
        found = [run.layers[pair.left.name] for run in runs if pair.left.name in run.layers]
        return self._judged(*names, found, pair.note) if found else _empty(*names, verdict="unseen")

    def _judged(self, before: str, after: str, kind: str, found: list[Measured], note: str = "") -> ValueRow:
        worst, shape = max(found, key=lambda entry: entry[0])
        return ValueRow(
            before=before,
            after=after,
            kind=kind,
            shape=shape,
            max_abs_error=worst.absolute if isfinite(worst.absolute) else None,
            max_rel_error=worst.relative if isfinite(worst.relative) else None,
            verdict="equal" if worst.relative <= self.tolerance else "differs",
            note="; ".join(part for part in (note, worst.note) if part),
        )

    def _rows(self, rows: dict[str, ValueRow]) -> Iterator[ValueRow]:
        looked_through = {name for pair in self.pairs for name in pair.looked_through}
        for layer in self.before.graph.layers:
            if layer.name in rows:
                yield rows[layer.name]
            elif layer.name not in looked_through:
                yield _empty(layer.name, "", layer.kind, verdict="unmatched")
        matched = {pair.right.name for pair in self.pairs}
        for layer in self.after.graph.layers:
            if layer.name not in matched and layer.name not in looked_through:
                yield _empty("", layer.name, layer.kind, verdict="unmatched")


def _empty(before: str, after: str, kind: str, *, verdict: Verdict) -> ValueRow:
    return ValueRow(before=before, after=after, kind=kind, verdict=verdict)

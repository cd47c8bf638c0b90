"""The verifier: run two models on the same seeded inputs, and decide whether rounding explains all differences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.analysis.cost import total_macs
from cnnlint.errors import RuntimeCheckError
from cnnlint.graph.layers import Activation
from cnnlint.results import Verification
from cnnlint.runtime.inputs import BATCH, EXTENTS, KINDS
from cnnlint.runtime.probe import COSTLY, SEED
from cnnlint.verification.differences import origins
from cnnlint.verification.error import Error, channels_first, error, like, nearest
from cnnlint.verification.feeding import Feed, agree, draw, pair_ports
from cnnlint.verification.matching import LayerPair, pair_layers, pair_tensors
from cnnlint.verification.records import ComparisonReport, ValueRow, Verdict
from cnnlint.verification.regions import Region, Regions, sums
from cnnlint.verification.rounding import PERTURBATIONS, RATIO, UNITS, cap, perturbed, unit
from cnnlint.worker import steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.graph.tensor import Tensor
    from cnnlint.runtime.runner import Port, Runner, Values

    Fed = Mapping[str, NDArray[Any]]

SATURATING = 1000.0
"""Factor for inputs that exceed a clip at 6 even after pixels are rescaled to ±1; only activations are compared."""

MOST_BYTES = 2 << 30
"""Most bytes of layer values in memory; beyond that, the largest layers become part of larger regions."""


def size_up(*graphs: Graph) -> None:
    """Announce how much work it is to run these networks, for time limits."""
    macs = [total_macs(graph) for graph in graphs]
    steps.sized(
        weight_bytes=sum(graph.source.file_bytes or 0 for graph in graphs),
        macs=None if None in macs else len(KINDS) * max(each or 0 for each in macs),
    )


def compare(
    before: Runner,
    after: Runner,
    *,
    tolerance: float | None = None,
    seed: int = SEED,
    layers: bool = True,
    rewritten: bool = False,
) -> ComparisonReport:
    """Run both models on the same inputs and decide whether they compute the same up to rounding.

    Every matched layer is compared on the first model's own values (see `regions`). End to end, outputs and the values
    before a last activation may differ by `RATIO` times the first model's noise floor, and never by more than the cap;
    if the floor itself exceeds the cap, or the rounding in the regions adds up to more, the regions alone decide.
    Layers are matched as two networks' are or, if that does not hold, by the names of their tensors in the two files:
    layers that are no counterparts differ, and if those of either way are equal, the models are.

    Args:
        before: The reference.
        after: The other model.
        tolerance: Largest accepted difference of outputs, relative to the largest magnitude of a tensor, instead of all
            of the above.
        seed: Seed of the inputs.
        layers: Whether to compare layers too, and not just outputs.
        rewritten: Whether the other model is a rewritten form of the reference, which keeps the names of tensors.

    Raises:
        RuntimeCheckError: One of the models does not run, or inputs cannot be generated.
    """
    ways = [pair_layers, pair_tensors] if {before.graph.source.format, after.graph.source.format} == {"onnx"} else []
    first, *others = reversed(ways) if rewritten and ways else ways or [pair_layers]
    report = _Comparison(before, after, tolerance, seed, first if layers else None).report()
    ends_agree = bool(report.outputs) and all(row.verdict == "equal" for row in report.outputs)
    for pair in others:
        if layers and not report.equal and ends_agree:
            again = _Comparison(before, after, tolerance, seed, pair).report()
            report = again if again.equal else report
    return report


def coarsest(before: Runner, after: Runner) -> str:
    """Return the coarsest floating type that either model computes in."""
    types = {weight.dtype for side in (before, after) for weight in side.graph.weights}
    types |= {tensor.dtype for side in (before, after) for layer in side.graph.layers for tensor in layer.outputs}
    return max((dtype for dtype in types if dtype in UNITS), key=unit, default="float32")


Feeds = tuple[Feed, ...]
Ports = list[tuple["Port", "Port"]]

Pairing = Callable[["Graph", "Graph"], list[LayerPair]]

Measured = tuple[Error, tuple[int, ...]]
"""The difference of two tensors, and the shape of the first."""


class _BothRuns(Struct, frozen=True, eq=False):
    """The results of one run of both models.

    Attributes:
        outputs: Difference of each output.
        heads: Difference of the value before an output's activation, by index of the output.
        layers: Difference of each layer that is visible in both, by the first model's name.
        regions: The comparison on the first model's own values.
        floor: Noise floor: how much rounding alone changes outputs and heads.
        optimized: Whether onnxruntime's optimizations contributed to it.
    """

    outputs: list[Measured]
    heads: dict[int, Measured]
    layers: dict[str, Measured]
    regions: list[Region]
    floor: float
    optimized: bool


class _Comparison:
    """Two models on the same inputs.

    Args:
        before: The reference.
        after: The other model.
        tolerance: Of outputs; None to derive it.
        seed: Of the inputs.
        pair: How layers are matched; None to compare outputs alone.
    """

    def __init__(self, before: Runner, after: Runner, tolerance: float | None, seed: int, pair: Pairing | None) -> None:
        self.before, self.after = before, after
        self.layers = pair is not None
        self.given = tolerance
        self.cap = cap(coarsest(before, after))
        self.seed = seed
        self.costly = max(total_macs(side.graph) or 0 for side in (before, after)) > COSTLY
        self.pairs = [each for each in (pair or pair_layers)(before.graph, after.graph) if each.may_be_equal]
        self.ports: Ports = []
        self.heads: dict[int, LayerPair] = {}

    def report(self) -> ComparisonReport:
        feeds, problems = agree(self.before, self.after, batch=1 if self.costly else BATCH)
        if any(feed.is_image for feed in feeds) and not self.costly:
            feeds, problems = agree(self.before, self.after, batch=len(KINDS))
        ports = pair_ports(self.before.outputs, self.after.outputs)
        if ports is None:
            counts = [len(side.outputs) for side in (self.before, self.after)]
            problems += (f"the first model has {counts[0]} outputs and the second {counts[1]}",)
        if problems or ports is None:
            return ComparisonReport(
                before=self.before.path,
                after=self.after.path,
                equal=False,
                tolerance=self.given or self.cap,
                interface=problems,
            )
        self.ports = ports
        if self.before.sees_inside and self.after.sees_inside:
            self.heads = dict(_heads(self.before.graph, self.after.graph, len(ports)))
        feeds, runs = self._runs(feeds)
        return self._judged(feeds, runs)

    def _judged(self, feeds: Feeds, runs: list[_BothRuns]) -> ComparisonReport:
        floor = max(run.floor for run in runs)
        tolerance = min(self.cap, RATIO * floor) if self.given is None else self.given
        regions = _worst(region for run in runs for region in run.regions)
        failed = tuple(region.name for region in regions.values() if not region.holds)
        ends = [
            (("", left.name, right.name, "Output"), [run.outputs[index] for run in runs])
            for index, (left, right) in enumerate(self.ports)
        ]
        ends += [
            (("before the last activation", head.left.name, head.right.name, head.left.kind), found)
            for index, head in self.heads.items()
            if (found := [run.heads[index] for run in runs if index in run.heads])
        ]
        largest = max((max(found)[0] for _, found in ends), default=Error(0.0, 0.0))
        carried = max((region.error.relative for region in regions.values()), default=0.0)
        bearable = max(
            RATIO * floor, min(self.cap, RATIO * carried)
        )  # what rounding, or that of the regions, adds up to
        explained = bool(regions) and not failed and tolerance < largest.relative <= bearable
        outputs = tuple(
            _row(names, found, note=note, differs=max(found)[0].relative > tolerance and not explained)
            for (note, *names), found in ends
        )
        equal = not failed and all(row.verdict == "equal" for row in outputs)
        rows = self._layer_rows(runs, regions) if self.layers else {}
        if equal:  # layers matched by order alone were not counterparts then
            rows = {name: row for name, row in rows.items() if row.verdict != "differs"}
        return ComparisonReport(
            before=self.before.path,
            after=self.after.path,
            equal=equal,
            tolerance=tolerance,
            interface=tuple(self._renamed()),
            conditions=self._conditions(feeds, len(runs)),
            outputs=outputs,
            layers=tuple(self._all_rows(rows)) if self.layers else (),
            origins=() if equal else tuple(origins(self.before.graph, self.after.graph, self.pairs, rows, failed)),
            verification=Verification(
                equivalent=equal,
                max_abs_error=largest.absolute,
                max_rel_error=largest.relative,
                tolerance=tolerance,
                runs=len(runs),
                tensors=tuple(row.before for row in outputs),
                noise_floor=floor,
                perturbations=self._perturbations,
                optimizations=any(run.optimized for run in runs),
                ratio=RATIO,
                cap=self.cap,
                regions=len(regions),
                failed=failed,
                by_region=explained,
            ),
        )

    @property
    def _perturbations(self) -> int:
        return 1 if self.costly else PERTURBATIONS

    def _runs(self, feeds: Feeds) -> tuple[Feeds, list[_BothRuns]]:
        """Return the inputs and the runs; with one sample or images of another size if a model wants these."""
        try:
            return feeds, [self._run(feeds, first) for first in self._firsts(feeds)]
        except RuntimeCheckError:
            for extent in EXTENTS:
                others, _ = agree(self.before, self.after, batch=1, extent=extent)
                with suppress(RuntimeCheckError):
                    if others != feeds:
                        return others, [self._run(others, first) for first in self._firsts(others)]
            raise

    def _firsts(self, feeds: Feeds) -> range:
        """Return for each run the kind of its first image, so all runs together cover all kinds."""
        batch = min((feed.shape[0] for feed in feeds if feed.is_image), default=len(KINDS))
        return range(0, 1 if self.costly else len(KINDS), batch)

    def _conditions(self, feeds: Feeds, runs: int) -> tuple[str, ...]:
        firsts = list(self._firsts(feeds))[:runs]
        return tuple(f"{', '.join(feed.words(first) for feed in feeds)}, seed {self.seed + first}" for first in firsts)

    def _run(self, feeds: Feeds, first: int) -> _BothRuns:
        """Run both models, and keep only the differences of their tensors."""
        given = draw(feeds, self.seed + first, first=first)
        seen = self._seen(feeds) if self.layers else []
        heads = self.heads.values()
        fed = [pair.left.input for pair in seen if pair.left.inputs]
        sources = {source.name for tensor in fed if (source := self.before.graph.producer(tensor)) is not None}
        left = self.before.run(given[0], {pair.left_end.name for pair in (*seen, *heads)} | sources)
        right = self.after.run(given[1], {pair.right_end.name for pair in (*seen, *heads)})
        outputs = [
            nearest(
                (expected := channels_first(left.outputs[index], one.canonical)),
                like(right.outputs[self.after.outputs.index(other)], other.canonical, expected),
                scale=self._scale(index),
            )
            for index, (one, other) in enumerate(self.ports)
        ]
        layers = {pair.left.name: found for pair in seen if (found := _apart(pair, left, right)) is not None}
        ends = {index: found for index, head in self.heads.items() if (found := _apart(head, left, right)) is not None}
        regions = list[Region]()
        if seen and self.given is None and self.before.sees_inside and self.after.sees_inside:
            places = [(i, self.after.outputs.index(other), one.name) for i, (one, other) in enumerate(self.ports)]
            known = sums(self.before, seen, left, given[0])
            judge = Regions((self.before.graph, self.after), seen, places, (left, right), known)
            regions = judge.judged(given[1])
            if not self.costly:
                wide = draw(feeds, self.seed + first, first=first, scale=SATURATING)
                regions += judge.saturated(self.before, wide, {region.name for region in regions if region.holds})
        return _BothRuns(outputs, ends, layers, regions, *self._floor(given, left, right))

    def _seen(self, feeds: Feeds) -> list[LayerPair]:
        """Return the pairs whose values are compared: all, except the largest ones of a network with too many."""
        pairs = [pair for pair in self.pairs if not pair.is_view]
        batch = max((feed.shape[0] for feed in feeds if feed.shape), default=1)
        left = MOST_BYTES
        kept = set[str]()
        for pair in sorted(pairs, key=lambda pair: pair.left_end.output.sample_bytes or 0):
            left -= batch * (pair.left_end.output.sample_bytes or 0)
            if left >= 0:
                kept.add(pair.left.name)
        return [pair for pair in pairs if pair.left.name in kept]

    def _floor(self, given: tuple[Fed, Fed], left: Values, right: Values) -> tuple[float, bool]:
        """Return the most that rounding changes an output or a head, and whether optimizations were tried."""
        heads = {head.left_end.name for head in self.heads.values()}
        found = [unit("float64")]
        for number in range(self._perturbations):
            moved = self.before.run(perturbed(given[0], self.seed + number), heads)
            found += self._moved(left, moved, [head.left_end for head in self.heads.values()])
        tried = False
        for side, fed, plain in ((self.before, given[0], left), (self.after, given[1], right)):
            layers = [head.left_end if side is self.before else head.right_end for head in self.heads.values()]
            optimized = side.optimized(fed, {layer.name for layer in layers})
            if optimized is not None:
                found += self._moved(plain, optimized, layers)
                tried = True
                break
        return max(each for each in found if isfinite(each)), tried

    def _moved(self, plain: Values, moved: Values, heads: list[Layer]) -> Iterator[float]:
        for index, (one, other) in enumerate(zip(plain.outputs, moved.outputs, strict=True)):
            yield error(one, other, scale=self._scale(index)).relative
            yield unit(one.dtype.name)
        once, again = plain.single(), moved.single()
        for layer in heads:
            if layer.name in once and layer.name in again:
                yield error(once[layer.name], again[layer.name]).relative

    def _scale(self, index: int) -> float | None:
        """Return what the error of an output is relative to: 1 for a sigmoid, whose logits are compared as well."""
        head = self.heads.get(index)
        last = None if head is None else self.before.graph.producer(self.before.graph.outputs[index])
        return 1.0 if isinstance(last, Activation) and last.function in ("sigmoid", "hard_sigmoid") else None

    def _renamed(self) -> Iterator[str]:
        inputs = pair_ports(self.before.inputs, self.after.inputs) or []
        for what, pairs in (("input", inputs), ("output", self.ports)):
            for left, right in pairs:
                if left.name != right.name:
                    yield f"{what} {left.name} is called {right.name} in the second model"
                if left.dtype != right.dtype:
                    yield f"{what} {left.name} is {left.dtype} in the first model and {right.dtype} in the second"

    def _layer_rows(self, runs: list[_BothRuns], regions: Mapping[str, Region]) -> dict[str, ValueRow]:
        """Return a row per pair: it differs in its own region, or because a layer before it does."""
        rows, tainted = dict[str, ValueRow](), set[str]()
        pairs = {pair.left.name: pair for pair in self.pairs}
        for layer in self.before.graph.layers:
            inherited = any(source.name in tainted for source in self.before.graph.predecessors(layer))
            pair, region = pairs.get(layer.name), regions.get(layer.name)
            found = [run.layers[layer.name] for run in runs if layer.name in run.layers]
            differs = region is not None and not region.holds
            if found and (region is None or inherited):
                differs = differs or max(found)[0].relative > (self.cap if self.given is None else self.given)
            if differs or inherited:
                tainted.add(layer.name)
            if pair is None:
                continue
            names = pair.left.name, pair.right.name, pair.left.kind
            if pair.is_view or not found:
                rows[layer.name] = _empty(*names, verdict="view" if pair.is_view else "unseen")
            else:
                rows[layer.name] = _row(names, found, note=pair.note, differs=differs, region=region)
        return rows

    def _all_rows(self, rows: dict[str, ValueRow]) -> Iterator[ValueRow]:
        looked_through = {name for pair in self.pairs for name in pair.looked_through}
        for layer in self.before.graph.layers:
            if layer.name in rows:
                yield rows[layer.name]
            elif layer.name not in looked_through:
                yield _empty(layer.name, "", layer.kind, verdict="unmatched")
        matched = {pair.right.name for pair in self.pairs if pair.left.name in rows}
        for layer in self.after.graph.layers:
            if layer.name not in matched and layer.name not in looked_through:
                yield _empty("", layer.name, layer.kind, verdict="unmatched")


def _heads(before: Graph, after: Graph, outputs: int) -> Iterator[tuple[int, LayerPair]]:
    """Yield the layers before the activation of each output in both models: a softmax hides differences of logits."""
    if len(before.outputs) != outputs or len(after.outputs) != outputs:
        return
    for index in range(outputs):
        ends = [_logits_layer(graph, graph.outputs[index]) for graph in (before, after)]
        if ends[0] is not None and ends[1] is not None:
            yield index, LayerPair(ends[0], ends[1], ends[0], ends[1])


def _logits_layer(graph: Graph, output: Tensor) -> Layer | None:
    """Return the layer before the activation that makes `output`; None if there is none."""
    last = graph.producer(output)
    while last is not None and last.is_view and last.inputs:
        last = graph.producer(last.input)
    return graph.producer(last.input) if isinstance(last, Activation) else None


def _apart(pair: LayerPair, left: Values, right: Values) -> Measured | None:
    values = left.layers.get(pair.left_end.name, ()), right.layers.get(pair.right_end.name, ())
    if not values[0] or not values[1]:
        return None
    expected = [form for value in values[0] for form in channels_first(value, pair.left_end.output.shape)]
    return nearest(
        expected, [form for value in values[1] for form in like(value, pair.right_end.output.shape, expected)]
    )


def _worst(regions: Iterable[Region]) -> dict[str, Region]:
    found = dict[str, Region]()
    for region in regions:
        if region.name not in found or region.share > found[region.name].share:
            found[region.name] = region
    return found


def _row(
    names: Iterable[str],
    found: list[Measured],
    *,
    note: str,
    differs: bool,
    region: Region | None = None,
) -> ValueRow:
    before, after, kind = names
    worst, shape = max(found, key=lambda entry: entry[0])
    return ValueRow(
        before=before,
        after=after,
        kind=kind,
        shape=shape,
        max_abs_error=worst.absolute if isfinite(worst.absolute) else None,
        max_rel_error=worst.relative if isfinite(worst.relative) else None,
        own_error=None if region is None or not isfinite(region.error.relative) else region.error.relative,
        bound_share=None if region is None or not isfinite(region.share) else region.share,
        verdict="differs" if differs else "equal",
        note="; ".join(part for part in (note, worst.note) if part),
    )


def _empty(before: str, after: str, kind: str, *, verdict: Verdict) -> ValueRow:
    return ValueRow(before=before, after=after, kind=kind, verdict=verdict)

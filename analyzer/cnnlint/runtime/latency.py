"""How long each layer takes under onnxruntime on this machine, after its optimizations."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.samples import Batch, run_macs
from cnnlint.errors import CnnlintError
from cnnlint.frontends.onnx import skeleton
from cnnlint.frontends.onnx.records import NodeRecord
from cnnlint.graph.graph import Graph
from cnnlint.graph.quantity import ratio
from cnnlint.results import Latency, LayerLatency
from cnnlint.runtime.fusion import Ran, follow
from cnnlint.runtime.program import Program
from cnnlint.runtime.session import Session
from cnnlint.worker import steps
from cnnlint.worker.limits import processors

WARM_UP = 2
"""Runs that are not counted: they allocate, and wake the threads."""

FEWEST, MOST = 7, 100
"""Runs that are counted."""

SECONDS = 2.0
"""Time that the counted runs may take, if that is enough for the fewest."""

EVENTS = 20_000
"""Events that the profiler may record; each takes a kilobyte."""

EVENT = "_kernel_time"
"""What the profiler appends to the name of a node."""

SLOW = 2.0
"""Times that a layer is slower for its arithmetic than the median from which on it is called slow; and times that it
takes what the cheapest node does, below which it is onnxruntime's own work for a node that is measured."""

WORTH = 0.005
"""Share of the time from which on that is worth telling."""


class LatencyRequest(Struct, frozen=True, kw_only=True):
    """A model to time.

    Attributes:
        program: The path of its ONNX file.
        path: What the user calls the model.
        inputs: Shapes by input name.
    """

    program: str
    path: str
    inputs: dict[str, tuple[int, ...]]


def measure(request: LatencyRequest) -> Latency:
    """Return how long the layers of a model take, in medians over several runs.

    Raises:
        ModelError: It cannot be read.
        RuntimeCheckError: onnxruntime does not run it.
        UnfinishedRunError: There is not enough memory.
    """
    from cnnlint.frontends import load
    from cnnlint.runtime.probe import Probe

    steps.begin("reading it")
    try:
        graph = load(request.program, inputs=request.inputs)
        program = named(Program.from_file(request.program))
    except CnnlintError as error:
        if error.path == request.program:
            error.path = request.path
        raise
    steps.sized(weight_bytes=graph.source.file_bytes or 0, macs=_sum(_macs(graph).values()))
    with tempfile.TemporaryDirectory(prefix="cnnlint-") as folder:
        session = Session(program, profiled_in=folder)
        optimized = skeleton.read(session.optimized_program).graph.nodes
        run = Probe(program, graph, inputs=request.inputs, batch=1, session=session).run()
        timed = _timed(session, run.feeds, len(optimized))
    if run.extents.shapes != request.inputs:
        graph = load(request.program, inputs=run.extents.shapes)
    nodes = program.record.graph.nodes
    ran = follow(nodes, optimized)
    seconds = [_by_node(events, [each.name for each in ran]) for events in timed.events]
    layers = _layers(_grouped(graph, nodes, ran), seconds, _macs(graph))
    cheapest = min((layer.milliseconds / layer.nodes for layer in layers), default=0.0)
    speeds = [layer.gmacs_per_second for layer in layers if layer.gmacs_per_second]
    usual = median(speeds) if speeds else None
    return Latency(
        version=session.version,
        processor=_processor(),
        threads=processors(),
        conditions=run.conditions,
        runs=len(timed.plain),
        milliseconds=median(timed.plain),
        fastest=min(timed.plain),
        slowest=max(timed.plain),
        profiled_milliseconds=median(timed.profiled),
        nodes_milliseconds=median(1e3 * sum(of_run) for of_run in seconds),
        median_gmacs_per_second=usual,
        layers=tuple(_compared(layer, usual, cheapest) for layer in layers),
    )


def for_layers_of(graph: Graph, latency: Latency) -> Latency:
    """Return `latency` with each layer of `graph` in its place.

    Where the model was converted to be run, norms were folded into the layer before them on the way.
    """
    place = {name: index for index, row in enumerate(latency.layers) for name in row.layers}
    absent = list[str]()
    more = dict[int, list[str]]()
    for layer in graph.layers:
        if layer.name in place:
            continue
        folds = layer.is_affine_per_channel and not layer.is_identity_at_inference and len(layer.inputs) == 1
        before = graph.producer(layer.input) if folds else None
        if before is not None and before.name in place:
            place[layer.name] = place[before.name]
            more.setdefault(place[layer.name], []).append(layer.name)
        else:
            absent.append(layer.name)
    order = {layer.name: index for index, layer in enumerate(graph.layers)}
    rows = tuple(
        replace(row, layers=tuple(sorted((*row.layers, *more[index]), key=lambda name: order.get(name, 0))))
        if index in more
        else row
        for index, row in enumerate(latency.layers)
    )
    return replace(latency, layers=rows, absent=tuple(absent))


class Timed(Struct, frozen=True):
    """What was measured.

    Attributes:
        plain: Milliseconds of runs without the profiler.
        profiled: Those of runs with it.
        events: What the profiler recorded of each of these.
    """

    plain: list[float]
    profiled: list[float]
    events: list[list[dict[str, Any]]]


def _timed(session: Session, feeds: Mapping[str, Any], nodes: int) -> Timed:
    """Run `session` with the profiler, then as often without; the warm-up is left out."""

    def clocked() -> float:
        begun = perf_counter()
        session.run(feeds)
        return perf_counter() - begun

    once = [clocked() for _ in range(WARM_UP)][-1]
    runs = int(min(max(SECONDS / 2 / max(once, 1e-9), FEWEST), MOST, max(FEWEST, EVENTS // max(nodes, 1))))
    for _ in range(runs):
        session.run(feeds)
    found = list[list[dict[str, Any]]]()
    profiled, current = list[float](), list[dict[str, Any]]()
    for event in session.end_profiling():
        if event["name"] == "model_run":
            found.append(current)
            profiled.append(event["dur"] / 1e3)
            current = []
        elif event["cat"] == "Node":
            current.append(event)
    return Timed([1e3 * clocked() for _ in range(runs)], profiled[-runs:], found[-runs:])


def _by_node(events: list[dict[str, Any]], names: Sequence[str]) -> list[float]:
    """Return the seconds of each node in one run; nodes of one name take the events of that name in turn."""
    times = dict[str, list[float]]()
    for event in events:
        times.setdefault(event["name"].removesuffix(EVENT), []).append(event["dur"] / 1e6)
    of_name = {name: iter(found) for name, found in times.items()}
    return [next(of_name.get(name, iter(())), 0.0) for name in names]


class Group(Struct, frozen=True):
    """Nodes that compute one layer, and those fused into it.

    Attributes:
        owner: The layer; None for nodes that onnxruntime added.
        layers: All that they compute, in the order of the network.
        ran_as: What runs.
        nodes: Indexes of what runs.
    """

    owner: str | None
    layers: tuple[str, ...]
    ran_as: tuple[str, ...]
    nodes: tuple[int, ...]


def _grouped(graph: Graph, nodes: Sequence[NodeRecord], ran: Sequence[Ran]) -> list[Group]:
    """Return what ran, by the layer with most arithmetic that each node computes; what was added, by operator."""
    of_tensor = dict[str, list[int]]()
    for index, layer in enumerate(graph.layers):
        for part in layer.origin:
            of_tensor.setdefault(part.output, []).append(index)
    macs = [run_macs(layer, Batch()) or 0 if layer.multiplies else 0 for layer in graph.layers]
    members = dict[int | str, list[tuple[int, set[int]]]]()
    for index, each in enumerate(ran):
        made = [name for at in each.covers for name in nodes[at].outputs]
        layers = {layer for name in made for layer in of_tensor.get(name, ())}
        owner = min(layers, key=lambda layer: (-macs[layer], layer)) if layers else each.op
        members.setdefault(owner, []).append((index, layers))
    return [
        Group(
            graph.layers[owner].name if isinstance(owner, int) else None,
            tuple(graph.layers[layer].name for layer in sorted({layer for _, layers in found for layer in layers})),
            tuple(dict.fromkeys(ran[index].op for index, _ in found)),
            tuple(index for index, _ in found),
        )
        for owner, found in sorted(members.items(), key=lambda entry: _place(entry[0]))
    ]


def _place(owner: int | str) -> tuple[bool, int, str]:
    return (False, owner, "") if isinstance(owner, int) else (True, 0, owner)


def _layers(
    groups: Sequence[Group], seconds: Sequence[Sequence[float]], macs: Mapping[str, int | None]
) -> list[LayerLatency]:
    taken = [median(sum(of_run[index] for index in group.nodes) for of_run in seconds) for group in groups]
    total = sum(taken)
    rows = list[LayerLatency]()
    for group, duration in zip(groups, taken, strict=True):
        work = _sum(macs[name] for name in group.layers) if group.owner else 0
        rows.append(
            LayerLatency(
                layer=group.owner,
                layers=group.layers,
                ran_as=group.ran_as,
                nodes=len(group.nodes),
                milliseconds=1e3 * duration,
                share=duration / total if total else 0.0,
                macs=work,
                gmacs_per_second=ratio(work, 1e9 * duration) if work and duration else None,
            )
        )
    return rows


def _compared(layer: LayerLatency, usual: float | None, cheapest: float) -> LayerLatency:
    if usual is None or not layer.gmacs_per_second:
        return layer
    slowdown = usual / layer.gmacs_per_second
    matters = layer.share >= WORTH and layer.milliseconds >= SLOW * cheapest * layer.nodes
    return replace(layer, slowdown=slowdown, slow=slowdown >= SLOW and matters)


def _macs(graph: Graph) -> dict[str, int | None]:
    """Return the multiply-accumulates of each layer in a run, by name."""
    return {layer.name: 0 if layer.multiplies is False else run_macs(layer, Batch()) for layer in graph.layers}


def _sum(numbers: Iterable[int | None]) -> int | None:
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def named(program: Program) -> Program:
    """Return `program` with a name of its own for each node, which the profiler tells nodes apart by."""
    proto = program.proto()
    taken = {node.name for node in proto.graph.node}
    seen = {""}
    for index, node in enumerate(proto.graph.node):
        if node.name in seen:
            node.name = next(name for at in count() if (name := f"{node.op_type}_{index}_{at}") not in taken)
            taken.add(node.name)
        seen.add(node.name)
    return Program(proto.SerializeToString(), program.folder, program.path)


def _processor() -> str:
    """Return what the machine calls its processor."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

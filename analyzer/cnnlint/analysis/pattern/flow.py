"""The graph that a pattern is read from: numbered steps, and who feeds whom."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from cnnlint.analysis.pattern.elements import Step
from cnnlint.analysis.pattern.naming import WEIGHTED, left_out, term
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Concat

START = -1
"""What stands before the inputs."""


class Flow(Struct, frozen=True):
    """Steps in topological order without the layers that a pattern leaves out.

    Attributes:
        steps: Inputs first.
        layers: The layer of each step; None for an input.
        before: For each step the numbers of the steps that feed it, each once, in the order of its inputs.
        ends: The steps that give the network's outputs.
    """

    steps: list[Step]
    layers: list[Layer | None]
    before: list[list[int]]
    ends: list[int]


def flow(graph: Graph) -> Flow:
    """Return the steps of `graph` that lie on a way from an input to an output."""
    omitted = left_out(graph)
    steps, layers, before = list[Step](), list[Layer | None](), list[list[int]]()
    maker = dict[str, int]()
    for tensor in graph.inputs:
        maker[tensor.name] = len(steps)
        steps.append(Step("INPUT", layer=tensor.name))
        layers.append(None)
        before.append([START])
    for layer in graph.layers:
        feeding = _distinct(maker[tensor.name] for tensor in layer.inputs if tensor.name in maker)
        if not feeding:
            continue  # made from constants alone
        if layer.name in omitted:
            number = feeding[0]
        else:
            number = len(steps)
            steps.append(Step(term(layer), weighted=isinstance(layer, WEIGHTED), layer=layer.name))
            layers.append(layer)
            before.append(feeding)
        for tensor in layer.outputs:
            maker[tensor.name] = number
    ends = _distinct(maker[tensor.name] for tensor in graph.outputs if tensor.name in maker)
    _chain_concats(layers, before)
    return _trimmed(Flow(steps, layers, before, ends))


def _distinct(numbers: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def _chain_concats(layers: list[Layer | None], before: list[list[int]]) -> None:
    """Let a concat of (a, b, c) take that of (a, b) and c, where there is one.

    PyTorch's DenseNet joins all earlier maps anew for each layer; Keras's joins the last join and one map.
    """
    made = dict[tuple[int, ...], int]()
    for number, layer in enumerate(layers):
        if isinstance(layer, Concat) and len(before[number]) > 1:
            whole = tuple(before[number])
            shorter = made.get(whole[:-1])
            made.setdefault(whole, number)
            if shorter is not None:
                before[number] = [shorter, whole[-1]]


def _trimmed(found: Flow) -> Flow:
    wanted = bytearray(len(found.steps))
    for number in found.ends:
        wanted[number] = 1
    for number in range(len(found.steps) - 1, -1, -1):
        if wanted[number]:
            for feeding in found.before[number]:
                if feeding != START:
                    wanted[feeding] = 1
    if all(wanted):
        return found
    kept = [number for number in range(len(found.steps)) if wanted[number]]
    renumbered = {old: new for new, old in enumerate(kept)} | {START: START}
    return Flow(
        [found.steps[number] for number in kept],
        [found.layers[number] for number in kept],
        [[renumbered[feeding] for feeding in found.before[number]] for number in kept],
        [renumbered[number] for number in found.ends],
    )

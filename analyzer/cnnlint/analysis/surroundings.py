"""The layers that findings are about, with those just before and after them, as reports draw them."""

from __future__ import annotations

from collections.abc import Iterable

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.results import Finding, Site


def sites(graph: Graph, findings: Iterable[Finding]) -> dict[str, Site]:
    """Return the layers that `findings` name, two before and one after each, by name."""
    layers = {layer.name: layer for layer in graph.layers}
    shown = dict[str, Site]()
    for name in {name: None for finding in findings for name in finding.layers}:
        if (layer := layers.get(name)) is None:
            continue
        for near in (*_leading_to(graph, layer, 2), layer, *graph.successors(layer)[:1]):
            if near.name not in shown:
                shown[near.name] = _site(graph, near)
    return shown


def _leading_to(graph: Graph, layer: Layer, reach: int) -> list[Layer]:
    path = list[Layer]()
    while len(path) < reach and (before := graph.predecessors(layer)):
        layer = before[0]
        path.append(layer)
    return path[::-1]


def _site(graph: Graph, layer: Layer) -> Site:
    ops = list({part.op: None for part in layer.origin})
    return Site(
        position=graph.position[layer.name],
        kind=layer.kind,
        op=" + ".join(ops[:3]) + (" + …" if len(ops) > 3 else ""),
        label=layer.label,
        output_shape=layer.outputs[0].sample_extents if layer.outputs else None,
        parameters=layer.parameters,
        before=tuple(before.name for before in graph.predecessors(layer)),
        after=tuple(after.name for after in graph.successors(layer)),
    )

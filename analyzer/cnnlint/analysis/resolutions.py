"""The stages of a network: layers that work at one size of the map, and the head behind them."""

from __future__ import annotations

from math import prod

from msgspec import Struct

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import AvgPool, Conv, ConvTranspose, Crop, MaxPool, Pad, Reshape, Resize, Transpose
from cnnlint.graph.tensor import Shape, Tensor

WINDOWED = (Conv, ConvTranspose, MaxPool, AvgPool, Resize)
"""Layers whose outputs of one spatial axis are maps, and not tokens of features."""

KEEPING = (Pad, Crop, Reshape, Transpose)
"""Layers behind which a map stands where it stood, whatever extents they write for it."""

MOST = 24
"""Stages that are told apart by the way up and down; a network with more is told by sizes alone."""

MARGIN = 0.25
"""Share of an extent by which maps of one stage may differ."""

HEAD, VECTORS = "head", "vectors"


class Stage(Struct, frozen=True):
    """Layers at one size of the map.

    Attributes:
        name: "56×56"; "56×56 up" on the way to a larger map, where both are there; "head" for vectors behind all maps,
            "vectors" for others.
        layers: Their names, in the order of the network.
    """

    name: str
    layers: tuple[str, ...]


class _Place(Struct, frozen=True):
    """Where a map stands: its extents, and how often the way there has turned, from down to up or back."""

    extents: Shape
    turns: int


def stages(graph: Graph) -> tuple[Stage, ...]:
    """Return the stages in the order of their first layers.

    A map about as large as one before it on the way belongs to its stage unless the maps have grown again in between,
    as in the decoder of a U-Net. Vectors that go back into a map, as those of a squeeze-and-excitation do, belong to
    that map's stage; others are vectors, or the head where no map follows.
    """
    places = _places(graph)
    turns = {place for place in places.values() if place is not None}
    apart = len(turns) <= MOST
    ways = dict[Shape, set[int]]()
    for place in turns:
        ways.setdefault(place.extents, set()).add(place.turns)
    last = max((index for index, layer in enumerate(graph.layers) if places[layer.name] is not None), default=-1)
    found = dict[str, list[str]]()
    for index, layer in enumerate(graph.layers):
        place = places[layer.name]
        if place is None:
            name = HEAD if index > last else VECTORS
        else:
            name = "×".join("?" if extent is None else str(extent) for extent in place.extents)
            if apart and len(ways[place.extents]) > 1:
                name += _way(place.turns)
        found.setdefault(name, []).append(layer.name)
    return tuple(Stage(name, tuple(layers)) for name, layers in found.items())


def _way(turns: int) -> str:
    if not turns:
        return ""
    again = f" {turns // 2 + 1}" if turns > 1 else ""
    return f" {'up' if turns % 2 else 'down'}{again}"


def _places(graph: Graph) -> dict[str, _Place | None]:
    """Return where the map of each layer stands, by name; None for vectors that lead back to no map."""
    of_tensor = {tensor.name: _Place(tensor.spatial or (), 0) for tensor in graph.inputs if _has_positions(tensor)}
    around = dict(of_tensor)  # the map that a tensor is, or was made of
    own = dict[str, _Place | None]()
    for layer in graph.layers:
        maps = [of_tensor[tensor.name] for tensor in layer.inputs if tensor.name in of_tensor]
        made = next((tensor for tensor in layer.outputs if _is_map(layer, tensor, bool(maps))), None)
        if made is None:
            place = None
        else:
            place = maps[0] if isinstance(layer, KEEPING) and maps else _place(made.spatial or (), maps)
        own[layer.name] = place
        before = place or next((around[tensor.name] for tensor in layer.inputs if tensor.name in around), None)
        for tensor in layer.outputs:
            if place is not None:
                of_tensor[tensor.name] = place
            if before is not None:
                around[tensor.name] = before
    gates = set[str]()
    for layer in reversed(graph.layers):
        if own[layer.name] is None and any(
            _joins(layer, after, own, of_tensor, gates) for after in _after(graph, layer)
        ):
            gates.add(layer.name)
            if layer.outputs and layer.outputs[0].name in around:
                own[layer.name] = around[layer.outputs[0].name]
    return own


def _after(graph: Graph, layer: Layer) -> list[Layer]:
    return [after for tensor in layer.outputs for after in graph.consumers(tensor)]


def _joins(layer: Layer, after: Layer, own: dict[str, _Place | None], maps: dict[str, _Place], gates: set[str]) -> bool:
    """Return whether the vector that `layer` makes is joined with a map by `after`, or later on."""
    if after.name in gates:
        return True
    mine = {tensor.name for tensor in layer.outputs}
    return own[after.name] is not None and any(
        tensor.name in maps for tensor in after.inputs if tensor.name not in mine
    )


def _has_positions(tensor: Tensor) -> bool:
    return any(extent != 1 for extent in tensor.spatial or ())


def _is_map(layer: Layer, tensor: Tensor, reads_map: bool) -> bool:
    if not _has_positions(tensor):
        return False
    one_axis = len(tensor.spatial or ()) == 1
    return not one_axis or isinstance(layer, WINDOWED) or (reads_map and layer.multiplies is False)


def _place(extents: Shape, before: list[_Place]) -> _Place:
    """Return where a map stands that is made of others: with those that are about as large, or on a way further."""
    alike = [place for place in before if _is_about(extents, place.extents)]
    if alike:
        return max(alike, key=lambda place: place.turns)
    turns = 0
    for place in before:
        grows = _positions(extents) > _positions(place.extents)
        turns = max(turns, place.turns + (grows != bool(place.turns % 2)))
    return _Place(extents, turns)


def _positions(extents: Shape) -> int:
    return prod(extent for extent in extents if isinstance(extent, int))


def _is_about(extents: Shape, others: Shape) -> bool:
    """Return whether two maps differ by no more than padding and windows without it take; open extents are alike."""
    return len(extents) == len(others) and all(
        not isinstance(one, int) or not isinstance(other, int) or abs(one - other) <= MARGIN * other
        for one, other in zip(extents, others, strict=True)
    )

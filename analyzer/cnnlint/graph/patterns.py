"""Patterns of layers: values that compose with `>>` and are matched along the graph.

    flatten, dense = Op(Flatten), Op(Dense)
    pattern = flatten >> Maybe(Dropout) >> dense

A match starts at each layer that fits the first element and follows sole consumers. Rules search finished graphs;
passes of the frontends search graphs under construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer

L = TypeVar("L", bound=Layer)
M = TypeVar("M", bound=Layer)


class Layers(Protocol):
    """A graph, finished or not, that patterns can be searched in."""

    def of_kind(self, *kinds: type[L]) -> Iterator[L]:
        """Yield the layers of the given kinds in topological order."""
        ...

    def sole_successor(self, layer: Layer) -> Layer | None:
        """Return the only layer that reads the output of `layer`."""
        ...


class Op(Generic[L]):
    """Exactly one layer of the given kinds.

    Args:
        kinds: Classes of layers that fit, including derived ones.
        where: An additional condition.
    """

    least, most = 1, 1

    def __init__(self, *kinds: type[L], where: Callable[[L], bool] | None = None) -> None:
        self.kinds = kinds
        self.where = where

    def fits(self, layer: Layer) -> bool:
        """Return whether `layer` matches."""
        return isinstance(layer, self.kinds) and (self.where is None or self.where(layer))

    def __rshift__(self, following: Op[M] | Chain) -> Chain:
        return Chain(self) >> following


class Maybe(Op[L]):
    """One layer of the given kinds, or none."""

    least, most = 0, 1


class Many(Op[L]):
    """A run of layers of the given kinds, as long as possible, at least `least`."""

    most = 1_000_000

    def __init__(self, *kinds: type[L], where: Callable[[L], bool] | None = None, least: int = 0) -> None:
        super().__init__(*kinds, where=where)
        self.least = least


class Chain:
    """Elements in a row."""

    def __init__(self, *elements: Op[Layer] | Op[L]) -> None:
        self.elements: tuple[Op[Layer], ...] = elements  # pyright: ignore[reportAttributeAccessIssue] - read only

    def __rshift__(self, following: Op[M] | Chain) -> Chain:
        return Chain(*self.elements, *(following.elements if isinstance(following, Chain) else (following,)))

    def find(self, graph: Layers) -> Iterator[Match]:
        """Yield every match, in topological order of its first layer; repeated elements are greedy."""
        later = (element.kinds for element in self.elements[1:] if element.least)
        if any(next(graph.of_kind(*kinds), None) is None for kinds in later):
            return  # most patterns end in layers that a network has none of
        for layer in graph.of_kind(*self.elements[0].kinds):
            found = self._match(graph, layer)
            if found is not None:
                yield Match(graph, found)

    def _match(self, graph: Layers, start: Layer) -> dict[int, list[Layer]] | None:
        found = dict[int, list[Layer]]()
        layer: Layer | None = start
        for element in self.elements:
            taken = found.setdefault(id(element), [])
            while layer is not None and len(taken) < element.most and element.fits(layer):
                taken.append(layer)
                layer = graph.sole_successor(layer)
            if len(taken) < element.least:
                return None
        return found


class Match:
    """The layers that a pattern matched, indexed by its elements."""

    def __init__(self, graph: Layers, found: dict[int, list[Layer]]) -> None:
        self._graph = graph
        self._found = found

    @property
    def graph(self) -> Graph:
        """The graph that the match was found in.

        Raises:
            LookupError: The graph is not finished yet.
        """
        if not isinstance(self._graph, Graph):
            raise LookupError("the graph that the pattern was found in is not finished")
        return self._graph

    def __getitem__(self, element: Op[L]) -> L:
        return self._found[id(element)][0]  # pyright: ignore[reportReturnType] - the element admits no other kind

    def get(self, element: Op[L]) -> L | None:
        """Return the layer at an optional element, if there is one."""
        layers = self.all(element)
        return layers[0] if layers else None

    def all(self, element: Op[L]) -> list[L]:
        """Return the layers at a repeated element."""
        return self._found[id(element)]  # pyright: ignore[reportReturnType] - the element admits no other kind

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers of the match, in order."""
        return tuple(layer for layers in self._found.values() for layer in layers)

"""Patterns of layers: values that compose with `>>` and are matched along the graph.

    flatten, dense = Op(Flatten), Op(Dense)
    pattern = flatten >> Maybe(Dropout) >> dense

A match starts at each layer that fits the first element and follows the layers' only consumers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer

L = TypeVar("L", bound=Layer)
M = TypeVar("M", bound=Layer)


class Op(Generic[L]):
    """Exactly one layer of the given kinds.

    Args:
        kinds: Classes of layer that fit, derived ones too.
        where: What else must hold for the layer.
        forks: Whether other layers than the next of the pattern may see its output as well.
    """

    least, most = 1, 1

    def __init__(self, *kinds: type[L], where: Callable[[L], bool] | None = None, forks: bool = False) -> None:
        self.kinds = kinds
        self.where = where
        self.forks = forks

    def fits(self, layer: Layer) -> bool:
        """Return whether `layer` can stand here."""
        return isinstance(layer, self.kinds) and (self.where is None or self.where(layer))

    def __rshift__(self, following: Op[M] | Chain) -> Chain:
        return Chain(self) >> following

    def __or__(self, other: Op[M]) -> Op[L | M]:
        return Op[L | M](*self.kinds, *other.kinds, where=lambda layer: self.fits(layer) or other.fits(layer))


class Maybe(Op[L]):
    """One layer of the given kinds, or none."""

    least, most = 0, 1


class Many(Op[L]):
    """As many layers of the given kinds as follow one another, at least `least`."""

    most = 1_000_000

    def __init__(
        self, *kinds: type[L], where: Callable[[L], bool] | None = None, forks: bool = False, least: int = 0
    ) -> None:
        super().__init__(*kinds, where=where, forks=forks)
        self.least = least


class Chain:
    """Elements one behind the other."""

    def __init__(self, *elements: Op[Layer] | Op[L]) -> None:
        self.elements: tuple[Op[Layer], ...] = elements  # pyright: ignore[reportAttributeAccessIssue] - read only

    def __rshift__(self, following: Op[M] | Chain) -> Chain:
        return Chain(*self.elements, *(following.elements if isinstance(following, Chain) else (following,)))

    def find(self, graph: Graph) -> Iterator[Match]:
        """Yield every match, in topological order of its first layer; repeated elements take all they can."""
        for layer in graph.of_kind(*self.elements[0].kinds):
            found = self._match(graph, layer)
            if found is not None:
                yield Match(graph, found)

    def _match(self, graph: Graph, start: Layer) -> dict[int, list[Layer]] | None:
        found = dict[int, list[Layer]]()
        candidates: tuple[Layer, ...] = (start,)
        for element in self.elements:
            taken = found.setdefault(id(element), [])
            while len(taken) < element.most:
                layer = next((layer for layer in candidates if element.fits(layer)), None)
                if layer is None:
                    break
                taken.append(layer)
                candidates = _following(graph, layer, forks=element.forks)
            if len(taken) < element.least:
                return None
        return found


def _following(graph: Graph, layer: Layer, *, forks: bool) -> tuple[Layer, ...]:
    if forks:
        return graph.successors(layer)
    successor = graph.sole_successor(layer)
    return () if successor is None else (successor,)


class Match:
    """The layers that a pattern's elements stand for; indexed by the elements themselves."""

    def __init__(self, graph: Graph, found: dict[int, list[Layer]]) -> None:
        self.graph = graph
        self._found = found

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
        """All layers of the match in the pattern's order."""
        return tuple(layer for layers in self._found.values() for layer in layers)

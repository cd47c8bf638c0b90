"""Which order the axes of a tensor have where its maker does not say: read off the first reader that cares."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from msgspec import Struct

from cnnlint.frontends.raising.view import Permutation
from cnnlint.graph.tensor import Shape

K = TypeVar("K", bound=Hashable)

FAR = 64
"""Tensors that the search looks at before it gives up."""


class Verdict(Struct, frozen=True):
    """What a reader that cares says: how a tensor becomes batch, channels, then space; None if it is that already."""

    permutation: Permutation | None


def find_layout(
    start: K, shape: Shape, readers: Callable[[K, Shape], Iterable[Verdict | tuple[K, Shape]]]
) -> Verdict | None:
    """Return what the nearest reader of a tensor says of its layout; None where nobody within reach cares.

    Args:
        start: The tensor, as the source names it.
        shape: In the source's order of axes.
        readers: What each reader of a tensor of a shape says: a verdict, or that the layout is handed on to another
            tensor of a shape. One that neither cares nor hands it on says nothing.
    """
    seen, ahead = {start}, deque([(start, shape)])
    while ahead and len(seen) < FAR:
        for said in readers(*ahead.popleft()):
            if isinstance(said, Verdict):
                return said
            if said[0] not in seen:
                seen.add(said[0])
                ahead.append(said)
    return None

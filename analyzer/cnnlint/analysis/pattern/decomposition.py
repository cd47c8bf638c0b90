"""A graph taken apart into what stands in series and what stands side by side.

In a part of the graph with one entry and one exit, the steps that every way passes stand in series; what lies
between two of them falls into pieces that do not touch: the branches, each such a part again. A piece that has
neither is a tangle. Every level of nesting is one sweep over its steps.
"""

from __future__ import annotations

from collections import Counter

from cnnlint.analysis.pattern.elements import Element, Sequence, Tangle
from cnnlint.analysis.pattern.flow import START, Flow, flow
from cnnlint.analysis.pattern.joins import OUTPUTS, join
from cnnlint.graph.graph import Graph

DEEPEST = 20
"""Joins inside one another; a network that has more is shown as a tangle below that."""


def decompose(graph: Graph) -> Sequence:
    """Return the pattern of `graph` with nothing folded."""
    found = flow(graph)
    if not found.ends:
        return ()
    return _part(found, list(range(len(found.steps))), entry=START, exits=found.ends, joined_by=None, depth=0)


def _part(
    found: Flow, steps: list[int], *, entry: int, exits: list[int], joined_by: int | None, depth: int
) -> Sequence:
    """Return `steps`, which lie between `entry` and the step `joined_by` (None: the outputs) that `exits` feed."""
    if depth > DEEPEST:
        return (_tangle(found, steps),)
    result = list[Element]()
    previous, between = entry, list[int]()
    passed = _passed_by_all(found, steps, exits)
    for step in steps:
        if step not in passed:
            between.append(step)
            continue
        if between:
            result += _side_by_side(
                found, between, entry=previous, feeding=found.before[step], joined_by=step, depth=depth, joins=True
            )
        else:
            result.append(found.steps[step])
        previous, between = step, []
    if between:
        result += _side_by_side(
            found, between, entry=previous, feeding=exits, joined_by=joined_by, depth=depth, joins=False
        )
    return tuple(result)


def _passed_by_all(found: Flow, steps: list[int], exits: list[int]) -> set[int]:
    passed = set[int]()
    earliest = min(exits)  # where an edge starts that ends further on
    for step in reversed(steps):
        if earliest >= step:
            passed.add(step)
        earliest = min(earliest, *found.before[step])
    return passed


def _side_by_side(
    found: Flow,
    steps: list[int],
    *,
    entry: int,
    feeding: list[int],
    joined_by: int | None,
    depth: int,
    joins: bool,
) -> Sequence:
    """Return the branches between `entry` and the step `joined_by`, which `feeding` feed.

    `joins` says whether the join is this part's own, or that of a part further out.
    """
    pieces = _pieces(found, steps)
    members, exits = dict[int, list[int]](), dict[int, list[int]]()
    for step in steps:
        members.setdefault(pieces[step], []).append(step)
    for step in feeding:
        exits.setdefault(pieces.get(step, entry), []).append(step)
    if len(exits) == 1:
        tangle = _tangle(found, steps)
        return (tangle, found.steps[joined_by]) if joins and joined_by is not None else (tangle,)
    branches = [
        _part(found, members[piece], entry=entry, exits=ends, joined_by=joined_by, depth=depth + 1)
        if piece in members
        else ()
        for piece, ends in exits.items()
    ]
    if joined_by is None or (layer := found.layers[joined_by]) is None:
        return (OUTPUTS(branches),)
    return join(layer, found.steps[joined_by], branches, joins=joins)


def _pieces(found: Flow, steps: list[int]) -> dict[int, int]:
    """Return for each of `steps` the piece that it belongs to, named by one of its steps."""
    parent = {step: step for step in steps}

    def root(step: int) -> int:
        while parent[step] != step:
            parent[step] = parent[parent[step]]
            step = parent[step]
        return step

    for step in steps:
        for feeding in found.before[step]:
            if feeding in parent:
                parent[root(step)] = root(feeding)
    return {step: root(step) for step in steps}


def _tangle(found: Flow, steps: list[int]) -> Tangle:
    return Tangle(tuple(Counter(found.steps[step].name for step in steps).items()))

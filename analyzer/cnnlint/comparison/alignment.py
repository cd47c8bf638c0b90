"""The longest common course of two sequences, in time linear in their lengths."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

EDITS = 256
"""Differences that are weighed against one another; beyond as many, the path that has come furthest is taken."""

Pair = tuple[int, int]


def align(before: Sequence[Hashable], after: Sequence[Hashable]) -> Iterator[Pair]:
    """Yield index pairs of equal items, rising on both sides, as many as there can be within EDITS differences.

    Myers, An O(ND) Difference Algorithm and Its Variations, 1986; restarted where a stretch has more than EDITS
    differences, so that the whole takes O(N × EDITS).
    """
    numbers = dict[Hashable, int]()
    left = [numbers.setdefault(item, len(numbers)) for item in before]
    right = [numbers.setdefault(item, len(numbers)) for item in after]
    start, ends = 0, (len(left), len(right))
    while start < min(ends) and left[start] == right[start]:
        yield start, start
        start += 1
    tail = 0
    while tail < min(ends) - start and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    here, there = (start, start), (ends[0] - tail, ends[1] - tail)
    while here[0] < there[0] and here[1] < there[1]:
        pairs, here = _stretch(left, right, here, there)
        yield from pairs
    for index in range(tail, 0, -1):
        yield ends[0] - index, ends[1] - index


def _stretch(left: list[int], right: list[int], here: Pair, there: Pair) -> tuple[list[Pair], Pair]:
    """Return the equal pairs of the best path from `here` to `there`, or to where EDITS differences lead."""
    width, height = there[0] - here[0], there[1] - here[1]
    reached = {1: 0}  # diagonal -> how far along `left`; a diagonal is the lead of `left` over `right`
    trace = list[dict[int, int]]()
    for edits in range(EDITS + 1):
        trace.append(dict(reached))
        furthest = -1, 0, 0
        for diagonal in range(-edits, edits + 1, 2):
            origin = _origin(reached, diagonal, edits)
            x = reached[origin] + (origin < diagonal)
            y = x - diagonal
            while x < width and y < height and left[here[0] + x] == right[here[1] + y]:
                x, y = x + 1, y + 1
            reached[diagonal] = x
            if x <= width and y <= height:
                furthest = max(furthest, (x + y, x, diagonal))
        total, x, diagonal = furthest
        if total == width + height or (edits >= EDITS - 1 and total > 0):
            return _backtrack(trace, diagonal, x, here), (here[0] + x, here[1] + x - diagonal)
    return [], there


def _origin(reached: dict[int, int], diagonal: int, edits: int) -> int:
    """Return the diagonal from which one more difference leads furthest along `diagonal`."""
    if diagonal == -edits or (diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1]):
        return diagonal + 1
    return diagonal - 1


def _backtrack(trace: list[dict[int, int]], diagonal: int, x: int, here: Pair) -> list[Pair]:
    pairs = list[Pair]()
    for edits in range(len(trace) - 1, -1, -1):
        origin = _origin(trace[edits], diagonal, edits)
        start = trace[edits][origin] + (origin < diagonal)
        pairs += [(here[0] + index, here[1] + index - diagonal) for index in range(x - 1, start - 1, -1)]
        diagonal, x = origin, trace[edits][origin]
    return pairs[::-1]

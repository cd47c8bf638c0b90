"""The stretches of layers of a network that repeat: several times in a row, or in several places."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import compress, groupby, islice
from operator import eq, ne
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from cnnlint.engine.drawing import Node

SHORTEST = 3
"""Layers of a stretch that is folded where it repeats in a row."""

LONGEST = 256
"""Layers of a stretch that is looked for; the search takes so many comparisons for each layer."""

READABLE = 100
"""What a drawing may show at once; in a larger one, stretches that stand in several places are folded too."""

SEED = 12
"""Layers of such a stretch at least."""

CANDIDATES, PLACES, ROUNDS = 32, 64, 24
"""What the search for them looks at: the longest ones, the places of each, and how often it begins anew."""


class Stretch(Struct, frozen=True):
    """A stretch of nodes that stands several times in a row, or in several places of the network.

    Attributes:
        start: The first node.
        period: Nodes of one stretch.
        times: How often it stands there, one after the other.
        places: In how many places of the network it stands.
    """

    start: int
    period: int
    times: int
    places: int = 1

    @property
    def end(self) -> int:
        """The node after the last."""
        return self.start + self.period * self.times


def repeats(nodes: Sequence[Node], begins: Sequence[bool]) -> tuple[Stretch, ...]:
    """Return the stretches of `nodes` that repeat, in the order of the nodes; they do not overlap.

    Two stretches are equal if they have the same kinds of layers with the same labels, connected in the same way, and
    what comes from outside enters at the same places; sizes may differ, so that the layers of a dense block, each wider
    than the last, are seen to repeat. Stretches in a row come first. Of all of them the one that saves most nodes is
    taken, then what lies on either side of it is searched; many short stretches count for more than a long one that
    stands twice, which may be a stage of short ones. A stretch that repeats has several phases: the one that fewest
    connections lead into is taken, which is between two blocks and not within one. Where more is left than can be read,
    stretches that stand in several places are looked for beside them, again the one that saves most first; they take the
    place of small ones in a row.

    Args:
        nodes: In topological order.
        begins: Whether a block may begin with a node, which decides between phases that are equal otherwise.
    """
    compared = _Compared(nodes)
    crossing = _crossing(nodes)
    found = list[Stretch]()
    open_ranges = [(0, len(nodes))]
    while open_ranges:
        low, high = open_ranges.pop()
        best = _best(compared, low, high, lambda at: (crossing[at], not begins[at], at))
        if best is not None:
            found.append(best)
            open_ranges += [(low, best.start), (best.end, high)]
    for _ in range(ROUNDS):
        if len(nodes) - sum(repeat.end - repeat.start - 1 for repeat in found) <= READABLE:
            break
        solid = [repeat for repeat in found if repeat.end - repeat.start > 2 * SEED]
        scattered = _scattered(compared, list(_gaps(solid, len(nodes))))
        if not scattered:
            break
        inside = {at for repeat in scattered for at in range(repeat.start, repeat.end)}
        found = [repeat for repeat in found if repeat.start not in inside and repeat.end - 1 not in inside] + scattered
    return tuple(sorted(found, key=lambda repeat: repeat.start))


class _Compared:
    """The nodes by numbers that are equal where nodes are.

    Attributes:
        signs: Of the kind, the label, and how far back each feeding node lies.
        kinds: Of the kind, the label, and how many nodes feed it.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.after = [node.after for node in nodes]
        self.signs = _numbered(
            (node.row.kind, node.label, tuple(index - before for before in node.after))
            for index, node in enumerate(nodes)
        )
        self.kinds = _numbered((node.row.kind, node.label, len(node.after)) for node in nodes)

    def equal(self, low: int, high: int, apart: int) -> Iterator[tuple[int, int]]:
        """Yield the start and the length of each stretch that equals the one `apart` nodes later.

        The stretches lie between `low` and `high`, where kinds are the same. A node that is fed from another distance
        belongs to a stretch only if both nodes that feed it, there and later, lie ahead of their stretch.
        """
        start = low
        differing = map(ne, islice(self.signs, low, high), islice(self.signs, low + apart, high + apart))
        for at in compress(range(low, high), differing):
            least = 1 + max(
                max(here, later - apart)
                for here, later in zip(self.after[at], self.after[at + apart], strict=True)
                if here + apart != later
            )
            if least > start:
                if at > start:
                    yield start, at - start
                start = least
        if high > start:
            yield start, high - start

    def is_equal(self, one: int, other: int, length: int) -> bool:
        """Return whether two stretches of a length are equal."""
        low, high = min(one, other), max(one, other)
        if self.kinds[low : low + length] != self.kinds[high : high + length]:
            return False
        return next(self.equal(low, low + length, high - low), None) == (low, length)


def _numbered(values: Iterable[Hashable]) -> list[int]:
    numbers = dict[Hashable, int]()
    return [numbers.setdefault(value, len(numbers)) for value in values]


def _worth(period: int, times: int) -> float:
    return period * (times - 1) ** 2 / times


# ---------------------------------------------------------------- in a row


def _crossing(nodes: Sequence[Node]) -> list[int]:
    """Return how many nodes feed, from before each node, that node or a later one."""
    last = list(range(len(nodes)))
    for index, node in enumerate(nodes):
        for before in node.after:
            last[before] = index
    change = [0] * (len(nodes) + 1)
    for index, until in enumerate(last):
        change[index + 1] += 1
        change[until + 1] -= 1
    counts, total = list[int](), 0
    for step in change[: len(nodes)]:
        total += step
        counts.append(total)
    return counts


def _best(compared: _Compared, low: int, high: int, phase: Callable[[int], object]) -> Stretch | None:
    """Return the repeat between two nodes that is worth most; None if there is none."""
    part = compared.kinds[low:high]
    best, most = None, 0.0
    for period in range(SHORTEST, min(LONGEST, len(part) // 2) + 1):
        at = low
        for same, run in groupby(map(eq, part, islice(part, period, None))):
            end = at + sum(1 for _ in run)
            if same and _worth(period, (end - at + period) // period) > most:
                for start, length in compared.equal(at, end, period):
                    times = (length + period) // period
                    if _worth(period, times) > most:
                        phases = range(start, start + length + period - period * times + 1)
                        best, most = Stretch(min(phases, key=phase), period, times), _worth(period, times)
            at = end
    return best


# ---------------------------------------------------------------- in several places


def _gaps(found: Sequence[Stretch], count: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges between the repeats that were found."""
    low = 0
    for repeat in sorted(found, key=lambda repeat: repeat.start):
        if repeat.start > low:
            yield low, repeat.start
        low = repeat.end
    if count > low:
        yield low, count


def _scattered(compared: _Compared, gaps: Sequence[tuple[int, int]]) -> list[Stretch]:
    """Return the places of the stretch that saves most by being folded in each of them; [] if there is none.

    Each window of a few nodes is paired with the one before it that looks the same. Windows in a row that are paired
    over the same distance are a stretch that may stand in two places; whatever else begins with the same window is
    held against it.
    """
    ends = dict[int, int]()  # of the gap that a window lies in
    windows = dict[tuple[int, ...], list[int]]()
    pairs = list[tuple[int, int]]()
    for low, high in gaps:
        for at in range(low, high - SEED + 1):
            same = windows.setdefault(tuple(compared.kinds[at : at + SEED]), [])
            if same:
                pairs.append((at - same[-1], same[-1]))
            same.append(at)
            ends[at] = high
    pairs.sort()
    candidates = set[tuple[int, int]]()
    for (apart, _), run in groupby(enumerate(pairs), key=lambda item: (item[1][0], item[1][1] - item[0])):
        starts = [start for _, (_, start) in run]
        for start, length in compared.equal(starts[0], starts[-1] + SEED, apart):
            if SEED <= min(length, apart):
                candidates.add((min(length, apart, LONGEST), start))
    best, period, most = list[int](), 0, 0
    for length, start in sorted(candidates, key=lambda candidate: (-candidate[0], candidate[1]))[:CANDIDATES]:
        places = list[int]()
        for at in windows[tuple(compared.kinds[start : start + SEED])][:PLACES]:
            if at + length > ends[at] or (places and at < places[-1] + length):
                continue
            if at == start or compared.is_equal(start, at, length):
                places.append(at)
        if length * (len(places) - 1) > most:
            best, period, most = places, length, length * (len(places) - 1)
    return [Stretch(at, period, 1, len(best)) for at in best]

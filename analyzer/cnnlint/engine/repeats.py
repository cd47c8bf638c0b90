"""The stretches of layers of a network that repeat: several times in a row, or in several places."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import compress, groupby, islice
from operator import eq, ne

from msgspec import Struct

SHORTEST = 3
"""Layers of a stretch that is folded where it repeats in a row."""

LONGEST = 256
"""Layers of a stretch that is looked for; the search takes so many comparisons for each layer."""

READABLE = 64
"""What a drawing may show at once; in a larger one, stretches that stand in several places are folded too."""

SEED = 12
"""Layers of such a stretch at least."""

CANDIDATES, PLACES, ROUNDS = 32, 64, 24
"""How many of them are looked at, the longest first, in how many places each, and how often the search begins anew."""


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


def repeats(looks: Sequence[Hashable], after: Sequence[Sequence[int]], begins: Sequence[bool]) -> tuple[Stretch, ...]:
    """Return the stretches of nodes that repeat, in the order of the nodes; they do not overlap.

    Two stretches are equal if their nodes look the same and are connected in the same way, and what comes from outside
    enters at the same places; sizes may differ, so that the layers of a dense block, each wider than the last, are seen
    to repeat. Stretches in a row come first. Of all of them the one that saves most nodes is taken, then what lies on
    either side of it is searched; many short stretches count for more than a long one that stands twice, which may be a
    stage of short ones. A stretch that repeats has several phases: the one that fewest connections lead into is taken,
    which is between two blocks and not within one. Where more is left than can be read, stretches that stand in several
    places are looked for beside them, again the one that saves most first, and take the place of small ones in a row.

    Args:
        looks: The kind and the label of each node, in topological order.
        after: The nodes that feed each.
        begins: Whether a block may begin with a node, which decides between phases that are equal otherwise.
    """
    compared = _Compared(looks, after)
    crossing = _crossing(after)
    found = list(_in_a_row(compared, lambda at: (crossing[at], not begins[at], at)))
    for _ in range(ROUNDS):
        if len(looks) - sum(repeat.end - repeat.start - 1 for repeat in found) <= READABLE:
            break
        solid = [repeat for repeat in found if repeat.times == 1 or repeat.end - repeat.start > 2 * SEED]
        scattered = _scattered(compared, solid)
        if not scattered:
            break
        inside = {at for repeat in scattered for at in range(repeat.start, repeat.end)}
        found = [repeat for repeat in found if repeat.start not in inside and repeat.end - 1 not in inside] + scattered
    return tuple(sorted(found, key=lambda repeat: repeat.start))


class _Compared:
    """The nodes by numbers that are equal where nodes are.

    Attributes:
        signs: Of the look, and how far back each feeding node lies.
        kinds: Of the look, and how many nodes feed it.
    """

    def __init__(self, looks: Sequence[Hashable], after: Sequence[Sequence[int]]) -> None:
        self.after = after
        self.signs = _numbered(
            (look, tuple(index - before for before in feeding))
            for index, (look, feeding) in enumerate(zip(looks, after, strict=True))
        )
        self.kinds = _numbered((look, len(feeding)) for look, feeding in zip(looks, after, strict=True))

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


def _crossing(after: Sequence[Sequence[int]]) -> list[int]:
    """Return how many nodes feed, from before each node, that node or a later one."""
    last = list(range(len(after)))
    for index, feeding in enumerate(after):
        for before in feeding:
            last[before] = index
    change = [0] * (len(after) + 1)
    for index, until in enumerate(last):
        change[index + 1] += 1
        change[until + 1] -= 1
    counts, total = list[int](), 0
    for step in change[: len(after)]:
        total += step
        counts.append(total)
    return counts


def _in_a_row(compared: _Compared, phase: Callable[[int], tuple[int, bool, int]]) -> Iterator[Stretch]:
    """Yield the stretches that stand several times in a row, the one that saves most first.

    All are listed, with the range of nodes that each covers. What a better one has taken of a range is cut from it, and
    the rest is a range of its own.
    """
    ranges = [(-_worth(period, (high - low) // period), period, low, high) for period, low, high in _runs(compared)]
    heapify(ranges)
    taken = bytearray(len(compared.kinds))
    while ranges:
        _, period, low, high = heappop(ranges)
        parts = list(_free(taken, low, high))
        if parts == [(low, high)]:
            times = (high - low) // period
            best = Stretch(min(range(low, high - period * times + 1), key=phase), period, times)
            taken[best.start : best.end] = b"\1" * (best.end - best.start)
            yield best
            parts = list(_free(taken, low, high))
        for start, end in parts:
            if end - start >= 2 * period:
                heappush(ranges, (-_worth(period, (end - start) // period), period, start, end))


def _runs(compared: _Compared) -> Iterator[tuple[int, int, int]]:
    """Yield each period, and the longest ranges of nodes that repeat with it at least twice."""
    kinds = compared.kinds
    for period in range(SHORTEST, min(LONGEST, len(kinds) // 2) + 1):
        at = 0
        for same, run in groupby(map(eq, kinds, islice(kinds, period, None))):
            end = at + sum(1 for _ in run)
            if same and end - at >= period:
                for start, length in compared.equal(at, end, period):
                    if length >= period:
                        yield period, start, start + length + period
            at = end


def _free(taken: bytearray, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges from `low` to `high` that are not taken."""
    while (start := taken.find(0, low, high)) >= 0:
        end = taken.find(1, start, high)
        low = high if end < 0 else end
        yield start, low


# ---------------------------------------------------------------- in several places


def _scattered(compared: _Compared, taken: Sequence[Stretch]) -> list[Stretch]:
    """Return the places of the stretch that saves most by being folded in each of them; [] if there is none.

    Each window of a few nodes is paired with the one before it that looks the same. As far as the nodes after both go
    on alike, they are a stretch that may stand in two places; whatever else begins with the same window is held against
    it. A place within what is folded already counts as one, but is not folded again.
    """
    ends = dict[int, int]()  # of the range that a window lies in
    is_open = dict[int, bool]()
    windows = dict[tuple[int, ...], list[int]]()
    pairs = list[tuple[int, int]]()
    for low, high, is_free in _ranges(taken, len(compared.kinds)):
        for at in range(low, high - SEED + 1):
            same = windows.setdefault(tuple(compared.kinds[at : at + SEED]), [])
            if same and (is_free or is_open[same[-1]]):
                pairs.append((at - same[-1], same[-1]))
            same.append(at)
            ends[at], is_open[at] = high, is_free
    best, period, most = list[int](), 0, 0
    for length, start in sorted(_candidates(compared, pairs, ends), reverse=True)[:CANDIDATES]:
        places = list[int]()
        for at in windows[tuple(compared.kinds[start : start + SEED])][:PLACES]:
            if at + length > ends[at] or (places and at < places[-1] + length):
                continue
            if at == start or compared.is_equal(start, at, length):
                places.append(at)
        free = sum(is_open[at] for at in places)
        saved = length * min(free, len(places) - 1)
        if saved > most:
            best, period, most = places, length, saved
    return [Stretch(at, period, 1, len(best)) for at in best if is_open[at]]


def _ranges(taken: Sequence[Stretch], count: int) -> Iterator[tuple[int, int, bool]]:
    """Yield what lies between the stretches, and the first block of each, with whether it is still to be folded."""
    low = 0
    for stretch in sorted(taken, key=lambda stretch: stretch.start):
        if stretch.start > low:
            yield low, stretch.start, True
        yield stretch.start, stretch.start + stretch.period, False
        low = stretch.end
    if count > low:
        yield low, count, True


def _candidates(compared: _Compared, pairs: Sequence[tuple[int, int]], ends: Mapping[int, int]) -> set[tuple[int, int]]:
    """Return the length and the start of stretches that begin with the windows of a pair: how far apart, the first."""
    found = set[tuple[int, int]]()
    before, reached = 0, 0
    for apart, at in sorted(pairs):
        if apart == before and at < reached:
            continue
        end = at + SEED
        most = min(at + min(apart, LONGEST), ends[at], ends[at + apart] - apart)
        while end < most and compared.kinds[end] == compared.kinds[end + apart]:
            end += 1
        before, reached = apart, end - SEED + 1
        found.update((length, start) for start, length in compared.equal(at, end, apart) if length >= SEED)
    return found

"""A pattern as one line, its repeats folded so that the line gets short: A A A becomes [A]*3, inside out.

Of all places where something stands several times in a row, the one that saves most text is folded first, and what it
leaves is looked at again. A run has several phases (A B A B A is [A -> B]*2 -> A or A -> [B -> A]*2): the one whose
body is shortest, its own repeats folded, and starts with a kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import groupby
from operator import ne

from msgspec import Struct

from cnnlint.analysis.pattern.structure import Element, Join, Repeat, Sequence, Step, Tangle
from cnnlint.graph.tensor import Shape

MOST_EQUAL = 3
"""Equal branches in a row that are written out."""

LONGEST = 64
"""Elements of a body that is looked for; longer ones come up once their own repeats are folded."""

PASSES = 12
"""Folds inside one another; each pass over the sequence adds one level."""

ARROW = " -> "

BRACKETS = len("[]*2")

LEAST = 5
"""Characters that a fold must save: CONV -> CONV reads better than [CONV]*2."""


def text(sequence: Sequence) -> str:
    """Return `sequence` as one line."""
    return ARROW.join(map(_element_text, sequence))


def _element_text(element: Element) -> str:
    match element:
        case Step():
            return element.name
        case Join():
            return (
                f"{element.name}[{' | '.join(_branch_texts(element.branches))}]" if element.branches else element.name
            )
        case Repeat():
            body = text(element.body)
            alone = element.body[0] if len(element.body) == 1 else None
            return f"{body if isinstance(alone, Join) and alone.branches else f'[{body}]'}*{element.times}"
        case Tangle():
            return f"BRANCHES[{', '.join(f'{count} {name}' for name, count in element.counts)}]"


def _branch_texts(branches: tuple[Sequence, ...]) -> Iterator[str]:
    """Yield the branches as text, many equal ones in a row as their number and one of them."""
    for line, equal in groupby(text(branch) or "ID" for branch in branches):
        count = sum(1 for _ in equal)
        yield from [f"{count} × {line}"] if count > MOST_EQUAL else [line] * count


class _Token(Struct, frozen=True):
    element: Element
    text: str
    weighted: bool = True
    stage: Shape | None = None


Known = dict[tuple[str, ...], list[_Token]]
"""Bodies that were folded before, by their text."""

Run = tuple[int, int, int]
"""Start, period and length of elements of which each is equal to the one a period further."""


def compress(sequence: Sequence) -> Sequence:
    """Return `sequence` with its repeats folded, in its branches too.

    Residual blocks are folded stage by stage: those whose results have one shape.
    """
    return tuple(token.element for token in _fold(list(map(_token, sequence)), {}))


def _token(element: Element) -> _Token:
    if isinstance(element, Step):
        return _Token(element, element.name, element.weighted)
    if not isinstance(element, Join):
        return _Token(element, _element_text(element))
    shortcut = None if element.shortcut is None else compress(element.shortcut)
    element = Join(element.name, tuple(map(compress, element.branches)), shortcut, element.stage, element.layer)
    return _Token(element, _element_text(element), element.name != "SE", element.stage)


def _fold(tokens: list[_Token], known: Known) -> list[_Token]:
    for _ in range(PASSES):
        chosen = sorted(_choose(tokens, known))
        if not chosen:
            break
        result, done = list[_Token](), 0
        for start, period, times in chosen:
            body = _folded(tokens[start : start + period], known)
            element = Repeat(tuple(token.element for token in body), times)
            result += [*tokens[done:start], _Token(element, _element_text(element), body[0].weighted)]
            done = start + period * times
        tokens = [*result, *tokens[done:]]
    return tokens


def _folded(body: list[_Token], known: Known) -> list[_Token]:
    key = tuple(token.text for token in body)
    if key not in known:
        known[key] = _fold(body, known)
    return known[key]


def _choose(tokens: list[_Token], known: Known) -> Iterator[tuple[int, int, int]]:
    """Yield start, period and times of folds that do not overlap, those that save most first.

    The folded body of a run is dear to find, so a run waits with the most that it could save until it comes up.
    """
    ends = [0]
    for token in tokens:
        ends.append(ends[-1] + len(token.text) + len(ARROW))
    heap = list[tuple[int, int, int, int, int]]()  # characters added, period, start, times, length of an open run
    for start, period, length in _runs(tokens):
        times, body = length // period, ends[start + period] - ends[start]  # the same for every phase
        heap.append((BRACKETS - (times - 1) * body, period, start, times, length))
    heapify(heap)
    taken = bytearray(len(tokens))
    while heap and heap[0][0] <= -LEAST:
        _, period, start, times, length = heappop(heap)
        first, last = start + length % period, start + period * times
        if taken.find(1, first, last) < 0:
            if length:
                for fold in _phase(tokens, (start, period, length), known):
                    heappush(heap, fold)
            else:
                taken[start:last] = b"\x01" * (last - start)
                yield start, period, times


def _runs(tokens: list[_Token]) -> Iterator[Run]:
    numbers = dict[str, int]()
    ids = [numbers.setdefault(token.text, len(numbers)) for token in tokens]
    for period, differences in _differences(ids, range(1, min(LONGEST, len(ids) // 2) + 1)):
        for match in re.finditer(b"\x00{%d,}" % period, differences):
            start, end = match.span()
            unit = tokens[start : start + period]
            if not any(token.stage for token in unit) or any(token.weighted and not token.stage for token in unit):
                yield start, period, end - start + period
                continue
            # only residual blocks hold kernels: a run stays within one stage
            for edge in (*(i for i in range(start, end) if tokens[i].stage != tokens[i + period].stage), end):
                if edge - start >= period:
                    yield start, period, edge - start + period
                start = edge + 1


def _differences(ids: list[int], periods: range) -> Iterator[tuple[int, bytes]]:
    """Yield for each period a byte for each of `ids` that has one a period further, 0 where the two are equal.

    Up to 256 different ones are the digits of a number, which shifted and combined with itself by exclusive or tells of
    all of them at once: thousands of layers are compared at 64 distances in milliseconds.
    """
    if max(ids, default=0) > 255:
        yield from ((period, bytes(map(ne, ids, ids[period:]))) for period in periods)
        return
    digits = int.from_bytes(bytes(ids), "little")
    for period in periods:
        differing = digits ^ (digits >> 8 * period)
        yield period, differing.to_bytes(len(ids), "little")[: len(ids) - period]


def _phase(tokens: list[_Token], run: Run, known: Known) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield the best fold of `run`: no row of equal blocks cut at a seam, the shortest body, a kernel first."""
    first, period, length = run
    for times in range(length // period, max(length // period - 2, 1), -1):
        found = list[tuple[int, bool, int]]()
        for start in range(first, first + length - times * period + 1):
            seams = range(start, start + times * period + 1, period if period > 1 else times)
            if not any(_cuts(tokens, place) for place in seams):
                body = _folded(tokens[start : start + period], known)
                size = sum(len(token.text) + len(ARROW) for token in body)
                found.append((size, not tokens[start].weighted, start))
        if found:
            size, _, start = min(found)
            yield BRACKETS - (times - 1) * size, period, start, times, 0
            break


def _cuts(tokens: list[_Token], place: int) -> bool:
    """Return whether two equal blocks of one stage stand on both sides of `place`."""
    if not 0 < place < len(tokens) or not isinstance(tokens[place].element, Join):
        return False
    before, after = tokens[place - 1], tokens[place]
    return before.text == after.text and before.stage == after.stage

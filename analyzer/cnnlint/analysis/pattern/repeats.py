"""Repeats in a pattern folded, so that the text gets short: A A A becomes [A]*3, inside out.

Of all places where something stands several times in a row, the one that saves most text is folded first, counted
with its body folded too. The phase (A B A B A is [A -> B]*2 -> A or A -> [B -> A]*2) is the one that saves most and
starts with a kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from operator import eq

from msgspec import Struct

from cnnlint.analysis.pattern.elements import (
    Element,
    Join,
    Repeat,
    Sequence,
    Step,
    element_text,
    repeat_text,
)
from cnnlint.graph.tensor import Shape

LONGEST = 64
"""Elements of a body that is looked for; longer ones come up once their own repeats are folded."""

PASSES = 12
"""Folds inside one another; each pass over the sequence adds one level."""

ARROW = 4
"""Characters between two elements."""

_BRACKETS = len("[]*2")

LEAST = 5
"""Characters that a fold must save: CONV -> CONV reads better than [CONV]*2."""


class _Token(Struct, frozen=True):
    element: Element
    text: str
    weighted: bool
    stage: Shape | None = None


def compress(sequence: Sequence) -> Sequence:
    """Return `sequence` with its repeats folded, in its branches too.

    Residual blocks are folded stage by stage: those whose results have one shape.
    """
    folded = _fold([_token(element) for element in sequence], {})
    return tuple(token.element for token in folded)


def _token(element: Element) -> _Token:
    match element:
        case Step():
            return _Token(element, element.name, element.weighted)
        case Join():
            branches = tuple(compress(branch) for branch in element.branches)
            element = Join(
                element.name,
                branches,
                None if element.shortcut is None else compress(element.shortcut),
                element.stage,
                element.layer,
            )
            return _Token(element, element_text(element), weighted=element.name != "SE", stage=element.stage)
        case _:
            return _Token(element, element_text(element), weighted=True)


class _Run(Struct, frozen=True):
    """Elements from `start` on, each equal to the one `period` places further, `length` in all."""

    start: int
    period: int
    length: int

    @property
    def times(self) -> int:
        return self.length // self.period

    @property
    def slack(self) -> int:
        return self.length % self.period


def _fold(tokens: list[_Token], known: dict[tuple[str, ...], str]) -> list[_Token]:
    for _ in range(PASSES):
        chosen = list(_choose(tokens, known))
        if not chosen:
            break
        result, done = list[_Token](), 0
        for choice in sorted(chosen, key=lambda choice: choice.start):
            result += tokens[done : choice.start]
            result.append(_repeat(_fold(tokens[choice.start : choice.start + choice.period], known), choice.times))
            done = choice.start + choice.period * choice.times
        tokens = [*result, *tokens[done:]]
    return tokens


def _repeat(body: list[_Token], times: int) -> _Token:
    element = Repeat(tuple(token.element for token in body), times)
    return _Token(element, repeat_text([token.text for token in body], times, element.body), body[0].weighted)


class _Choice(Struct, frozen=True, order=True):
    """A fold that could be made; the least one is made first.

    Attributes:
        cost: What it adds to the text: the more it saves, the less.
        period: Elements of the body.
        start: Where the first body starts; where the run starts as long as the phase is open.
        times: How often the body stands.
        run: The number of the run that it is taken from.
        final: Whether phase and cost are those of the folded body; until then the cost is the least it could be.
    """

    cost: int
    period: int
    start: int
    times: int
    run: int
    final: bool = False


def _choose(tokens: list[_Token], known: dict[tuple[str, ...], str]) -> Iterator[_Choice]:
    """Yield folds that do not overlap, those that save most first."""
    ends = [0]
    for token in tokens:
        ends.append(ends[-1] + len(token.text) + ARROW)
    runs = list(_runs(tokens))
    heap = list[_Choice]()
    for number, run in enumerate(runs):
        # every phase has the same body but for its order
        body = ends[run.start + run.period] - ends[run.start]
        heap.append(_Choice(_BRACKETS - (run.times - 1) * body, run.period, run.start, run.times, number))
    heapify(heap)
    taken = bytearray(len(tokens))
    while heap:
        choice = heappop(heap)
        if choice.cost > -LEAST:
            break
        run = runs[choice.run]
        if choice.final:
            end = choice.start + choice.period * choice.times
            if taken.find(1, choice.start, end) < 0:
                taken[choice.start : end] = b"\x01" * (end - choice.start)
                yield choice
        elif taken.find(1, run.start + run.slack, run.start + run.period * run.times) < 0:
            final = _phase(tokens, run, choice.run, known)
            if final is not None:
                heappush(heap, final)


def _runs(tokens: list[_Token]) -> Iterator[_Run]:
    numbers = dict[str, int]()
    ids = [numbers.setdefault(token.text, len(numbers)) for token in tokens]
    for period in range(1, min(LONGEST, len(ids) // 2) + 1):
        equal = bytes(map(eq, ids, ids[period:]))
        for match in re.finditer(b"\x01{%d,}" % period, equal):
            run = _Run(match.start(), period, match.end() - match.start() + period)
            unit = tokens[run.start : run.start + period]
            if any(token.stage for token in unit) and all(token.stage or not token.weighted for token in unit):
                yield from _stages(tokens, run)
            else:
                yield run


def _stages(tokens: list[_Token], run: _Run) -> Iterator[_Run]:
    """Yield the parts of `run`, in which only residual blocks hold kernels, that stay within one stage."""
    start, period = run.start, run.period
    last = run.start + run.length - period
    for index in range(run.start, last + 1):
        if index == last or tokens[index].stage != tokens[index + period].stage:
            if index - start >= period:
                yield _Run(start, period, index - start + period)
            start = index + 1


def _phase(tokens: list[_Token], run: _Run, number: int, known: dict[tuple[str, ...], str]) -> _Choice | None:
    """Return the best fold of `run`: no row of equal blocks cut at a seam, the shortest body, a kernel first."""
    for times in range(run.times, max(run.times - 2, 1), -1):
        found = list[tuple[int, bool, int]]()
        for start in range(run.start, run.start + run.length - times * run.period + 1):
            end = start + times * run.period
            if any(_cuts(tokens, place) for place in range(start, end + 1, run.period if run.period > 1 else times)):
                continue
            body = tokens[start : start + run.period]
            key = tuple(token.text for token in body)
            if key not in known:
                known[key] = " -> ".join(token.text for token in _fold(body, known))
            found.append((len(known[key]), not tokens[start].weighted, start))
        if found:
            length, _, start = min(found)
            cost = _BRACKETS - (times - 1) * (length + ARROW)
            return _Choice(cost, run.period, start, times, number, final=True)
    return None


def _cuts(tokens: list[_Token], place: int) -> bool:
    """Return whether two equal blocks of one stage stand on both sides of `place`."""
    if not 0 < place < len(tokens) or not isinstance(tokens[place].element, Join):
        return False
    before, after = tokens[place - 1], tokens[place]
    return before.text == after.text and before.stage == after.stage

"""Reading through ranges: always the file's bytes, whatever is asked for in whatever order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlint.frontends.remote.ranges import ALONE, HEAD, NARROW, NEAR, NODE, WIDE, Ranges

CONTENT = random.Random(0).randbytes(3 << 20)


class Sender:
    """What a server would send, and what it was asked for."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def __call__(self, offset: int, length: int) -> bytes:
        self.asked.append((offset, length))
        assert 0 <= offset < offset + length <= len(self.content)
        return self.content[offset : offset + length]

    def all(self, spans: list[tuple[int, int]]) -> list[bytes]:
        return [self(*span) for span in spans]


READS = st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 1 << 21)), max_size=25)
LEADS = st.dictionaries(st.integers(0, len(CONTENT) >> 14), st.lists(st.integers(0, len(CONTENT) + 10), max_size=5))


@given(READS, LEADS)
def test_every_read_gives_the_bytes_of_the_file(reads: list[tuple[int, int]], leads: dict[int, list[int]]) -> None:
    def pointers(begin: int, block: bytes) -> list[int]:
        return [to for at in range(begin >> 14, (begin + len(block)) >> 14) for to in leads.get(at, ())]

    source = Ranges(Sender(), len(CONTENT), pointers=pointers)
    for offset, length in reads:
        assert source.read(offset, length) == CONTENT[offset : offset + length]
        assert source.view(offset, length) == CONTENT[offset : offset + length]


STRIDES = st.lists(st.tuples(st.integers(0, 150_000), st.integers(1, 30)), min_size=1, max_size=4)
"""Steps that recur: how far each goes, and how often the whole pattern is walked."""


@given(READS, STRIDES)
def test_no_byte_of_a_small_read_is_sent_twice_and_each_is_the_file_s(
    reads: list[tuple[int, int]], strides: list[tuple[int, int]]
) -> None:
    sender = Sender()
    source = Ranges(sender, len(CONTENT), fetch_all=sender.all)
    walked = [(at, 100) for at in accumulate(step for step, times in strides for _ in range(times))]
    for offset, length in (*walked, *reads, *walked):
        wanted = min(length, 5000)
        assert source.read(offset, wanted) == CONTENT[offset : offset + wanted]

    spans = sorted(sender.asked)
    assert all(begin + length <= after for (begin, length), (after, _) in pairwise(spans))
    assert (source.requests, source.fetched) == (len(spans), sum(length for _, length in spans))
    assert source.round_trips <= source.requests


def densenet121() -> Iterator[int]:
    """Yield the bytes of each weight of DenseNet121 in order, from the paper (Huang et al. 2017, table 1)."""
    channels = 64
    yield 4 * 7 * 7 * 3 * channels
    yield from (4 * channels,) * 4
    for block, layers in enumerate((6, 12, 24, 16)):
        for _ in range(layers):
            yield from (4 * channels,) * 4
            yield 4 * channels * 128
            yield from (4 * 128,) * 4
            yield 4 * 3 * 3 * 128 * 32
            channels += 32
        if block < 3:
            yield from (4 * channels,) * 4
            yield 4 * channels * (channels // 2)
            channels //= 2
    yield from (4 * channels,) * 4
    yield from (4 * channels * 1000, 4 * 1000)


def walked(steps: Sequence[int], lengths: Iterable[int], *, may_foresee: bool) -> Ranges:
    """Return the source that a reader of `lengths` at `steps` has walked through."""

    def send(_: int, length: int) -> bytes:
        return bytes(length)

    together = (lambda spans: [bytes(length) for _, length in spans]) if may_foresee else None
    source = Ranges(send, sum(steps), fetch_all=together)
    for offset, length in zip(accumulate(steps, initial=0), lengths, strict=False):
        source.read(offset, length)
    return source


def test_the_headers_of_densenet121_take_a_third_of_the_round_trips_and_less_than_twice_the_bytes() -> None:
    weights = list(densenet121())
    assert sum(weights) == 4 * 8_062_504  # what Keras counts
    headers = [160 + len(str(size)) for size in weights]  # names differ in length, and so do numbers
    steps = [header + weight for header, weight in zip(headers, weights, strict=True)]
    alone = walked(steps, headers, may_foresee=False)
    together = walked(steps, headers, may_foresee=True)

    assert together.round_trips < alone.round_trips / 3
    assert together.requests < 1.3 * alone.requests
    assert together.fetched < 2 * alone.fetched


def test_where_no_step_is_like_another_nothing_is_foreseen() -> None:
    drawn = random.Random(0)
    steps = [drawn.randrange(50_000, 5_000_000) for _ in range(200)]
    alone, together = (walked(steps, [100] * len(steps), may_foresee=may) for may in (False, True))

    assert (together.requests, together.fetched) == (alone.requests, alone.fetched)


def test_neighbors_come_together_and_wider_as_they_go_on() -> None:
    sender = Sender()
    source = Ranges(sender, len(CONTENT))
    for offset in range(0, len(CONTENT), 100):
        source.read(offset, 100)

    widths = [length for _, length in sender.asked]
    assert widths[0] == HEAD
    assert max(widths) == WIDE
    assert len(widths) < 20


def test_after_far_jumps_little_is_sent_beyond_what_was_asked_for() -> None:
    sender = Sender()
    source = Ranges(sender, len(CONTENT))
    for offset in range(0, len(CONTENT), 600_000):
        source.read(offset, 20)

    assert [offset for offset, _ in sender.asked] == list(range(0, len(CONTENT), 600_000))
    assert sender.asked[-1][1] == NARROW


def test_values_are_sent_as_they_are_and_not_kept() -> None:
    sender = Sender()
    source = Ranges(sender, len(CONTENT))

    assert source.view(5, ALONE) == CONTENT[5 : 5 + ALONE]
    source.view(5, ALONE)
    assert sender.asked == [(5, ALONE), (5, ALONE)]


def test_what_a_block_leads_to_is_asked_for_at_once_and_neighbors_of_it_together() -> None:
    far = [1 << 20, (1 << 20) + NEAR // 2, 2 << 20]
    batches: list[list[tuple[int, int]]] = []

    def fetch_all(spans: list[tuple[int, int]]) -> list[bytes]:
        batches.append(spans)
        return [CONTENT[offset : offset + length] for offset, length in spans]

    sender = Sender()
    source = Ranges(sender, len(CONTENT), fetch_all=fetch_all, pointers=lambda begin, _: far if begin == 0 else ())
    source.read(0, 10)
    source.read(far[1], NODE)

    assert batches[0] == [(far[0], NEAR // 2 + NODE), (far[2], NODE)]
    assert sender.asked == [(0, HEAD)]


@pytest.mark.parametrize("size", [0, 1, HEAD - 1, HEAD, HEAD + 1])
def test_reads_end_where_the_file_does(size: int) -> None:
    source = Ranges(Sender(CONTENT[:size]), size)

    assert source.read(0, HEAD + 5) == CONTENT[:size]
    assert source.read(size, 5) == b""
    assert source.read(max(size - 3, 0), 5) == CONTENT[:size][-3:]

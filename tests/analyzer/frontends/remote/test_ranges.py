"""Reading through ranges: always the file's bytes, whatever is asked for in whatever order."""

from __future__ import annotations

import random
from itertools import pairwise

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


@given(READS)
def test_no_byte_of_a_small_read_is_sent_twice(reads: list[tuple[int, int]]) -> None:
    sender = Sender()
    source = Ranges(sender, len(CONTENT))
    for offset, length in reads:
        source.read(offset, min(length, 5000))

    spans = sorted(sender.asked)
    assert all(begin + length <= after for (begin, length), (after, _) in pairwise(spans))
    assert (source.requests, source.fetched) == (len(spans), sum(length for _, length in spans))


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

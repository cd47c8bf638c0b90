"""Ranges of a static lint of models at URLs: one after the other, where they are foreseen, and the fewest there can be.

What a reader needs of a file are spans of bytes, and a request is one range. Whoever knew all spans in advance would
take two of them by one range where little lies between: so many ranges send all spans, and beside them all gaps but the
largest ones. So the fewest ranges for a number of bytes follow from the gaps in order of size, and no reader can do
with fewer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent

NETS = ("VGG16", "ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121")


class Reading(NamedTuple):
    """What reading the graph of a file takes: it follows from the file, and no time is in it.

    Attributes:
        name: Of the network.
        size: Bytes of the file.
        alone: Round trips, requests and bytes, one request after the other.
        foreseen: The same where headers of weights are foreseen.
        least: The fewest ranges for at most twice the bytes of one after the other.
        third: The fewest bytes for a third of its requests.
    """

    name: str
    size: int
    alone: tuple[int, int, int]
    foreseen: tuple[int, int, int]
    least: int
    third: int


class _Noting:
    """A source of bytes that notes the (offset, length) of what is read."""

    path = None

    def __init__(self, file: Any) -> None:
        self.size = file.size
        self.reads = list[tuple[int, int]]()
        self._file = file

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, min(length, self.size - offset)))
        return self._file.read(offset, length)

    view = read


def gaps(reads: Sequence[tuple[int, int]]) -> tuple[int, list[int]]:
    """Return the bytes that are needed, and the sizes of the gaps between their spans, the smallest first."""
    needed, between, reached = 0, list[int](), None
    for offset, length in sorted(reads):
        if reached is not None and offset > reached:
            between.append(offset - reached)
        needed += max(offset + length - max(offset, reached or 0), 0)
        reached = max(offset + length, reached or 0)
    return needed, sorted(between)


def fewest(reads: Sequence[tuple[int, int]], most: int) -> int:
    """Return the fewest ranges that cover all reads with at most so many bytes."""
    sent, between = gaps(reads)
    for filled, gap in enumerate(between):
        sent += gap
        if sent > most:
            return len(between) + 1 - filled
    return 1


def cheapest(reads: Sequence[tuple[int, int]], ranges: int) -> int:
    """Return the fewest bytes of so many ranges that cover all reads."""
    needed, between = gaps(reads)
    return needed + sum(between[: max(len(between) + 1 - ranges, 0)])


def _read(name: str) -> Reading:
    import zoo
    from cnnlint.frontends.onnx.skeleton import read_source
    from cnnlint.frontends.remote.ranges import Ranges
    from cnnlint.frontends.sources import local_file

    path = str(zoo.onnx_path(name))
    file = local_file(path)
    noting = _Noting(file)
    alone = Ranges(file.read, file.size)
    together = Ranges(file.read, file.size, fetch_all=lambda spans: [file.read(*span) for span in spans])
    for source in (noting, alone, together):
        read_source(source, None, path)
    return Reading(
        name,
        file.size,
        (alone.round_trips, alone.requests, alone.fetched),
        (together.round_trips, together.requests, together.fetched),
        fewest(noting.reads, 2 * alone.fetched),
        cheapest(noting.reads, alone.requests // 3),
    )


def measured(variables: Mapping[str, str]) -> list[Reading]:
    """Return what reading each network takes, by a process that has these variables."""
    command = (sys.executable, "-m", "benchmarks.ranges")
    done = subprocess.run(command, cwd=ROOT, env=dict(variables), stdout=subprocess.PIPE, check=True)
    return [Reading(*json.loads(line)) for line in done.stdout.splitlines()]


def section(readings: Sequence[Reading]) -> Iterator[str]:
    """Yield the lines of the section."""
    yield "## Models at URLs: requests of a static lint"
    yield ""
    yield "Requests for the graph of each ONNX file: one after the other, and where headers of weights are foreseen. At"
    yield "the right, what a reader that knew all places in advance could not better: the fewest requests for twice the"
    yield "bytes of one after the other, and the fewest bytes for a third of its requests."
    yield ""
    heads = ("One after the other: requests", "MB", "Foreseen: round trips", "Requests", "MB", "Fewest requests")
    yield f"| | Size, MB | {' | '.join(heads)} | Fewest MB |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name, size, (_, alone, bare), (trips, requests, fetched), least, third in readings:
        sent = f"{alone} | {bare / 1e6:.2f} | {trips} | {requests} | {fetched / 1e6:.2f}"
        yield f"| {name}.onnx | {size / 1e6:.0f} | {sent} | {least} | {third / 1e6:.1f} |"


if __name__ == "__main__":
    for each in NETS:
        print(json.dumps(_read(each)))

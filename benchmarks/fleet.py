"""`python -m benchmarks fleet`: stores of small models, from disk and from an S3 on this machine; models at URLs."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import ranges
from benchmarks.process import environment, median

ROOT = Path(__file__).resolve().parent.parent
PAGE_OF_ALL = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- fleet -->", "<!-- end -->"

COUNTS = (100, 1_000, 10_000)
WORKERS = (1, 2)
STORES = {"disk": "a folder", "s3": "S3"}
PAUSE = 0.25
"""Seconds between looks at the memory of the processes of a run."""

GROWTH, FLAT = 1.2, 1.1
"""Bounds: processor time of a model among 10,000 / among 1,000; memory of a worker at the end / at the beginning."""

MILLION = 1_000_000

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    """One run of `cnnlint fleet`.

    Attributes:
        wall: Seconds on the clock, start included.
        cpu: Seconds of all processors, those of the server left out.
        workers: Mebibytes of a worker's process, early and late in the run.
        coordinator: Of the process that lists and writes, early and late.
        requests: That the server had.
        sent: Bytes that it sent.
    """

    wall: float
    cpu: float
    workers: tuple[float, float]
    coordinator: tuple[float, float]
    requests: int = 0
    sent: int = 0


Samples = Mapping[tuple[str, int, int], Sample]
"""By store, number of models, and workers."""


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write the section of the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fleet", description="Lint stores of many models.")
    parser.add_argument("--models", type=int, nargs="+", default=COUNTS, help="how many (default: 100 1000 10000)")
    parser.add_argument("--stores", nargs="+", choices=tuple(STORES), default=tuple(STORES), help="where they lie")
    parser.add_argument("--folder", default=str(Path(tempfile.gettempdir()) / "cnnlint-benchmarks"))
    options = parser.parse_args(arguments)
    folder = Path(options.folder)
    made = {"first": dict[tuple[str, int, int], Sample](), "again": dict[tuple[str, int, int], Sample]()}
    loads = [os.getloadavg()[0]]
    for count in sorted(options.models):
        store = _built(folder / f"fleet-{count}", count)
        for kind in options.stores:
            for workers in WORKERS:
                for name, sample in zip(made, _runs(kind, store, workers, folder), strict=True):
                    made[name][kind, count, workers] = sample
                loads.append(os.getloadavg()[0])
                print(kind, count, workers, *(made[name][kind, count, workers] for name in made), flush=True)
    text = "\n".join(section(made["first"], made["again"], ranges.measured(_with_tests()), (min(loads), max(loads))))
    print(text)
    if tuple(options.models) == COUNTS and len(options.stores) == len(STORES):
        PAGE_OF_ALL.write_text(with_section(PAGE_OF_ALL.read_text("utf-8"), text), "utf-8")
    return 0


def with_section(page: str, text: str) -> str:
    """Return the page of benchmarks with this text between its marks, which are added where they are not there."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2].lstrip("\n")
    return f"{before.rstrip()}\n\n{BEGIN}\n\n{text}\n\n{END}\n{after}"


def section_of(page: str) -> str:
    """Return what stands between the marks; "" if they are not there."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def _built(folder: Path, count: int) -> Path:
    """Return a folder of so many models, built by a process of its own."""
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        code = "import sys, pathlib, fleets; fleets.store(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
        subprocess.run((sys.executable, "-c", code, unfinished, str(count)), env=_with_tests(), check=True)
        unfinished.rename(folder)
    return folder


def _with_tests() -> dict[str, str]:
    return {**environment(os.environ), "PYTHONPATH": str(ROOT / "tests")}


def _runs(kind: str, store: Path, workers: int, folder: Path) -> list[Sample]:
    """Lint a store, and again when nothing has changed; return what each took."""
    out = folder / "fleet-results"
    shutil.rmtree(out, ignore_errors=True)
    with _served(store) if kind == "s3" else _in_place(store) as (place, ask, variables):
        command = (sys.executable, "-m", "cnnlint", "fleet", place, "--out", str(out), "--workers", str(workers))
        return [_run((*command, "--isolated", "--exit-zero", "--quiet"), variables, ask) for _ in range(2)]


@contextmanager
def _in_place(store: Path) -> Generator[tuple[str, Any, dict[str, str]]]:
    yield str(store), lambda: (0, 0), {}


@contextmanager
def _served(store: Path) -> Generator[tuple[str, Any, dict[str, str]]]:
    """Serve a folder as a bucket from a process of its own, which says what it was asked for."""
    server = subprocess.Popen(
        (sys.executable, "-c", SERVE, str(store)),
        env=_with_tests(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    asked, told = server.stdin, server.stdout

    def ask() -> tuple[int, int]:
        asked.write("\n")
        asked.flush()
        requests, sent = json.loads(told.readline())
        return requests, sent

    try:
        yield "s3://models/**/*.onnx", ask, json.loads(told.readline())
    finally:
        server.kill()
        server.wait()


SERVE = """
import json, pathlib, sys, fleets
with fleets.bucket(pathlib.Path(sys.argv[1])) as (server, variables):
    print(json.dumps(variables), flush=True)
    for _ in sys.stdin:
        print(json.dumps([len(server.requests), server.sent]), flush=True)
"""
"""The server of a bucket: a line for each line that it is given."""


def _run(command: Sequence[str], variables: Mapping[str, str], ask: Any) -> Sample:
    before = ask()
    begin = time.perf_counter()
    process = subprocess.Popen(command, env={**environment(os.environ), **variables}, stdout=subprocess.DEVNULL)
    ended = threading.Event()
    seen = list[dict[int, float]]()
    watching = threading.Thread(target=_watch, args=(process.pid, ended, seen))
    watching.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    watching.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    requests, sent = (after - at for after, at in zip(ask(), before, strict=True))
    own = [looks[process.pid] for looks in seen if process.pid in looks]
    others = [max(sizes) for looks in seen if (sizes := [size for pid, size in looks.items() if pid != process.pid])]
    return Sample(wall, usage.ru_utime + usage.ru_stime, _ends(others), _ends(own), requests, sent)


def _watch(pid: int, ended: threading.Event, seen: list[dict[int, float]]) -> None:
    """Note the resident memory of a process and its children, in mebibytes."""
    while not ended.wait(PAUSE):
        found = {int(child) for each in Path(f"/proc/{pid}/task").glob("*/children") for child in _read(each).split()}
        sizes = {each: _read(Path(f"/proc/{each}/statm")).split() for each in (pid, *found)}
        seen.append({each: int(said[1]) * PAGE_SIZE / 2**20 for each, said in sizes.items() if said})


def _read(file: Path) -> str:
    """Return what a file of the system says; "" if its process has ended."""
    try:
        return file.read_text()
    except OSError:
        return ""


def _ends(sizes: Sequence[float]) -> tuple[float, float]:
    """Return the memory early and late: medians of the second fifth and of the last one."""
    if not sizes:
        return 0.0, 0.0
    fifth = max(len(sizes) // 5, 1)
    return median(sizes[fifth : 2 * fifth] or sizes), median(sizes[-fifth:])


def section(first: Samples, again: Samples, reading: Sequence[Any], load: tuple[float, float]) -> Iterator[str]:
    """Yield the lines of the section."""
    yield "## Fleets: many small models"
    yield ""
    yield "`cnnlint fleet` in whole processes over networks of a convolution and a dense layer, each with weights of"
    yield "its own, 11 to 22 kB; once each, by `python -m benchmarks fleet`. The bucket is served by moto on the same"
    yield f"{os.cpu_count()} processors, whose load was {load[0]:.1f} to {load[1]:.1f}, mostly of other work: what"
    yield "counts is processor time, that of moto left out; models per second are what was left, and most seconds"
    yield "of a second run over S3 are moto's listing. Memory is early and late in the run, of a process that lints and"
    yield 'of the one that lists and writes. "Again" is a second run with nothing changed.'
    yield ""
    heads = ("Store", "Models", "Workers", "Models per second", "Processor time of each, ms", "Requests of each")
    yield f"| {' | '.join((*heads, 'kB of each', 'Worker, MB', 'Coordinator, MB', 'Again, s', 'Again, requests'))} |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for (kind, count, workers), sample in sorted(first.items()):
        second = again[kind, count, workers]
        sent = f"{sample.requests / count:.2f} | {sample.sent / count / 1e3:.1f}" if kind == "s3" else "0 | "
        seen = (sample.workers, sample.coordinator)
        memory = " | ".join(f"{early:.0f}, {late:.0f}" if early else "not seen" for early, late in seen)
        yield (
            f"| {STORES[kind]} | {count:,} | {workers} | {count / sample.wall:.0f} | {sample.cpu / count * 1e3:.1f} |"
            f" {sent} | {memory} | {second.wall:.1f} | {second.requests} |"
        )
    yield ""
    yield "| What | Figure | Bound | |"
    yield "|---|---:|---:|---|"
    for words, value, most in _bounds(first):
        yield f"| {words} | {value:.2f} × | {most:g} × | {'met' if value <= most else '**missed**'} |"
    yield ""
    yield from _on_paper(first, again)
    yield ""
    yield from ranges.section(reading)


def _marginal(samples: Samples, kind: str, workers: int, few: int, many: int) -> float:
    """Return the processor time of each model beyond the first `few`, in seconds."""
    return (samples[kind, many, workers].cpu - samples[kind, few, workers].cpu) / (many - few)


def _bounds(first: Samples) -> Iterator[tuple[str, float, float]]:
    few, some, many = COUNTS
    for kind, count, workers in first:
        if count == many and (kind, few, workers) in first and (kind, some, workers) in first:
            where = f"{STORES[kind]}, {workers} worker{'s' if workers > 1 else ''}"
            grown = _marginal(first, kind, workers, some, many) / _marginal(first, kind, workers, few, some)
            early, late = first[kind, count, workers].workers
            yield f"{where}: processor time of each model, {some:,} to {many:,} / {few:,} to {some:,}", grown, GROWTH
            yield f"{where}: memory of a worker, late / early among {many:,}", late / max(early, 1e-9), FLAT


def _on_paper(first: Samples, again: Samples) -> Iterator[str]:
    """Yield what a million models cost by these figures."""
    _, some, many = COUNTS
    for kind, count, workers in first:
        if count != many or (kind, some, workers) not in first or workers != max(WORKERS):
            continue
        hours = _marginal(first, kind, workers, some, many) * MILLION / 3600
        carried = _marginal(again, kind, workers, some, many) * MILLION / 3600
        sample = first[kind, many, workers]
        sent = sample.sent / many * MILLION / 1e9
        asked = f", {sample.requests / many:.2f} million requests and {sent:.0f} GB from it" if kind == "s3" else ""
        yield (
            f"On paper, a million of these models in {STORES[kind]} cost {hours:.1f} core-hours{asked}, and"
            f" {_minutes(carried * 60)} a second time."
        )


def _minutes(number: float) -> str:
    return "less than a core-minute" if number < 1 else f"{number:.0f} core-minutes"

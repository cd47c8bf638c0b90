"""Whole processes, measured: time on the clock, time on the processors, peak memory.

What measures stays small. Linux counts the memory of the process that starts another into the peak of the other,
so this package imports nothing large; models are built in processes of their own.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

OVER = 300.0
"""Seconds after which a process is stopped; on a light DenseNet121 one peer takes as long."""


PATIENCE, MOST = 15.0, 25
"""Seconds that a comparison of quick processes may take for more runs than were asked for, and the most of them."""


class Contender(NamedTuple):
    """A command that is measured.

    Attributes:
        name: In tables.
        command: The program, by its path, and its arguments.
        codes: The exit codes that mean that the job was done.
        times: How often it runs in each round; more where a small difference counts.
    """

    name: str
    command: tuple[str, ...]
    codes: tuple[int, ...] = (0,)
    times: int = 1


class Sample(NamedTuple):
    """One process: seconds on the clock, seconds of all processors, mebibytes at the peak."""

    wall: float
    cpu: float
    peak: float


class Figures(NamedTuple):
    """The medians of some processes.

    Attributes:
        runs: How many there were.
        failure: Why there are none; "" if there are.
    """

    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    runs: int = 0
    failure: str = ""


class FailedRunError(Exception):
    """A process did not do its job."""


def interleaved(
    contenders: Sequence[Contender], *, runs: int, folder: str, progress: Callable[[str], None]
) -> dict[str, Figures]:
    """Return the figures of each contender by name, run in turns so that a busy minute hits all alike.

    Args:
        contenders: Each runs once unrecorded, so that files are cached and modules compiled.
        runs: Recorded rounds, at least; quick contenders get more. Each begins with another contender.
        folder: Where they run.
        progress: Is told what runs.
    """
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    failures: dict[str, str] = {}
    begin, turn = time.perf_counter(), 0
    while turn <= runs or (turn <= MOST and time.perf_counter() - begin < PATIENCE):
        first = turn % len(contenders)
        order = (*contenders[first:], *contenders[:first])
        for contender in (each for each in order for _ in range(each.times if turn else 1)):
            if contender.name in failures:
                continue
            progress(f"{contender.name}, {f'run {turn}' if turn else 'warm-up'}")
            try:
                sample = run(contender, folder)
            except FailedRunError as error:
                failures[contender.name] = str(error)
                continue
            if turn:
                samples[contender.name].append(sample)
        turn += 1
    return {
        name: Figures(failure=failures[name])
        if name in failures
        else Figures(*(median(column) for column in zip(*taken, strict=True)), runs=len(taken))
        for name, taken in samples.items()
    }


def median(values: Sequence[float]) -> float:
    """Return the middle one of `values`, or the mean of the middle two."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def run(contender: Contender, folder: str) -> Sample:
    """Run a contender to its end, its output thrown away.

    Raises:
        FailedRunError: It could not be started, ended with another exit code, or took too long.
    """
    begin = time.perf_counter()
    child = os.fork()
    if child == 0:
        _become(contender.command, folder)
    timed_out = False
    reaped = _wait(child, begin + OVER)
    if reaped is None:
        os.kill(child, 9)
        timed_out, reaped = True, os.wait4(child, 0)
    wall = time.perf_counter() - begin
    _, status, usage = reaped
    code = os.waitstatus_to_exitcode(status)
    if timed_out:
        raise FailedRunError(f"over {OVER:.0f} s")
    if code not in contender.codes:
        raise FailedRunError(f"killed by signal {-code}" if code < 0 else f"exit code {code}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * scale / 2**20)


def _wait(child: int, until: float) -> tuple[int, int, resource.struct_rusage] | None:
    """Wait for `child`; None if it still runs `until` then. A blocking wait costs no processor and no delay."""

    def wake(*_: object) -> None:
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, wake)
    signal.setitimer(signal.ITIMER_REAL, max(until - time.perf_counter(), 0.001))
    try:
        return os.wait4(child, 0)
    except TimeoutError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _become(command: Sequence[str], folder: str) -> None:
    """Turn this process, a child, into `command`."""
    try:
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.execve(command[0], list(command), environment(os.environ))
    finally:
        os._exit(127)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every contender: compiled modules are kept, as they are for users."""
    kept = {name: value for name, value in given.items() if not name.startswith("PYTHON")}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "NO_COLOR": "1"}

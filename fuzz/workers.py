"""Processes that check inputs one after the other, and the watchdog that ends one that hangs or takes too much.

Forking for each input would be clean and costs more than most lints. A worker says the number of its input in shared
memory before it begins; what ends it (a signal, the limit of memory, the watchdog) is then the fault of that input,
and the next worker begins behind it. A fault that a worker saw is believed only if a fresh process sees it again.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz.oracles import Fault, warm

HANG = 20.0
"""Seconds of the processor after which an input hangs: ten times what it may take."""

STILL = 120.0
"""Seconds by the clock after which it hangs even if it takes none of the processor: it waits for something."""

ADDRESS_SPACE = 6 * 2**30
"""Bytes that a worker may map; a lint that asks for more fails by itself, and not the machine."""

RENEWED = 3000
"""Inputs after which a worker makes room for another, so that what one leaves behind does not add up."""

_SPAWN = multiprocessing.get_context("spawn")


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(kind: str, seed: int, corpus: str, numbers: range, state: Any, pipe: Connection, folder: str) -> None:
    from fuzz import sandbox
    from fuzz.inputs import Source

    _limited()
    sandbox.ask_one_process()
    source = Source(kind, seed, Path(corpus))
    for number in numbers:
        state[3] = time.process_time()
        state[1] = time.monotonic()
        state[0] = number
        faults = source.check(number, Path(folder))
        state[2] += 1
        if faults:
            pipe.send((number, faults))
    state[1] = 0.0
    pipe.send(None)
    pipe.close()


class Worker:
    """Checks the inputs `numbers` of a kind in a process, and another process if that one ends.

    Attributes:
        done: How many inputs have been checked.
    """

    def __init__(self, kind: str, seed: int, corpus: Path, numbers: range) -> None:
        self.kind = kind
        self.done = 0
        self._arguments = (kind, seed, str(corpus))
        self._left = numbers
        self._ending = False
        self._folder = tempfile.mkdtemp(prefix="cnnlint-fuzz-")
        self._start()

    def _start(self) -> None:
        self._state = _SPAWN.RawArray("d", 4)
        self._state[0] = self._left.start
        self._pipe, theirs = _SPAWN.Pipe(duplex=False)
        now = self._left[:RENEWED]
        self._left = self._left[RENEWED:]
        self._now = now
        arguments = (*self._arguments, now, self._state, theirs, self._folder)
        self._process = _SPAWN.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def poll(self) -> Iterator[tuple[int, list[Fault]]]:
        """Yield what was found since the last look, and end what hangs."""
        while self._pipe.poll():
            try:
                message = self._pipe.recv()
            except EOFError:
                break
            if message is None:
                self._process.join(10)
                self._next(self._left)
                return
            yield message
        number, began = int(self._state[0]), self._state[1]
        if not self._process.is_alive():
            code = self._process.exitcode
            yield number, [Fault("died", f"exit code {code}")]
            self._next(range(number + self._now.step, self._now.stop, self._now.step), self._left)
        elif began and (time.monotonic() - began > STILL or _processor(self._process.pid) - self._state[3] > HANG):
            self.stop()
            yield number, [Fault("hang", "")]
            self._next(range(number + self._now.step, self._now.stop, self._now.step), self._left)

    def _next(self, *left: range) -> None:
        self.done += int(self._state[2])
        self._state[2] = 0
        rest = [numbers for numbers in left if numbers]
        if rest:
            self._left = range(rest[0].start, rest[-1].stop, rest[0].step)
            self._start()
        else:
            self._ending = True

    @property
    def finished(self) -> bool:
        """Whether all inputs have been checked."""
        return self._ending

    @property
    def checked(self) -> int:
        """How many inputs have been checked, those of the process at work too."""
        return self.done + int(self._state[2])

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """End the process and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _processor(pid: int | None) -> float:
    """Return the seconds of the processor that a process has taken."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def fresh(kind: str, content: bytes, *, depth: int = 3) -> list[Fault]:
    """Hold one input against the oracles in a fork of this process, which has checked none itself."""
    warm()
    folder = tempfile.mkdtemp(prefix="cnnlint-fuzz-")
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            from fuzz.inputs import check

            _limited()
            resource.setrlimit(resource.RLIMIT_CPU, (round(HANG), round(HANG) + 1))
            with os.fdopen(theirs, "wb") as pipe:
                pickle.dump(check(kind, content, Path(folder), depth=depth), pipe)
        finally:
            os._exit(1)
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as pipe:
            if not select.select([pipe], [], [], STILL)[0]:
                return [Fault("hang", "")]
            said = pipe.read()
    finally:
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        shutil.rmtree(folder, ignore_errors=True)
    if said:
        return pickle.loads(said)
    return [Fault("hang", "")] if code == -signal.SIGXCPU else [Fault("died", f"exit code {code}")]

"""Announcements of what is about to be done: the parent knows how long to wait for a worker, and people what for."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cnnlint.worker.protocol import StepStarted

SHORTEST = 60.0
"""Least time limit of a step in seconds: a small model must not fail on a busy machine with a cold disk."""

BYTES_A_SECOND = 10e6
"""Speed of a slow network disk, for loading and comparing weights."""

MACS_A_SECOND = 100e6
"""Speed of one shared core without vector instructions: a hundredth of onnxruntime's usual speed."""

UNKNOWN = 5.0
"""Factor for a network with unknown multiply-accumulates."""

CONVERSION = 600.0
"""Time limit in seconds of steps of TensorFlow and tf2onnx: NASNetMobile takes 25 s on an idle machine."""

_said: ContextVar[Callable[[StepStarted], None] | None] = ContextVar("said", default=None)
_watched: ContextVar[Callable[[str], None] | None] = ContextVar("watched", default=None)
_last: ContextVar[StepStarted | None] = ContextVar("last", default=None)
_size: ContextVar[float] = ContextVar("size", default=0.0)


def listen(hear: Callable[[StepStarted], None]) -> None:
    """Report all steps of this process to `hear`."""
    _said.set(hear)


def sized(*, weight_bytes: int, macs: int | None) -> None:
    """Set the size of the model for the next steps; `macs` is for one run."""
    work = (macs or 0) / MACS_A_SECOND
    _size.set(weight_bytes / BYTES_A_SECOND + (work if macs is not None else SHORTEST * (UNKNOWN - 1)))


def begin(doing: str, *, at_least: float = SHORTEST) -> None:
    """Announce a step that takes long or may hang, such as "loading it into onnxruntime"."""
    _say(doing, at_least + _size.get())


def begin_unlimited(doing: str) -> None:
    """Announce work that may take any time, such as reading a large file."""
    _say(doing, 0.0)


@contextmanager
def within() -> Generator[None]:
    """Announce, after the block with steps of its own, that what was under way before goes on."""
    before = _last.get()
    try:
        yield
    finally:
        if before is not None:
            _say(before.doing, before.seconds)


@contextmanager
def watched(see: Callable[[str], None]) -> Generator[None]:
    """Have `see` told what is done within the block, here or by a worker that this thread waits for."""
    token = _watched.set(see)
    try:
        yield
    finally:
        _watched.reset(token)


def tell(doing: str) -> None:
    """Tell whoever watches what is done now, which no limit is about; "" if that is over."""
    if (see := _watched.get()) is not None:
        see(doing)


def _say(doing: str, seconds: float) -> None:
    from cnnlint.worker.protocol import StepStarted

    tell(doing)
    step = StepStarted(doing, seconds)
    _last.set(step)
    if (hear := _said.get()) is not None:
        hear(step)

"""Announcements of what a worker is about to do, so the parent knows how long to wait."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from cnnlint.worker.protocol import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

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

_said: ContextVar[Callable[[Step], None] | None] = ContextVar("said", default=None)
_last: ContextVar[Step | None] = ContextVar("last", default=None)
_size: ContextVar[float] = ContextVar("size", default=0.0)


def listen(hear: Callable[[Step], None]) -> None:
    """Report all steps of this process to `hear`."""
    _said.set(hear)


def sized(*, weight_bytes: int, macs: int | None) -> None:
    """Set the size of the model for the next steps; `macs` is for one run."""
    work = (macs or 0) / MACS_A_SECOND
    _size.set(weight_bytes / BYTES_A_SECOND + (work if macs is not None else SHORTEST * (UNKNOWN - 1)))


def begin(doing: str, *, at_least: float = SHORTEST) -> None:
    """Announce a step that takes long or may hang, such as "loading it into onnxruntime"."""
    _say(Step(doing, at_least + _size.get()))


def begin_unlimited(doing: str) -> None:
    """Announce work that may take any time, such as reading a large file."""
    _say(Step(doing, 0.0))


@contextmanager
def within() -> Generator[None]:
    """Announce, after the block with steps of its own, that what was under way before goes on."""
    before = _last.get()
    try:
        yield
    finally:
        if before is not None:
            _say(before)


def _say(step: Step) -> None:
    _last.set(step)
    if (hear := _said.get()) is not None:
        hear(step)

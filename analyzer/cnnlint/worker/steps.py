"""What a worker says of what it is about to do, so that whoever waits knows how long to wait."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from cnnlint.worker.protocol import Step

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 60.0
"""Seconds that any step is given: a busy machine with a cold disk must not fail a small model."""

BYTES_A_SECOND = 10e6
"""A slow network disk; loading and comparing weights take longer for more of them."""

MACS_A_SECOND = 100e6
"""One core that shares its time, without vector instructions: a hundredth of what onnxruntime usually does."""

UNKNOWN = 5.0
"""Factor for a network whose multiply-accumulates are not known."""

CONVERSION = 600.0
"""Seconds for what TensorFlow and tf2onnx do: they take 25 s for a NASNetMobile on an idle machine."""

_said: ContextVar[Callable[[Step], None] | None] = ContextVar("said", default=None)
_size: ContextVar[float] = ContextVar("size", default=0.0)


def listen(hear: Callable[[Step], None]) -> None:
    """Have all steps of this process told to `hear`; without a listener they are told to nobody."""
    _said.set(hear)


def sized(*, weight_bytes: int, macs: int | None) -> None:
    """State the size of the model that the steps from here on are about; `macs` is for one run."""
    work = (macs or 0) / MACS_A_SECOND
    _size.set(weight_bytes / BYTES_A_SECOND + (work if macs is not None else SHORTEST * (UNKNOWN - 1)))


def begin(doing: str, *, at_least: float = SHORTEST) -> None:
    """Say that something begins that takes long, or for ever: "loading it into onnxruntime"."""
    hear = _said.get()
    if hear is not None:
        hear(Step(doing, at_least + _size.get()))

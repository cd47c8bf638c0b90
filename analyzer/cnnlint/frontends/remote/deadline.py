"""A bound on how long a server may take."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from cnnlint.errors import ConfigError

Answer = TypeVar("Answer")

TIMEOUT = 30.0
"""Seconds that one request may take."""

VARIABLE = "CNNLINT_REMOTE_TIMEOUT"
"""The environment variable that sets another number of seconds."""


def timeout() -> float:
    """Return the seconds that one request may take.

    Raises:
        ConfigError: The environment variable is no positive number.
    """
    written = os.environ.get(VARIABLE, "")
    if not written:
        return TIMEOUT
    try:
        seconds = float(written)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise ConfigError(f"{VARIABLE}={written} is no number of seconds", remedy=f"write {VARIABLE}=60")
    return seconds


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns.

    File systems retry on their own, each in its own way and some for minutes. The thread is a daemon, so that one
    that still waits for an answer does not keep the program from ending.

    Raises:
        TimeoutError: It takes more than `seconds`.
    """
    answers = list[Answer]()
    failures = list[BaseException]()

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError
    return answers[0]

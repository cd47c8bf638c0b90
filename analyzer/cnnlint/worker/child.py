"""The worker's side: import what its kind needs, then do one job after the other until the parent is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from queue import SimpleQueue
from typing import Any, get_type_hints

import msgspec

from cnnlint.errors import FAULTS, CnnlintError, MemoryLimitError
from cnnlint.worker import limits, memory, protocol, steps
from cnnlint.worker.protocol import Answer, Done, Job, Kind

CHECKING = ("cnnlint.linting.checking", "cnnlint.runtime.probe", "cnnlint.frontends.onnx.raise_graph")
"""Modules for the usual job, imported while the parent is still parsing its command line."""

kind_of_this_process: Kind | None = None
"""The kind of this process, if it is a worker: it does jobs of its kind itself instead of starting another."""


def main(kind: Kind, limit: int | None, sharing: int = 1) -> None:
    """Do jobs until standard input ends.

    Args:
        kind: What to import before the first job comes.
        limit: Bytes of memory for data; None for no limit.
        sharing: How many such processes share the machine.
    """
    global kind_of_this_process  # noqa: PLW0603 - set once for the life of the process
    kind_of_this_process = kind
    limits.companions = sharing
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets the signal too, and ends this process
    # Output of libraries and rules must not get between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if limit is not None:
        memory.limit_this_process(limit)
    jobs = SimpleQueue[Any]()
    threading.Thread(target=_receive, args=(jobs,), daemon=True).start()

    def answer(message: Answer) -> None:
        protocol.write(answers, message)

    steps.listen(answer)
    _prepare(kind)
    while True:
        answer(_do(msgspec.convert(jobs.get(), Job)))


def _receive(jobs: SimpleQueue[Any]) -> None:
    """Queue incoming jobs, and exit when the parent is gone."""
    while (message := protocol.read(sys.stdin.buffer)) is not None:
        jobs.put(message)
    os._exit(0)


def _prepare(kind: Kind) -> None:
    """Import slow modules; a missing one is reported by the job that needs it."""
    with suppress(ImportError, CnnlintError):
        if kind == "onnxruntime":
            import_module("onnxruntime")
            for name in CHECKING:
                import_module(name)
        elif kind == "linter":
            import_module("cnnlint.linting.linter")
        else:
            steps.begin("importing TensorFlow", at_least=steps.CONVERSION)
            import_module("cnnlint.conversion.toolchain").toolchain()


def _do(job: Job) -> Answer:
    try:
        return Done(msgspec.to_builtins(_handle(job)))
    except MemoryError:
        return protocol.failure(MemoryLimitError("it needs more memory than there is"))
    except FAULTS as error:
        return protocol.failure(error)


def _handle(job: Job) -> object:
    steps.sized(weight_bytes=0, macs=0)
    module, _, name = job.handler.partition(":")
    handler = getattr(import_module(module), name)
    hints = get_type_hints(handler)
    hints.pop("return", None)
    (kind,) = hints.values()
    return handler(msgspec.convert(job.request, kind))

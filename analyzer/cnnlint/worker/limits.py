"""Limits on time and memory for running one model, and what there is of processors."""

from __future__ import annotations

import os
from contextlib import suppress

from msgspec import Struct


class RunLimits(Struct, frozen=True, kw_only=True):
    """Limits for running one model.

    Attributes:
        timeout: Seconds for one step, such as a load or a run; 0 for no limit, None for a minute, or more for larger
            models.
        memory: Bytes of data; None for most of the memory that is free when the run starts.
    """

    timeout: float | None = None
    memory: int | None = None


companions = 1
"""How many processes share the machine, this one included; a worker is told when it starts."""

QUOTA = "/sys/fs/cgroup/cpu.max"
"""Where Linux says how much processor time a container gets: microseconds, or "max", of how many."""


def processors() -> int:
    """Return how many processors are for this process: its share, if it has companions."""
    try:
        found = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        found = os.cpu_count() or 1
    with suppress(OSError, ValueError), open(QUOTA, encoding="ascii") as file:
        most, period = map(int, file.read().split())
        found = min(found, -(-most // period))
    return max(1, found // companions)

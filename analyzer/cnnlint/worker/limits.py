"""Limits on time and memory for running one model."""

from __future__ import annotations

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

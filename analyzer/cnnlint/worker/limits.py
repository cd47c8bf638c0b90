"""What running one model may take."""

from __future__ import annotations

from msgspec import Struct


class RunLimits(Struct, frozen=True, kw_only=True):
    """What running one model may take.

    Attributes:
        timeout: Seconds for one step, such as a load or a run; 0 for any number, None for at least a minute and more
            for larger models.
        memory: Bytes of data; None for most of what is free when the run starts.
    """

    timeout: float | None = None
    memory: int | None = None

"""Who may read the values of weights: by default everyone; under `forbid_values` nobody."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_forbidden: ContextVar[str] = ContextVar("forbidden", default="")


@contextmanager
def forbid_values(reason: str) -> Generator[None]:
    """Have `Weight.values` raise an error that gives `reason`, until the block ends."""
    token = _forbidden.set(reason)
    try:
        yield
    finally:
        _forbidden.reset(token)


def why_forbidden() -> str:
    """Return why values may not be read right now; "" if they may."""
    return _forbidden.get()

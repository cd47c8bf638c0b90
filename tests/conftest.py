"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# a busy machine must not fail a test, and CI must not fail on an example that nobody has seen before
settings.register_profile(
    "cnnlint",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("cnnlint")

"""Rules run over networks written as text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnnlint import testing
from cnnlint.engine.walker import Walk

Lint = Callable[..., Walk]


@pytest.fixture
def lint() -> Lint:
    """The function that runs one rule over one network."""
    return testing.lint

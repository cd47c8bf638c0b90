"""What the tests of the conversion share."""

from typing import Any

import pytest

from cnnlint.conversion.toolchain import toolchain


@pytest.fixture(scope="session")
def keras() -> Any:
    return toolchain().keras

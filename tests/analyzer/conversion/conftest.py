"""What the tests of the conversion share."""

from collections.abc import Iterator
from typing import Any

import pytest

from cnnlint.conversion.toolchain import quiet, toolchain


@pytest.fixture(scope="session")
def keras() -> Any:
    return toolchain().keras


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[None]:
    """Hold back TensorFlow's and Keras's own warnings, which are not what these tests are about."""
    with quiet():
        return (yield)

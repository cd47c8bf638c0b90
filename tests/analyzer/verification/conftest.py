"""What the tests of the comparison share."""

from collections.abc import Iterator

import pytest

from cnnlint.conversion.toolchain import quiet


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[None]:
    """Hold back TensorFlow's and Keras's own warnings, which are not what these tests are about."""
    with quiet():
        return (yield)

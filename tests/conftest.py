"""What holds for all tests: which of them run, how many examples are drawn, and what may load TensorFlow."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Generator
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, settings

from cnnlint.conversion.toolchain import quiet
from cnnlint.runtime import referee
from cnnlint.worker import child, question


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--slow",
        action="store_true",
        help="run the tests marked slow too, and draw as many random examples as CI does",
    )
    parser.addoption(
        "--no-shrink", action="store_true", help="report a random example that fails as it was drawn, at once"
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's `&` has it so, and processes that tests interrupt
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # a busy machine must not fail a test, and CI must not fail on an example that nobody has seen before
    skipped = {Phase.shrink, Phase.explain} if config.getoption("--no-shrink") else set[Phase]()
    for name, examples in (("few", 20), ("many", 100)):
        settings.register_profile(
            name,
            max_examples=examples,
            phases=[phase for phase in Phase if phase not in skipped],
            deadline=None,
            derandomize="CI" in os.environ,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile("many" if _is_thorough(config) else "few")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # an option and not a -m in addopts, which the -m of whoever runs the tests would replace
    left_out = {"slow": not config.getoption("--slow"), "exhaustive": not _is_thorough(config)}
    names = [name for name, is_left_out in left_out.items() if is_left_out]
    deselected = [item for item in items if any(item.get_closest_marker(name) for name in names)]
    items[:] = [item for item in items if item not in set(deselected)]
    config.hook.pytest_deselected(items=deselected)


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether to try everything, with `--slow` and in CI, or a share of it that is as good while working."""
    return _is_thorough(pytestconfig)


def _is_thorough(config: pytest.Config) -> bool:
    return bool(config.getoption("--slow")) or "CI" in os.environ


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with _TensorFlow(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    # what TensorFlow and Keras warn of is not what a test of ours is about
    with _TensorFlow(item), quiet() if item.get_closest_marker("tf") else nullcontext():
        yield


class _TensorFlow:
    """Fails a test that is the first to load TensorFlow and is not marked `tf`."""

    def __init__(self, item: pytest.Item) -> None:
        self.allowed = "tensorflow" in sys.modules or item.get_closest_marker("tf") is not None

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and not self.allowed and "tensorflow" in sys.modules:
            pytest.fail("this test loads TensorFlow: mark it @pytest.mark.tf", pytrace=False)


@pytest.fixture(autouse=True)
def _no_worker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in this process what a worker would do: starting one takes longer than most tests."""
    if request.node.get_closest_marker("worker") is None:
        monkeypatch.setattr(child, "kind_of_this_process", "tensorflow")
        monkeypatch.setattr(referee, "Question", _Answered)


class _Answered:
    """A question that is answered in this process, when the answer is asked for."""

    def __init__(self, program: str, given: bytes, **_: object) -> None:
        self._program, self._given = program, given

    def answer(self) -> bytes | None:
        import onnx  # noqa: F401 - its compiled module is loaded once in a process

        return _answer(self._program, self._given)


@pytest.fixture
def onnx_answers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have onnx infer shapes in this process, for tests of many models that are known not to crash it."""
    monkeypatch.setattr(question, "ask", _answer)


def _answer(program: str, given: bytes, **_: object) -> bytes | None:
    written = io.BytesIO()
    streams = SimpleNamespace(stdin=SimpleNamespace(buffer=io.BytesIO(given)), stdout=SimpleNamespace(buffer=written))
    try:
        exec(program, {"sys": streams})
    except Exception:  # as in a process of its own, which then fails
        return None
    return written.getvalue()

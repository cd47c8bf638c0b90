import io
import time

import pytest

from cnnlint.cli import run as progress_module
from cnnlint.cli.run import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def stderr_is(stream, monkeypatch):
    """Replace standard error; in the test itself, for pytest puts its own in place after the fixtures have run."""
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def test_a_long_run_on_a_terminal_names_the_model_and_counts(monkeypatch):
    terminal = stderr_is(Terminal(), monkeypatch)
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    with progress(["first.onnx", "second.onnx"]) as next_turn:
        next_turn("first.onnx")
        next_turn("second.onnx")
        deadline = time.monotonic() + 10
        while "second.onnx" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "second.onnx" in terminal.getvalue()
    assert "1/2" in terminal.getvalue()


def test_a_short_run_shows_nothing(monkeypatch):
    terminal = stderr_is(Terminal(), monkeypatch)
    with progress(["quick.onnx"]) as next_turn:
        next_turn("quick.onnx")
    assert terminal.getvalue() == ""


def test_a_pipe_gets_nothing_however_long_the_run(monkeypatch):
    stream = stderr_is(io.StringIO(), monkeypatch)
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    with progress(["slow.onnx"]) as next_turn:
        next_turn("slow.onnx")
        time.sleep(0.3)
    assert stream.getvalue() == ""


def test_an_error_in_the_run_ends_the_bar_and_is_passed_on(monkeypatch):
    stderr_is(Terminal(), monkeypatch)
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    with pytest.raises(KeyboardInterrupt), progress(["a.onnx"]):
        raise KeyboardInterrupt

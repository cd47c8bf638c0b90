import io
import re
import time

import pytest

from acceptance.command import MODELS
from cnnlint.cli import main
from cnnlint.cli import progress as progress_module
from cnnlint.cli.progress import progress, waiting
from cnnlint.worker import steps

SMELLY = str(MODELS / "smelly.onnx")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def stderr_is(stream, monkeypatch):
    """Replace standard error; in the test itself, for pytest puts its own in place after the fixtures have run."""
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("CI", raising=False)
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


def test_a_single_model_is_shown_with_the_step_and_the_time(monkeypatch):
    terminal = stderr_is(Terminal(), monkeypatch)
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    with waiting("net.keras"):
        steps.tell("loading it into Keras")
        deadline = time.monotonic() + 10
        while "1 s" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "net.keras loading it into Keras, 1 s" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert "1/1" not in terminal.getvalue()
    steps.tell("nobody watches any more")


@pytest.mark.worker
@pytest.mark.parametrize(
    ("command", "step"),
    [
        (["compare", SMELLY, SMELLY, "--no-layers"], "running it under onnxruntime"),
        (["fix", "--check", "--isolated", SMELLY], "verifying the rewritten model"),
        (["lint", "--run", "--isolated", SMELLY], "loading it into onnxruntime"),
        (["summary", SMELLY], None),
        (["diff", "--isolated", SMELLY, SMELLY], None),
    ],
)
def test_a_command_that_may_take_long_shows_what_its_worker_does(command, step, monkeypatch):
    seen = list[str]()
    stderr_is(Terminal(), monkeypatch)
    monkeypatch.setattr("cnnlint.cli.progress._Shown.see", lambda _, doing: seen.append(doing))
    monkeypatch.setattr("cnnlint.cli.progress._Shown.next_turn", lambda _, model: seen.append(model))
    monkeypatch.setattr("sys.argv", ["cnnlint", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in {0, 1}
    assert SMELLY in seen[0]
    assert step is None or step in seen


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_nothing_is_shown_where_nobody_watches_the_terminal(name, value, monkeypatch):
    terminal = stderr_is(Terminal(), monkeypatch)
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    monkeypatch.setenv(name, value)
    with waiting("net.onnx"):
        time.sleep(0.3)
    assert terminal.getvalue() == ""


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

"""`cnnlint --watch`: what is printed at each save, by a process that is really watching."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from acceptance.command import cnnlint
from analyzer.editing import project

pytest.importorskip("watchfiles", reason="watchfiles is not installed")


class Watching:
    """The lines that a watching process prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines = SimpleQueue[str]()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, text: str, patience: float = 90) -> str:
        """Return what is printed up to and with the line that holds `text`."""
        seen, last = "", time.monotonic() + patience
        while text not in seen.rpartition("\n")[0].rpartition("\n")[2]:
            try:
                seen += self._lines.get(timeout=max(0.0, last - time.monotonic()))
            except Empty:
                raise AssertionError(f"{text!r} was not printed, but:\n{seen}") from None
        return seen

    def rest(self, seconds: float = 0.5) -> str:
        """Return what is printed in so much time."""
        time.sleep(seconds)
        return "".join(self._lines.get() for _ in range(self._lines.qsize()))


@contextmanager
def watching(folder: Path, *arguments: str) -> Iterator[Watching]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnlint", "--watch", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield Watching(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.slow
@pytest.mark.tf
def test_each_save_is_answered_by_what_it_changed(tmp_path):
    folder = project.write(tmp_path / "project")
    blocks = project.SMELL[0]
    with watching(folder, "--definitions") as watched:
        first = watched.until("1 model:")
        assert "BN002" in first
        assert "net (keras)" in first
        # the biases of four convolutions: two of 8 and two of 16 filters
        project.edit(folder, blocks, 'padding="same")', 'padding="same", use_bias=False)')
        told = watched.until("gone") + watched.rest()
        assert f"{blocks} saved, net linted in " in told
        assert "net: parameters " in told
        assert told.count("info[BN002]") + told.count("warning[BN002]") == 4
        # a helper that two others import between them and the factory is seen each time
        project.edit(folder, "train.py", "CLASSES = 10", "CLASSES = 1")
        assert "error[HD001]" in watched.until("new ")
        project.edit(folder, "train.py", "CLASSES = 1", "CLASSES = missing")
        broken = watched.until("NameError: name 'missing' is not defined")
        assert "train.py cannot be imported" in broken
        watched.rest()
        project.edit(folder, "train.py", "CLASSES = missing", "CLASSES = 10")
        assert "error[HD001]" in watched.until("gone ")
        watched.rest()
        (folder / "other.py").write_text("nobody = 'imports this'\n", encoding="utf-8")
        assert watched.rest(1.0) == ""


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="Windows has other signals")
def test_a_definition_that_meets_the_limit_is_ended_and_the_next_save_gets_a_new_process(tmp_path):
    files = {"net.py": "import time\n\ndef make():\n    time.sleep(1000)\n", "pyproject.toml": "[tool.other]\n"}
    folder = project.write(tmp_path / "project", files)
    with watching(folder, "net.py:make", "--run-timeout", "1") as watched:
        watched.until("took longer than 1 s")
        project.edit(folder, "net.py", "time.sleep(1000)", "return time")
        watched.until("module")
        project.edit(folder, "net.py", "return time", "raise ValueError('no network today')")
        watched.until("ValueError: no network today")


def test_what_there_is_nothing_to_watch_of_is_an_error(tmp_path):
    project.write(tmp_path, {"cnnlint.toml": ""})
    done = cnnlint("--definitions", "--watch", cwd=tmp_path)
    assert done.returncode == 2
    assert "no [[definitions]]" in done.stderr


def test_the_option_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    done = cnnlint("net.py:make", "--watch", cwd=tmp_path)
    assert done.returncode == 2
    assert "cnnlint[watch]" in done.stderr

"""What a process is seen to do while it reads a model: what it opens, and what it takes of memory and time."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from cnnlint.frontends.onnx.strip import INFERENCE
from cnnlint.worker import question
from fuzz.questions import SERVER, Questions

WATCHED = {"open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "shutil.rmtree",
           "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"}  # fmt: skip
"""Events that reach beyond the process (https://docs.python.org/3/library/audit_events.html)."""

ASKED = ("/proc/", "/sys/", "/dev/null", "/dev/urandom")
"""Where a process may ask the system about itself."""


class Sandbox:
    """Sees what is opened outside of a folder. There is one for each process: an audit hook cannot be taken away."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._strays = list[str]()
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self._code = tuple(
            {os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, package, *sys.path) if place}
        )
        self._scratch = os.path.realpath(tempfile.gettempdir())  # a file without a name is "opened" there
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._folder is None or event not in WATCHED:
            return
        folder, self._folder = self._folder, None  # what follows is ours
        try:
            target = arguments[0] if arguments else ""
            if event.startswith(("subprocess", "socket", "os.system", "os.exec", "os.posix")):
                if event == "subprocess.Popen" and _asks_onnx(arguments[1]):
                    return
                self._strays.append(f"{event} {str(target)[:80]}")
            elif isinstance(target, (str, bytes, os.PathLike)):
                written = os.fsdecode(target)  # type: ignore[arg-type]
                path = os.path.realpath(written.split("\0")[0])
                if not path.startswith((folder + os.sep, *self._code, *ASKED)) and path not in {folder, self._scratch}:
                    self._strays.append(f"{event} {path}")
        finally:
            self._folder = folder

    @contextmanager
    def watch(self, folder: str) -> Generator[list[str]]:
        """Collect what happens outside of `folder`."""
        self._folder, self._strays = os.path.realpath(folder), []
        try:
            yield self._strays
        finally:
            self._folder = None


def _asks_onnx(command: Any) -> bool:
    """Return whether a process is started to ask onnx for shapes, which reading a model may do."""
    if not isinstance(command, list) or command[:3] != [sys.executable, "-P", "-c"]:
        return False
    return INFERENCE[:60] in command[3] or SERVER in command[3]


class Meter:
    """The time and memory of one call.

    Attributes:
        seconds: Of the processor, so that other processes do not count but those that were started.
        megabytes: That the resident size grew by at its highest.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.megabytes = 0.0

    @contextmanager
    def measure(self) -> Generator[None]:
        """Add what happens within to the time, and raise the memory to its highest."""
        before = _resident(reset=True)
        started = _processor()
        try:
            yield
        finally:
            self.seconds += _processor() - started
            self.megabytes = max(self.megabytes, _resident(reset=False) - before)


_questions = Questions()


def ask_one_process() -> None:
    """Have this process ask another one again and again where it would start one for each question."""
    question.ask = _questions.ask


def _processor() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system + _questions.seconds


def _resident(*, reset: bool) -> float:
    """Return the highest resident size since the last reset, in MB; 0 where the system does not tell."""
    try:
        if reset:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0

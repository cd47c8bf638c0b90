"""A save while `cnnlint --watch` runs, up to what it says: the process that watches is kept from one save to the next.

python -m benchmarks.watched FOLDER      saves once; the first call starts what watches
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

NET = """\
import keras


def make():
    return keras.applications.ResNet50(weights=None)
"""

OVER = 120.0
"""Seconds after which a save counts as unanswered."""


def written(folder: Path) -> str:
    """Write the code of ResNet50 into a folder, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NET, encoding="utf-8")
    return str(folder)


def save(folder: Path) -> None:
    """Save the code, and wait until the lint of it is printed.

    Raises:
        TimeoutError: It is not.
    """
    said = folder / "said"
    if not _is_running(folder):
        command = (str(Path(sys.executable).with_name("cnnlint")), "--watch", "--isolated", "net.py:make")
        with said.open("wb") as stream:
            process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream, start_new_session=True)
        (folder / "pid").write_text(str(process.pid))
        _await(said, b"1 model: ", 0)
    before = said.stat().st_size
    (folder / "net.py").write_text(f"{NET}\n# {time.time()}\n", encoding="utf-8")
    _await(said, b"net.py:make: ", before)


def end(folder: Path) -> None:
    """End what watches, if it runs."""
    with suppress(OSError, ValueError):
        os.kill(int((folder / "pid").read_text()), signal.SIGINT)
    (folder / "pid").unlink(missing_ok=True)


def _is_running(folder: Path) -> bool:
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _await(said: Path, text: bytes, begin: int) -> None:
    until = time.monotonic() + OVER
    while text not in said.read_bytes()[begin:]:
        if time.monotonic() > until:
            raise TimeoutError(said.read_text(encoding="utf-8"))
        time.sleep(0.005)


if __name__ == "__main__":
    save(Path(sys.argv[1]))

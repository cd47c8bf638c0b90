"""Where a system has none of what POSIX or Linux brings, models are linted and run all the same."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from acceptance.command import MODELS
from cnnlint.worker import memory

BARE = """
import builtins, os, sys

for name in ("resource", "fcntl", "termios", "pwd", "grp"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "sysconf", "killpg", "O_TMPFILE", "link", "getuid", "geteuid"):
    if hasattr(os, name):
        delattr(os, name)
shown = builtins.open

def open_here(file, *rest, **options):
    if isinstance(file, str) and file.startswith(("/proc/", "/sys/")):
        raise FileNotFoundError(2, "there is no such file", file)
    return shown(file, *rest, **options)

builtins.open = open_here
"""
"""What Python imports as it starts, in the workers too."""


@pytest.mark.skipif(os.name == "nt", reason="the system has none of it anyway")
@pytest.mark.parametrize("options", [(), ("-j", "2"), ("--run-memory", "4GB")], ids=["run", "several", "limited"])
def test_a_model_is_run_without_what_only_posix_has(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BARE, encoding="utf-8")
    asked = ["-c", "import os, sys; print(hasattr(os, 'sysconf'), sys.modules.get('resource'))"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}

    def python(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, arguments)], env=environment, cwd=tmp_path, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip

    assert python(*asked).stdout.split() == ["False", "None"]
    models = MODELS / "smelly.onnx", MODELS / "seed_cnn.onnx"
    done = python("-m", "cnnlint", *models, "--isolated", "--format", "concise", *options)
    assert done.stderr == ""
    assert done.returncode == 1
    assert "RT006" not in done.stdout
    plain = subprocess.run(
        [sys.executable, "-m", "cnnlint", *map(str, models), "--isolated", "--format", "concise"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == plain.stdout


def test_windows_says_what_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(status) -> int:
        """Fill in MEMORYSTATUSEX as documented: 64 bytes, of which those from the 16th say what is free."""
        place = ctypes.addressof(status._obj)
        assert ctypes.c_uint32.from_address(place).value == 64
        ctypes.c_uint64.from_address(place + 16).value = 5 << 30
        return 1

    monkeypatch.setattr(
        ctypes, "windll", SimpleNamespace(kernel32=SimpleNamespace(GlobalMemoryStatusEx=fill)), raising=False
    )
    assert memory._free_on_windows() == 5 << 30

"""The command line, as a user has it: text in, text and exit code out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cnnlint.cli import main

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "fixtures" / "models"
SEED = MODELS / "seed_cnn.onnx"
VGG = MODELS / "vgg_style.onnx"

PERSONAL = ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
"""Variables of whoever runs the tests, on which colors and width must not depend."""


def cnnlint(*args: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run cnnlint in this process, and return what `cnnlint_process` would.

    What native code writes is caught too. Warnings are errors, as in all tests; an exception that nothing catches
    ends as Python ends on it, with its traceback on standard error and exit code 1.
    """
    if late := [name for name in environment if name.startswith("PYTHON")]:
        raise ValueError(f"Python has read {late} when it started: use cnnlint_process")
    argv = ["cnnlint", *map(str, args)]
    with pytest.MonkeyPatch.context() as patch:
        for name in PERSONAL:
            patch.delenv(name, raising=False)
        for name, text in environment.items():
            patch.setenv(name, text)
        if cwd is not None:
            patch.chdir(cwd)
        patch.setattr(sys, "argv", argv)
        with _caught("stdout") as stdout, _caught("stderr") as stderr:
            code = _exit_code()
    return subprocess.CompletedProcess(argv, code, "".join(stdout), "".join(stderr))


def cnnlint_process(*args: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run cnnlint in a process of its own: for what a process has to itself, and to hold `cnnlint` to it."""
    kept = {key: text for key, text in os.environ.items() if key not in PERSONAL}
    return subprocess.run(
        [sys.executable, "-m", "cnnlint", *map(str, args)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=cwd,
        timeout=120,
        env={**kept, "PYTHONUTF8": "1", **environment},
    )


def lint_json(*args: object, cwd: Path | None = None) -> list[dict[str, Any]]:
    """Return the models of `cnnlint lint ARGS --format json`."""
    return json.loads(cnnlint("lint", *args, "--format", "json", cwd=cwd).stdout)["models"]


def summary_json(*args: object, cwd: Path | None = None) -> list[dict[str, Any]]:
    """Return the models of `cnnlint summary ARGS --format json`."""
    return json.loads(cnnlint("summary", *args, "--format", "json", cwd=cwd).stdout)["models"]


def _exit_code() -> int:
    try:
        main()
    except SystemExit as stop:
        match stop.code:
            case None:
                return 0
            case int(code):
                return code
            case message:
                print(message, file=sys.stderr)
                return 1
    except Exception:
        traceback.print_exc()
        return 1


@contextmanager
def _caught(name: str) -> Iterator[list[str]]:
    """Put a file under a standard stream and its descriptor; the list has what was written when the block ends."""
    number = {"stdout": 1, "stderr": 2}[name]
    said: list[str] = []
    getattr(sys, name).flush()
    kept = os.dup(number)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), number)
            with (
                open(number, "w", encoding="utf-8", closefd=False) as stream,
                pytest.MonkeyPatch.context() as patch,
            ):
                patch.setattr(sys, name, stream)
                yield said
        finally:
            os.dup2(kept, number)
            os.close(kept)
        file.seek(0)
        said.append(file.read().decode("utf-8").replace("\r\n", "\n"))

"""The command line, as a user has it: text in, text and exit code out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "fixtures" / "models"
SEED = MODELS / "seed_cnn.onnx"
VGG = MODELS / "vgg_style.onnx"


def cnnlint(*args: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run cnnlint; colours and width do not depend on who runs the tests."""
    kept = {key: text for key, text in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
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

"""PyTorch modules in memory: what `cnnlint.torch.check` says is what a lint of the exported file says."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1] / "torch_cases" / "in_memory.py"


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("torch") is None or find_spec("onnxscript") is None, reason="torch and onnxscript are not installed"
)
def test_modules_in_memory_are_linted_as_they_are_exported():
    # PyTorch's exporter and TensorFlow, which other tests load, crash in one process
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "--slow", "-p", "no:xdist", "-p", "no:cacheprovider", str(TESTS)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout

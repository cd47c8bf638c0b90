"""The process that is started ahead of time: only where a model will be run, and never left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlint.cli import will_run
from cnnlint.worker import start

GOOD = Path(__file__).parents[3] / "fixtures" / "models" / "vgg_style.onnx"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copy(GOOD, tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments", ["m.onnx", "lint m.onnx", "--isolated m.onnx", "lint --format json m.onnx x.keras"]
)
def test_a_lint_of_an_onnx_file_will_run_it(folder, arguments):
    assert will_run(arguments.split())


@pytest.mark.parametrize(
    "arguments",
    ["", "summary m.onnx", "missing.onnx", "--static m.onnx", "lint --cache-dir=c m.onnx", "m.onnx --run-memory 1GB",
     "lint m.keras", "--help", "fix m.onnx", "explain FC001 --on m.onnx", "m.onnx --config c.toml"],
)  # fmt: skip
def test_nothing_is_started_for_what_runs_no_model_or_within_other_limits(folder, arguments):
    assert not will_run(arguments.split())


def test_nothing_is_started_where_a_configuration_may_forbid_it(folder):
    (folder / "cnnlint.toml").write_text("static = true\n")
    assert not will_run(["m.onnx"])
    assert will_run(["m.onnx", "--isolated"])
    (folder / "cnnlint.toml").write_text('select = ["FC001"]\n')
    assert will_run(["m.onnx"])


def test_the_first_worker_with_the_usual_limits_takes_it_and_others_do_not():
    start.start_ahead()
    (ahead,) = start._waiting
    other = start.start("onnxruntime", 1 << 32)
    assert other.process.pid != ahead.process.pid
    assert start.start("onnxruntime", None) is ahead
    for each in (ahead, other):
        each.process.kill()
        each.process.communicate()
        each.said.close()


def test_what_nobody_took_is_ended():
    start.start_ahead()
    (ahead,) = start._waiting
    start.drop()
    assert ahead.process.poll() is not None
    assert not start._waiting


def test_msgspec_without_typing_extensions_leaves_them_to_whoever_wants_them():
    code = f"import sys; {start.LEAN}; assert 'typing_extensions' not in sys.modules; import typing_extensions"
    subprocess.run([sys.executable, "-c", code], check=True)

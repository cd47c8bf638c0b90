"""What a command loads before it can do its work: a linter is used at every commit only when it starts at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from cnnlint.report import FORMATS

MODELS = Path(__file__).parents[2] / "fixtures" / "models"

LARGE = {"h5py", "keras", "numpy", "onnx", "onnxruntime", "tensorflow", "tf2onnx"}
"""Packages that take longer to import than a lint takes."""

LISTING = """
import json, sys
from cnnlint.cli import main
sys.argv = ["cnnlint", *json.loads(sys.argv[1])]
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
sys.stdout.flush()
print("\\n" + json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


def loaded(*arguments: str, folder: Path, code: tuple[int, ...] = (0, 1)) -> set[str]:
    """Run cnnlint in a process of its own and return the modules that it holds at the end."""
    command = (sys.executable, "-c", LISTING, json.dumps(arguments))
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True)
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["code"] in code, done.stderr
    return set(ended["modules"])


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("--version", "-v"),
        ("--help",),
        ("rules",),
        ("rules", "--format", "json"),
        ("explain", "FC001"),
        ("explain", "RT004", "--format", "markdown"),
        ("lint", "--help"),
        ("summary", "--help"),
        ("completion", "bash"),
    ],
    ids=" ".join,
)
def test_a_command_that_reads_no_model_loads_no_large_package(arguments, tmp_path):
    assert packages(loaded(*arguments, folder=tmp_path, code=(0,))) & LARGE == set()


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("lint", "--help")], ids=" ".join)
def test_a_command_that_needs_no_rules_loads_none(arguments, tmp_path):
    assert packages(loaded(*arguments, folder=tmp_path)) & {"cnnlint_rules", "rich"} == set()


def test_a_static_lint_of_known_layers_loads_no_large_package(tmp_path):
    models = [*sorted(MODELS.glob("*.onnx")), zoo.light_path("densenet121")]
    assert packages(loaded("--static", *map(str, models), folder=tmp_path)) & (LARGE | {"rich"}) == set()


@pytest.mark.slow
@pytest.mark.tf
@pytest.mark.parametrize("net", zoo.LARGE)
def test_a_static_lint_of_a_converted_net_loads_no_large_package(net, tmp_path):
    assert packages(loaded("--static", str(zoo.onnx_path(net)), folder=tmp_path)) & (LARGE | {"rich"}) == set()


def test_no_report_format_loads_a_large_package(tmp_path):
    outputs = [f"--output={form}={tmp_path / form}" for form in FORMATS]
    modules = loaded("--static", *outputs, str(MODELS / "smelly.onnx"), folder=tmp_path)
    assert packages(modules) & LARGE == set()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FORMATS)


def test_a_static_lint_loads_no_runtime_sessions_network_or_cryptography(tmp_path):
    modules = loaded("--static", str(MODELS / "smelly.onnx"), folder=tmp_path)
    assert (
        modules & {"_ssl", "_hashlib", "asyncio", "fsspec", "http.client", "importlib.metadata", "subprocess"} == set()
    )


def test_a_summary_of_known_layers_loads_no_large_package(tmp_path):
    assert packages(loaded("summary", str(MODELS / "smelly.onnx"), folder=tmp_path)) & LARGE == set()


def test_a_static_lint_of_a_keras_archive_loads_no_large_package(tmp_path):
    models = [str(MODELS / name) for name in ("smelly.keras", "seed_cnn.h5")]
    assert packages(loaded("--static", *models, folder=tmp_path)) & LARGE == set()


def test_a_lint_with_run_time_checks_leaves_onnxruntime_and_numpy_to_its_worker(tmp_path):
    modules = loaded(str(MODELS / "seed_cnn.onnx"), folder=tmp_path)
    assert packages(modules) & LARGE == set()
    assert "cnnlint.worker.process" in modules


def test_importing_the_package_loads_nothing_beside_it():
    code = "import sys; before = set(sys.modules); import cnnlint; print(*(set(sys.modules) - before))"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if name.startswith("cnnlint")} == {"cnnlint"}
    assert packages(set(done.stdout.split())) & (LARGE | {"click", "msgspec", "rich"}) == set()

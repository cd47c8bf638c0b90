import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from acceptance.command import MODELS, cnnlint
from networks import write
from repositories import commit_all

ROOT = Path(__file__).parents[3]
SHIPPED = ("pyproject.toml", "README.md", ".pre-commit-hooks.yaml", "analyzer", "rules")
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
FILES = re.search(r"^  files: >-\n((?:    .*\n)+)", HOOKS, re.MULTILINE)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("net.onnx", True), ("deep/net.keras", True), ("net.h5", True), ("net.hdf5", True),
        ("saved/saved_model.pb", True), ("saved_model.pb", True),
        ("net.onnx.data", True), ("net.onnx_data", True), ("weights.bin", True), ("conv1.weight", True),
        ("saved/variables/variables.data-00000-of-00001", True), ("saved/variables/variables.index", True),
        ("cnnlint.toml", True), ("a/pyproject.toml", True), ("cnnlint-baseline.json", True),
        ("not_saved_model.pb", False), ("net.h5.txt", False), ("onnx", False), ("mycnnlint.toml", False),
        ("package.json", False), ("data", False),
    ],
)  # fmt: skip
def test_the_hook_is_for_models_what_belongs_to_them_and_configurations(path, meant):
    assert FILES is not None
    assert bool(re.search(FILES[1].strip(), path)) is meant


@pytest.mark.slow
def test_pre_commit_installs_the_hook_and_runs_it(tmp_path):
    pytest.importorskip("pre_commit")
    hooks, user = tmp_path / "hooks", tmp_path / "user"
    hooks.mkdir()
    user.mkdir()
    for name in SHIPPED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, hooks / name)
    commit_all(hooks)
    for name in ("seed_cnn.onnx", "smelly.onnx"):
        shutil.copy(MODELS / name, user / name)
    (user / "notes.txt").write_text("no model", encoding="utf-8")
    (user / "other.bin").write_bytes(b"data of no model")
    model = onnx.load(user / "seed_cnn.onnx")
    onnx.save_model(model, user / "beside.onnx", save_as_external_data=True, location="beside.onnx.data")
    commit_all(user)

    def run(*args):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "try-repo", "--color", "never", str(hooks), "cnnlint", *args],
            cwd=user, capture_output=True, text=True, check=False, timeout=1200,
            env={**environment, "PRE_COMMIT_HOME": str(tmp_path / "home"), "NO_COLOR": "1"},
        )  # fmt: skip

    fails = run("--all-files")
    assert fails.returncode == 1, fails.stdout + fails.stderr
    assert "exit code: 1" in fails.stdout
    assert "error[HD001]" in fails.stdout
    assert "seed_cnn.onnx" in fails.stdout
    assert "notes.txt" not in fails.stdout
    passes = run("--files", "seed_cnn.onnx")
    assert passes.returncode == 0, passes.stdout + passes.stderr
    said = [line for line in passes.stdout.split("duration:")[1].splitlines()[1:] if line]
    assert len(said) == 1
    assert re.match(r"1 model: .*\d+ warnings?", said[0])
    data = run("--files", "beside.onnx.data")
    assert data.returncode == 0, data.stdout + data.stderr
    assert "1 model: " in data.stdout
    assert run("--files", "other.bin").returncode == 0
    (user / "cnnlint.toml").write_text('[[budgets]]\nmodels = "seed_*"\nparams = 10\n', encoding="utf-8")
    tightened = run("--files", "cnnlint.toml")
    assert tightened.returncode == 1, tightened.stdout + tightened.stderr
    assert "error[BG001]" in tightened.stdout
    assert "seed_cnn.onnx" in tightened.stdout
    skipped = run("--files", "notes.txt")
    assert "no files to check" in skipped.stdout


@pytest.fixture
def project(tmp_path):
    """A repository with a model whose data lie in a file of any name, and another in a folder with settings."""
    write(tmp_path / "net.onnx")
    onnx.save_model(
        onnx.load(tmp_path / "net.onnx"), tmp_path / "net.onnx", save_as_external_data=True, location="values",
        size_threshold=0,
    )  # fmt: skip
    write(tmp_path / "edge" / "small.onnx")
    (tmp_path / "edge" / "cnnlint.toml").write_text("", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.cnnlint]\nbaseline = 'known.json'\n", encoding="utf-8")
    assert cnnlint("net.onnx", "--static", "--write-baseline", "known.json", cwd=tmp_path).returncode == 0
    commit_all(tmp_path)
    write(tmp_path / "untracked.onnx")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "models"),
    [
        (["values"], ["net.onnx"]),
        (["pyproject.toml"], ["net.onnx"]),
        (["known.json"], ["net.onnx"]),
        (["edge/cnnlint.toml"], ["edge/small.onnx"]),
        (["edge/cnnlint.toml", "edge/small.onnx", "values"], ["edge/small.onnx", "net.onnx"]),
        ([".gitignore"], []),
    ],
)
def test_changed_files_stand_for_the_models_that_they_concern(project, changed, models):
    (project / ".gitignore").write_text("x", encoding="utf-8")
    done = cnnlint("lint", "--changed", "--show-files", *changed, cwd=project)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == models


def test_files_of_a_saved_model_stand_for_it(tmp_path):
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        (tmp_path / "saved" / name).write_bytes(b"x")
    done = cnnlint("lint", "--changed", "--show-files", "saved/variables/variables.index", cwd=tmp_path)
    assert done.stdout.split() == ["saved"]


def test_a_tightened_budget_is_held_against_models_that_nobody_touched(project):
    passing = cnnlint("lint", "--changed", "--static", "pyproject.toml", cwd=project)
    assert passing.returncode == 0
    assert passing.stdout.count("\n") == 1
    (project / "pyproject.toml").write_text(
        "[[tool.cnnlint.budgets]]\nmodels = '*.onnx'\nparams = 10\n", encoding="utf-8"
    )
    failing = cnnlint("lint", "--changed", "--static", "pyproject.toml", cwd=project)
    assert failing.returncode == 1
    assert "BG001" in failing.stdout

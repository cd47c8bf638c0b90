import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.command import MODELS

ROOT = Path(__file__).parents[3]
SHIPPED = ("pyproject.toml", "README.md", ".pre-commit-hooks.yaml", "analyzer", "rules")
FILES = re.search(r"^ *files: (.*)$", (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("net.onnx", True), ("deep/net.keras", True), ("net.h5", True), ("net.hdf5", True),
        ("saved/saved_model.pb", True), ("saved_model.pb", True),
        ("not_saved_model.pb", False), ("net.onnx.data", False), ("net.h5.txt", False), ("onnx", False),
    ],
)  # fmt: skip
def test_the_hook_is_for_model_files_and_no_others(path, meant):
    assert FILES is not None
    assert bool(re.search(FILES[1], path)) is meant


def git(folder, *args):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True)


def repository(folder):
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return folder


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
    repository(hooks)
    for name in ("seed_cnn.onnx", "smelly.onnx"):
        shutil.copy(MODELS / name, user / name)
    (user / "notes.txt").write_text("no model", encoding="utf-8")
    repository(user)

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
    skipped = run("--files", "notes.txt")
    assert "no files to check" in skipped.stdout

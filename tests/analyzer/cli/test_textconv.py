"""`cnnlint textconv` as git calls it: on blobs in temporary files, from a real repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import onnx
import pytest

from acceptance.command import MODELS, ROOT, cnnlint
from networks import SMALL, write
from repositories import commit_all, git, into_lfs

DRIVER = "diff.cnnlint.textconv"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import sys

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "analyzer"), str(ROOT / "rules")]))
    (tmp_path / ".gitattributes").write_text("*.onnx diff=cnnlint\n*.keras diff=cnnlint\n", encoding="utf-8")
    commit_all(tmp_path)
    git(tmp_path, "config", DRIVER, f'"{sys.executable}" -m cnnlint textconv')
    return tmp_path


def changes(project: Path) -> list[str]:
    """The lines that `git diff` says are gone or new."""
    lines = git(project, "diff", "HEAD").splitlines()
    return [line for line in lines if line[:1] in {"+", "-"} and not line.startswith(("+++", "---"))]


def test_git_diff_shows_the_layers_that_differ_and_no_others(project: Path) -> None:
    write(project / "net.onnx")
    commit_all(project)
    write(project / "net.onnx", SMALL.replace("FC 10", "FC 12"))
    told = changes(project)
    dense = [line for line in told if "Dense" in line]
    assert [line[0] for line in dense] == ["-", "+"]
    assert [line.split()[-2] for line in dense] == ["50", "60"]  # 4 × 10 + 10 and 4 × 12 + 12
    assert not any("Conv" in line for line in told)
    assert [line for line in told if "parameters" in line] == ["-parameters   162", "+parameters   172"]


def test_external_data_need_not_be_there(project: Path) -> None:
    write(project / "net.onnx")
    model = onnx.load(project / "net.onnx")
    onnx.save_model(model, project / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=100)
    (project / "net.data").unlink()
    text = cnnlint("textconv", project / "net.onnx").stdout
    assert "parameters   162\n" in text


def test_of_an_lfs_pointer_the_object_is_shown(project: Path) -> None:
    write(project / "net.onnx")
    expected = cnnlint("textconv", "net.onnx", cwd=project).stdout
    stored = into_lfs(project, project / "net.onnx")
    assert cnnlint("textconv", "net.onnx", cwd=project).stdout == expected
    stored.unlink()
    done = cnnlint("textconv", "net.onnx", cwd=project)
    assert done.returncode == 0
    assert done.stdout.startswith("not readable: is a Git LFS pointer")


def test_what_is_no_model_does_not_end_git(project: Path) -> None:
    (project / "net.onnx").write_text("broken", encoding="utf-8")
    commit_all(project)
    write(project / "net.onnx")
    told = changes(project)
    assert told[0] == "-not readable: is not an ONNX model"
    assert "+parameters   162" in told


@pytest.mark.parametrize("name", ["smelly.onnx", "seed_cnn.keras"])
def test_no_path_appears(tmp_path: Path, name: str) -> None:
    shutil.copy(MODELS / name, tmp_path / "a-name-of-its-own")
    text = cnnlint("textconv", tmp_path / "a-name-of-its-own").stdout
    assert text == cnnlint("textconv", MODELS / name).stdout
    assert "a-name" not in text


def test_a_missing_file_gives_2(tmp_path: Path) -> None:
    assert cnnlint("textconv", tmp_path / "none.onnx").returncode == 2

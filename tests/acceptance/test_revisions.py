"""Models of git revisions: read without a checkout, named by their addresses, and what a lint is held against."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import onnx
import pytest

import cnnlint
from acceptance.command import MODELS, lint_json, summary_json
from acceptance.command import cnnlint as run
from cnnlint.frontends import git as revisions
from networks import SMALL, write
from repositories import commit_all, git, into_lfs

FLAT = "INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> GAP -> FC 20"
"""112 + 100 parameters."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    for name in ("seed_cnn.keras", "smelly.onnx"):
        shutil.copy(MODELS / name, tmp_path / "models" / name)
    return commit_all(tmp_path)


def with_external_data(path: Path, notation: str = SMALL) -> Path:
    write(path, notation)
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    return path


def facts(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in {"path", "sites", "findings"}}


@pytest.mark.parametrize("name", ["seed_cnn.keras", "smelly.onnx"])
def test_a_model_of_a_revision_is_the_model_that_was_committed(project: Path, name: str) -> None:
    (before,) = lint_json(f"models/{name}", cwd=project)
    (project / "models" / name).unlink()
    (after,) = lint_json(f"git:HEAD:models/{name}", cwd=project)
    assert after["path"] == f"git:HEAD:models/{name}"
    assert facts(after) == facts(before)
    assert [found["message"] for found in after["findings"]] == [found["message"] for found in before["findings"]]


def test_a_path_with_a_dot_is_relative_to_the_working_directory(project: Path) -> None:
    for path in ("./smelly.onnx", "../models/smelly.onnx", "models/smelly.onnx"):
        (report,) = summary_json(f"git:main:{path}", cwd=project / "models")
        assert report["error"] is None


def test_a_revision_alone_is_all_its_models(project: Path) -> None:
    write(project / "models" / "later.onnx")
    paths = [report["path"] for report in lint_json("git:HEAD", "--static", cwd=project)]
    assert paths == ["git:HEAD:models/seed_cnn.keras", "git:HEAD:models/smelly.onnx"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("git:nope:models/smelly.onnx", "no revision 'nope'"),
        ("git:HEAD:models/none.onnx", "the revision has no such file"),
        ("git:HEAD:model/smely.onnx", "the revision has no such file (did you mean git:HEAD:models/smelly.onnx?)"),
        ("git:HEAD:../elsewhere.onnx", "outside of the repository"),
        ("git:", "names no git revision"),
        ("git:--help:x.onnx", "names no git revision"),
        ("git:HEAD:.git", "no such file"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(project: Path, address: str, said: str) -> None:
    done = run(address, cwd=project)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_outside_of_a_repository_there_is_no_revision(tmp_path: Path) -> None:
    done = run("git:HEAD:net.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "lies in no git repository" in done.stderr


def test_external_data_is_that_of_the_revision(tmp_path: Path) -> None:
    with_external_data(tmp_path / "models" / "net.onnx")
    commit_all(tmp_path)
    shutil.rmtree(tmp_path / "models")
    (report,) = lint_json("git:HEAD:models/net.onnx", cwd=tmp_path)
    assert report["error"] is None
    assert report["parameters"] == 162
    git(tmp_path, "rm", "-q", "models/net.onnx.data")
    commit_all(git_restored(tmp_path, "models/net.onnx"))
    done = run("git:HEAD:models/net.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "external data file 'net.onnx.data'" in done.stderr


def git_restored(folder: Path, path: str) -> Path:
    git(folder, "checkout", "-q", "HEAD", "--", path)
    return folder


def test_lfs_objects_are_read_where_they_are_for_models_and_their_data(tmp_path: Path) -> None:
    commit_all(tmp_path)
    model = with_external_data(tmp_path / "net.onnx")
    (expected,) = lint_json(model.name, cwd=tmp_path)
    objects = [into_lfs(tmp_path, tmp_path / name) for name in ("net.onnx", "net.onnx.data")]
    commit_all(tmp_path)
    (report,) = lint_json("git:HEAD:net.onnx", cwd=tmp_path)
    assert facts(report) == facts(expected)
    assert revisions.lfs_object(model.read_bytes(), str(tmp_path), "net.onnx").opened == str(objects[0])
    objects[0].unlink()
    done = run("git:HEAD:net.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "git:HEAD:net.onnx: is a Git LFS pointer, and the object that it points to is not fetched" in done.stderr


def test_lfs_objects_are_found_from_a_linked_worktree(tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.mkdir()
    commit_all(main)
    write(main / "net.onnx")
    into_lfs(main, main / "net.onnx")
    commit_all(main)
    git(main, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    (report,) = summary_json("git:HEAD:net.onnx", cwd=tmp_path / "linked")
    assert report["parameters"] == 162


def test_temporary_paths_appear_nowhere(project: Path) -> None:
    (project / "models" / "smelly.onnx").write_bytes(b"\x08\x07no model")
    commit_all(project)
    for args in (
        ["git:HEAD~1", "--format", "json"],
        ["git:HEAD:models/smelly.onnx"],
        ["--run", "git:HEAD~1:models/smelly.onnx"],
    ):
        done = run(*args, cwd=project)
        said = (done.stdout + done.stderr).replace(str(project), "")
        assert tempfile.gettempdir() not in said
        assert "cnnlint-" not in said


def test_python_takes_addresses(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    report = cnnlint.lint("git:HEAD:models/smelly.onnx", static=True).models[0]
    assert report.parameters == cnnlint.lint("models/smelly.onnx", static=True).models[0].parameters


def test_the_configuration_of_the_working_tree_holds(project: Path) -> None:
    (project / "models" / "cnnlint.toml").write_text(
        '[[budgets]]\nmodels = "*.onnx"\nparams = 10\n[per-model-ignores]\n"smelly.onnx" = ["HD001"]\n',
        encoding="utf-8",
    )
    (report,) = lint_json("git:HEAD:models/smelly.onnx", "--static", cwd=project)
    assert report["budgets"][0]["limit"] == 10
    assert "HD001" not in {found["code"] for found in report["findings"]}
    assert report["suppressed"] == 1


def against(project: Path, *args: str) -> tuple[int, list[dict[str, Any]]]:
    done = run(
        "models", "--static", "--fail-on", "info", "--against", "git:HEAD", "--format", "json", *args, cwd=project
    )
    return done.returncode, json.loads(done.stdout)["models"]


def test_against_a_revision_only_what_is_new_is_reported(project: Path) -> None:
    code, models = against(project)
    assert code == 0
    assert not any(model["findings"] for model in models)
    assert models[1]["baselined"] > 5
    shutil.copy(MODELS / "vgg_style.onnx", project / "models" / "added.onnx")
    code, models = against(project)
    assert code == 1
    assert {model["path"] for model in models if model["findings"]} == {"models/added.onnx"}


@pytest.mark.parametrize("form", ["text", "markdown", "github", "html"])
def test_what_a_revision_has_already_is_counted_as_that(project: Path, form: str) -> None:
    done = run("models", "--static", "--pedantic", "--against", "git:HEAD", "--format", form, cwd=project)
    assert re.search(r"\(\d+ already in git:HEAD\)", done.stdout)
    assert "the baseline" not in done.stdout


def test_against_a_revision_a_moved_model_is_known(project: Path) -> None:
    (project / "models" / "smelly.onnx").rename(project / "models" / "renamed.onnx")
    assert against(project)[0] == 0
    shutil.copy(project / "models" / "renamed.onnx", project / "models" / "twin.onnx")
    code, models = against(project)
    assert code == 1
    assert sum(bool(model["findings"]) for model in models) == 1


def test_against_a_revision_runs_are_known_too(project: Path) -> None:
    done = run("models/smelly.onnx", "--fail-on", "info", "--against", "git:HEAD", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr


def test_budgets_hold_whatever_the_revision_broke(project: Path) -> None:
    assert against(project, "--max-params", "10")[0] == 1


def test_an_old_model_that_cannot_be_read_knows_nothing(project: Path) -> None:
    good = (project / "models" / "smelly.onnx").read_bytes()
    (project / "models" / "smelly.onnx").write_bytes(b"broken")
    commit_all(project)
    (project / "models" / "smelly.onnx").write_bytes(good)
    done = run("models", "--static", "--against", "git:HEAD", cwd=project)
    assert done.returncode == 1
    assert "git:HEAD:models/smelly.onnx: is not an ONNX model; what is found in the model counts as new" in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["--against", "main"], ["--against", "git:main:models"], ["--against", "git:nope"],
        ["--against", "git:main", "--ratchet"], ["--against", "git:main", "--write-baseline", "b.json"],
        ["--against", "git:main", "--baseline", ""],
    ],
)  # fmt: skip
def test_what_against_cannot_be_given_ends_with_2(project: Path, args: list[str]) -> None:
    done = run("models", *args, cwd=project)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_revision_without_its_prefix_is_told_with_it(project: Path) -> None:
    assert run("models", "--against", "main", cwd=project).stderr.endswith("is no revision (write git:main)\n")

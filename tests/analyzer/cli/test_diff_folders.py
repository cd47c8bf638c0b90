"""`cnnlint diff` on folders and git revisions: models by path, what is new, and the comment for a pull request."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from acceptance.command import MODELS
from acceptance.command import cnnlint as run
from cnnlint.operations.diff_report import FolderDiff
from cnnlint.report.json import schema_of
from networks import SMALL, write
from repositories import commit_all

LARGER = SMALL.replace("FC 10", "FC 12")
"""172 parameters in place of 162."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository in whose working tree a model stayed, one grew, one is gone, and one with findings was added."""
    for name in ("same", "grown", "gone"):
        write(tmp_path / "models" / "deep" / f"{name}.onnx")
    commit_all(tmp_path)
    write(tmp_path / "models" / "deep" / "grown.onnx", LARGER)
    (tmp_path / "models" / "deep" / "gone.onnx").unlink()
    shutil.copy(MODELS / "smelly.onnx", tmp_path / "models" / "added.onnx")
    return tmp_path


def report(project: Path, *args: str) -> dict[str, Any]:
    return json.loads(run("diff", *args, "--format", "json", cwd=project).stdout)


def params(model: dict[str, Any]) -> tuple[int | None, int | None]:
    found = next(measure for measure in model["measures"] if measure["quantity"] == "params")
    return found["before"], found["after"]


@pytest.mark.parametrize("before", ["git:main", "git:main:models", "git:HEAD:./models", "git:main:models/"])
def test_models_of_folders_are_matched_by_their_paths(project: Path, before: str) -> None:
    told = report(project, before, "models")
    jsonschema.validate(told, schema_of("folder-diff", FolderDiff))
    models = {(Path(model["before"]).name, Path(model["after"]).name): params(model) for model in told["models"]}
    assert models == {
        ("", "added.onnx"): (None, 10_441),
        ("gone.onnx", ""): (162, None),
        ("grown.onnx", "grown.onnx"): (162, 172),
        ("same.onnx", "same.onnx"): (162, 162),
    }
    assert told["models"][1]["before"] == f"git:{before.split(':')[1]}:models/deep/gone.onnx"


def test_the_count_ends_the_text(project: Path) -> None:
    done = run("diff", "git:main", "models", cwd=project)
    assert done.returncode == 0
    last = done.stdout.splitlines()[-1]
    assert last.startswith("git:main:models → models: 4 models: 1 changed, 1 added, 1 removed, 1 the same;")


def test_a_revision_alone_is_a_file_where_the_other_is_one(project: Path) -> None:
    told = report(project, "git:main", "models/deep/grown.onnx")
    assert told["before"] == "git:main:models/deep/grown.onnx"
    assert params(told) == (162, 172)


def test_two_local_folders_and_two_revisions_are_compared_too(project: Path) -> None:
    shutil.copytree(project / "models", project / "copy")
    assert run("diff", "models", "copy", "--fail-on-new", cwd=project).returncode == 0
    commit_all(project)
    told = report(project, "git:HEAD~1:models", "git:HEAD:models")["models"]
    assert {Path(model["after"]).name for model in told} == {"", "added.onnx", "grown.onnx", "same.onnx"}


def test_new_findings_fail_on_request_only(project: Path) -> None:
    assert run("diff", "git:main", "models", cwd=project).returncode == 0
    assert run("diff", "git:main", "models", "--fail-on-new", cwd=project).returncode == 1
    (project / "models" / "added.onnx").unlink()
    assert run("diff", "git:main", "models", "--fail-on-new", cwd=project).returncode == 0


def test_growth_is_held_for_each_model_that_both_have(project: Path) -> None:
    # 162 parameters become 172, by 6.2%
    assert run("diff", "git:main", "models", "--max-growth", "params=7%", cwd=project).returncode == 0
    over = run("diff", "git:main", "models", "--max-growth", "params=6%", cwd=project)
    assert over.returncode == 1
    assert "over: params +10 (+6.17%), allowed 6%" in over.stdout


def test_a_model_that_cannot_be_read_costs_its_own_row(project: Path) -> None:
    (project / "models" / "deep" / "same.onnx").write_bytes(b"broken")
    done = run("diff", "git:main", "models", "--format", "json", cwd=project)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    errors = [model["error"] for model in json.loads(done.stdout)["models"]]
    assert [error is None for error in errors] == [True, True, True, False]


def test_the_comment_has_costs_bars_of_budgets_and_findings(project: Path) -> None:
    (project / "cnnlint.toml").write_text("[[budgets]]\nmodels = 'models/**/*.onnx'\nparams = 344\n", encoding="utf-8")
    text = run("diff", "git:main", "models", "--format", "markdown", cwd=project).stdout
    rows = [line for line in text.splitlines() if line.startswith("|")]
    grown = [row for row in rows if "`models/deep/grown.onnx`" in row]
    assert "172<br>+10 (+6.2%)" in grown[0]
    assert "`█████░░░░░` 50%" in grown[1]  # 172 of 344
    assert any("`models/added.onnx`" in row and "`██████████` 3035%" in row for row in rows)  # 10,441 of 344
    added, gone = text.index("### New findings"), text.find("### Gone findings")
    assert "HD001" in text[added:gone]
    assert not any("same.onnx" in row and "<br>" in row for row in rows)
    assert len({row.count(" | ") for row in rows if row in grown[:1]}) == 1


def test_a_folder_that_the_revision_does_not_have_yet_is_all_new(project: Path) -> None:
    write(project / "later" / "net.onnx")
    (model,) = report(project, "git:main", "later")["models"]
    assert (model["before"], model["after"]) == ("", "later/net.onnx")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["git:nope", "models"], "no revision 'nope'"),
        (["models", "models/added.onnx"], "is a folder"),
        (["model", "models"], "model: there is no such file or folder (did you mean models?)"),
        (["main", "models"], "main: there is no such file or folder (did you mean git:main?)"),
        (["git:main", "nope"], "nope: there is no such file or folder"),
        (["git:main", "models/added.onnx"], "no such file"),
        (["git:main:none", "git:main:nothing"], "no model in either folder"),
    ],
)
def test_what_cannot_be_compared_ends_with_2_and_one_line(project: Path, args: list[str], said: str) -> None:
    done = run("diff", *args, cwd=project)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1

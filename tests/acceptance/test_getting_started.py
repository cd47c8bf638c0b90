"""What the pages on starting say to write into a repository is run there: hook, workflow and pipeline."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from acceptance.command import MODELS, ROOT, cnnlint
from acceptance.pipelines import Action, gitlab

PAGES = ("README.md", "docs/start-pre-commit.md", "docs/start-github.md", "docs/start-gitlab.md")


def shown() -> list[Any]:
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    return [yaml.safe_load(block) for text in texts for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def entries(value: Any, key: str) -> list[Any]:
    """Return the tables in `value` that have `key`, however deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, dict) and key in value else []
    return found + [each for part in inner for each in entries(part, key)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "models").mkdir(parents=True)
    (folder / ".git").mkdir()
    shutil.copy(MODELS / "smelly.onnx", folder / "models")
    return folder


def test_the_hooks_shown_are_those_offered_and_take_their_arguments(checkout: Path, monkeypatch) -> None:
    offered = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    hooks = [hook for repository in entries(shown(), "hooks") for hook in repository["hooks"]]
    assert [hook["id"] for hook in hooks] == ["cnnlint", "cnnlint"]
    monkeypatch.chdir(checkout)
    for hook in hooks:
        program, *words = shlex.split(offered[hook["id"]]["entry"])
        assert program == "cnnlint"
        done = cnnlint(*words, *hook["args"], "models/smelly.onnx")
        assert done.returncode == 1, done.stderr
        assert "error[HD001]" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are scripts of a POSIX shell")
def test_the_workflow_shown_runs_the_action_with_what_it_takes(checkout: Path, tmp_path: Path) -> None:
    steps = [step for step in entries(shown(), "uses") if step["uses"].startswith("OWNER-OF-THIS-REPOSITORY/cnnlint@")]
    assert len(steps) == 2
    for number, step in enumerate(steps):
        run = Action(checkout, tmp_path / f"runner-{number}").run(**step["with"], python_version="")
        assert run.outputs["exit-code"] == "1", run.log
        assert "HD001" in run.summary
        assert "Upload to code scanning" in run.ran
    (job,) = [job for job in entries(shown(), "runs-on") if "permissions" in job]
    takes = re.findall(r"takes (?:the permission )?`([\w-]+)`", (ROOT / "action.yml").read_text(encoding="utf-8"))
    assert set(job["permissions"]) == {"contents", *takes}


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are scripts of a POSIX shell")
def test_the_pipeline_shown_runs_the_template_with_what_it_takes(checkout: Path, tmp_path: Path) -> None:
    (included,) = entries(shown(), "component")
    run = gitlab(checkout, tmp_path / "runner", **included["inputs"])
    assert run.returncode == 1, run.stderr
    assert "error[HD001]" in run.stdout

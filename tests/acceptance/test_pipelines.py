"""The GitHub Action and the GitLab template, step by step."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.command import MODELS, ROOT
from acceptance.pipelines import Action, GitHub, github, gitlab

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are scripts of a POSIX shell")

SKIPPED_ALL = {"annotations": "false", "summary": "false", "sarif": "false", "comment": "false", "cache": "false"}
MARKER = "<!-- cnnlint: one comment, updated by each run -->\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "team" / "models").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("smelly.onnx", "seed_cnn.onnx"):
        shutil.copy(MODELS / name, folder / "team" / "models" / name)
    return folder


@pytest.fixture
def api() -> Iterator[GitHub]:
    with github() as state:
        yield state


@pytest.fixture
def action(checkout: Path, tmp_path: Path, api: GitHub) -> Action:
    return Action(checkout, tmp_path / "runner", api=api.url)


def test_a_failing_model_fails_the_job_after_all_has_been_reported(action: Action, api: GitHub) -> None:
    run = action.run(pull_request=7, working_directory="team", models="models", args="--static", python_version="")
    assert run.failed
    assert run.ran == [
        "Restore results", "Install cnnlint", "Lint models", "Add to the summary", "Comment on the pull request",
        "Upload to code scanning", "Pass or fail",
    ]  # fmt: skip
    assert run.outputs["exit-code"] == "1"
    assert re.search(r"^::error file=team/models/smelly.onnx,line=1,title=HD001 ", run.log, re.MULTILINE)
    assert run.summary.startswith("# What came before\n## cnnlint\n"), "it is added to"
    assert "HD001" in run.summary
    sarif = json.loads(Path(run.given["Upload to code scanning"]["sarif_file"]).read_text(encoding="utf-8"))
    found = sarif["runs"][0]["results"]
    uris = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in found}
    assert uris == {"team/models/smelly.onnx", "team/models/seed_cnn.onnx"}
    (comment,) = api.comments
    assert comment["body"].startswith(f"{MARKER}## cnnlint\n")
    assert any((action.temp / "cnnlint-cache").rglob("*")), "results are kept where the cache of the job is"
    assert run.given["Restore results"]["path"] == str(action.temp / "cnnlint-cache")
    assert not any(action.workspace.rglob(".cnnlint_cache"))


def test_a_sound_model_passes_and_what_is_switched_off_does_not_run(action: Action, api: GitHub) -> None:
    run = action.run(
        pull_request=7, models="team/models/seed_cnn.onnx", args="--static", python_version="", **SKIPPED_ALL
    )
    assert not run.failed
    assert run.ran == ["Install cnnlint", "Lint models", "Pass or fail"]
    assert run.outputs["exit-code"] == "0"
    assert "::" not in run.log
    assert run.summary == "# What came before\n"
    assert api.asked == []
    assert not (action.temp / "cnnlint-cache").exists()


def test_a_run_that_could_not_be_done_fails_and_uploads_nothing(action: Action, api: GitHub) -> None:
    run = action.run(pull_request=7, args="--no-such-option", python_version="")
    assert run.failed
    assert run.outputs == {"exit-code": "2", "sarif-file": "", "report": ""}
    assert run.ran == ["Restore results", "Install cnnlint", "Lint models", "Pass or fail"]
    assert "--no-such-option" in run.log


def test_inputs_are_words_and_neither_scripts_nor_patterns(action: Action) -> None:
    models = action.workspace / "team" / "models"
    hostile = "$(touch hacked) `touch hacked`; touch hacked #.onnx"
    shutil.copy(models / "seed_cnn.onnx", models / hostile)
    shutil.copy(models / "seed_cnn.onnx", models / "-q.onnx")
    chosen = f"{hostile}\r\n\n-q.onnx\n"
    run = action.run(
        working_directory="team/models", models=chosen, args="--static\n  --select *", python_version="", **SKIPPED_ALL
    )
    assert run.outputs["exit-code"] == "2"
    assert "there is no rule * " in run.log, "the pattern was not replaced by the files of the folder"
    run = action.run(working_directory="team/models", models=chosen, args="--static", python_version="", **SKIPPED_ALL)
    assert (run.failed, run.outputs["exit-code"]) == (False, "0"), run.log
    assert "2 models" in run.log
    assert not list(action.workspace.rglob("hacked"))


def test_the_comment_is_one_that_later_runs_update(action: Action, api: GitHub) -> None:
    for number in range(130):
        api.add(f"comment {number}", user="User")
    forged = api.add(f"{MARKER}put your report here", user="User")
    options = {"args": "--static", "python_version": "", **SKIPPED_ALL, "comment": "true"}
    action.run(pull_request=7, models="team/models/smelly.onnx", **options)
    assert api.asked[-1][0] == "POST", "that of somebody who copied the marker is not ours"
    assert forged["body"] == f"{MARKER}put your report here"
    ours = api.comments[-1]
    assert "smelly.onnx" in ours["body"]
    action.run(pull_request=7, models="team/models/seed_cnn.onnx", **options)
    assert api.asked[-1] == ("PATCH", f"/repos/team/models/issues/comments/{ours['id']}")
    assert ours["body"].startswith(f"{MARKER}## cnnlint\n")
    assert "smelly.onnx" not in ours["body"]
    action.run(pull_request=7, models="team/models/seed_cnn.onnx", **options)
    assert api.asked[-1][0] == "GET", "nothing changed"
    action.run(pull_request=7, models="team/models/seed_cnn.onnx", name="edge", **options)
    assert len(api.comments) == 133, "another use has its own"
    assert not action.run(models="team/models/seed_cnn.onnx", **options).failed, "a push has no pull request"
    assert len(api.comments) == 133


def test_a_token_that_may_not_comment_is_a_notice(action: Action, api: GitHub) -> None:
    api.refuses = 403
    run = action.run(pull_request=7, models="team/models/seed_cnn.onnx", args="--static", python_version="")
    assert not run.failed
    assert "::notice title=cnnlint::The report is not on the pull request" in run.log
    assert "Upload to code scanning" in run.ran


def test_a_report_that_is_too_long_is_cut_at_a_line_with_a_word_about_it(action: Action, api: GitHub) -> None:
    models = action.workspace / "many"
    models.mkdir()
    for number in range(80):
        shutil.copy(MODELS / "smelly.onnx", models / f"{'long-name-' * 10}{number}.onnx")
    run = action.run(pull_request=7, models="many", args="--static", python_version="")
    (comment,) = api.comments
    assert 50_000 < len(comment["body"]) < 65_536
    assert comment["body"].endswith("in [the summary of the run](https://github.com/team/models/actions/runs/77).\n")
    rows = comment["body"].splitlines()[:-2]
    report = Path(run.outputs["report"]).read_text(encoding="utf-8")
    assert rows[-2] in report.splitlines()
    assert report in run.summary, "the summary holds a MiB"


@pytest.mark.parametrize("size", [999_000, 3_000_000])
def test_a_summary_stays_below_what_github_takes(action: Action, size: int) -> None:
    (step,) = [each for each in action.declared["runs"]["steps"] if each["name"] == "Add to the summary"]
    report, summary = action.temp / "report.md", action.temp / "summary.md"
    line = "| ❌ | `a-layer` | " + "x" * 80 + " |\n"
    report.write_text(line * (size // len(line.encode())), encoding="utf-8")
    environment = {**os.environ, "REPORT": str(report), "GITHUB_STEP_SUMMARY": str(summary)}
    subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], env=environment, check=True, timeout=60)
    lines = summary.read_text(encoding="utf-8").splitlines(keepends=True)
    assert summary.stat().st_size < 1 << 20
    if size < 1_000_000:
        assert lines == report.read_text(encoding="utf-8").splitlines(keepends=True)
    else:
        assert set(lines[:-2]) == {line}
        assert lines[-1] == "… and more, in the log.\n"


@pytest.mark.slow
def test_the_action_installs_what_it_is_part_of(checkout: Path, tmp_path: Path) -> None:
    action = Action(checkout, tmp_path / "runner", installs=True)
    run = action.run(models="team/models/seed_cnn.onnx", args="--static", python_version="", **SKIPPED_ALL)
    assert (run.failed, run.outputs["exit-code"]) == (False, "0"), run.log
    assert (action.temp / "cnnlint-environment" / "bin" / "cnnlint").exists()


def test_the_gitlab_job_fails_and_leaves_its_reports(checkout: Path, tmp_path: Path) -> None:
    run = gitlab(
        checkout, tmp_path / "runner", models="team/models/smelly.onnx\nteam/models/seed_cnn.onnx\n", args="--static"
    )
    assert run.returncode == 1, run.stderr
    assert "error[HD001]" in run.stdout
    issues = json.loads((checkout / "cnnlint.json").read_text(encoding="utf-8"))
    assert {issue["location"]["path"] for issue in issues} == {"team/models/smelly.onnx", "team/models/seed_cnn.onnx"}
    assert (checkout / "cnnlint.xml").read_text(encoding="utf-8").startswith("<?xml")
    assert "HD001" in (checkout / "cnnlint.md").read_text(encoding="utf-8")
    assert any((checkout / ".cnnlint_cache").rglob("*"))


def test_the_gitlab_job_takes_inputs_as_words(checkout: Path, tmp_path: Path) -> None:
    hostile = "$(touch hacked) `touch hacked`; touch hacked *.onnx"
    shutil.copy(MODELS / "seed_cnn.onnx", checkout / hostile)
    run = gitlab(checkout, tmp_path / "runner", models=hostile, args="--static --fail-on  error")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 model:" in run.stdout
    assert not list(checkout.rglob("hacked"))
    assert gitlab(checkout, tmp_path / "runner", models=hostile, args="--no-such-option").returncode == 2


def workflows() -> list[Path]:
    return [*(ROOT / ".github" / "workflows").glob("*.yml")]


def test_other_actions_are_pinned_by_commit_with_the_release_beside_it() -> None:
    for path in (ROOT / "action.yml", *workflows()):
        uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
        assert uses
        for each in uses:
            assert each == "./" or re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing() -> None:
    done = subprocess.run(["actionlint", *map(str, workflows())], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("zizmor") is None, reason="zizmor is not installed")
def test_zizmor_finds_nothing_of_weight() -> None:
    command = ["zizmor", "--offline", "--min-severity", "medium", "action.yml", *map(str, workflows())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr

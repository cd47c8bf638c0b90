"""What a run leaves out: by exclude, by what git ignores, and how often rules found something."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from acceptance.command import MODELS, SEED, VGG, cnnlint, lint_json

FOLDERS = ("models", "models/old", "legacy/deep")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(VGG, tmp_path / folder / "vgg.onnx")
    return tmp_path


def configure(project: Path, text: str) -> None:
    (project / "cnnlint.toml").write_text(text, encoding="utf-8")


def shown(*args: object, cwd: Path) -> list[str]:
    done = cnnlint("lint", *args, "--show-files", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.splitlines())


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        (["legacy"], ["models/old/vgg.onnx", "models/vgg.onnx"]),
        (["legacy/"], ["models/old/vgg.onnx", "models/vgg.onnx"]),
        (["deep"], ["models/old/vgg.onnx", "models/vgg.onnx"]),
        (["legacy/*"], ["models/old/vgg.onnx", "models/vgg.onnx"]),
        (["models/*.onnx"], ["legacy/deep/vgg.onnx", "models/old/vgg.onnx"]),
        (["models/**", "none"], ["legacy/deep/vgg.onnx"]),
        (["vgg"], ["legacy/deep/vgg.onnx", "models/old/vgg.onnx", "models/vgg.onnx"]),
        (["lega?y", "old"], ["models/vgg.onnx"]),
    ],
)
def test_a_glob_excludes_what_it_fits_and_all_below_a_folder_that_it_fits(
    globs: list[str], left: list[str], project: Path
) -> None:
    configure(project, f"exclude = {globs}\n")
    assert shown(".", cwd=project) == left
    assert {report["path"] for report in lint_json(".", "--static", cwd=project)} == set(left)


def test_globs_are_relative_to_the_file_and_those_of_the_flag_to_the_working_directory(project: Path) -> None:
    configure(project, "exclude = ['models/old']\n")
    assert shown(".", cwd=project / "models") == ["vgg.onnx"]
    assert shown(".", "--exclude", "old", "--isolated", cwd=project / "models") == ["vgg.onnx"]
    assert shown(".", "--exclude", "models/old", "--isolated", cwd=project / "models") == ["old/vgg.onnx", "vgg.onnx"]
    assert shown(".", "--exclude", "legacy", cwd=project) == ["models/vgg.onnx"], "the flag adds to the file"


def test_folders_above_the_configuration_exclude_nothing(project: Path) -> None:
    configure(project, f"exclude = ['{project.name}']\n")
    assert len(shown(".", cwd=project)) == len(FOLDERS)


def test_a_run_says_how_many_it_skipped_and_of_which_nothing_is_reported(project: Path) -> None:
    configure(project, "exclude = ['legacy', 'old']\n[[budgets]]\nmodels = 'legacy/**'\nparams = 1\n")
    done = cnnlint(".", "--static", cwd=project)
    assert done.returncode == 0, "a budget for excluded models is held against none"
    assert done.stderr == "cnnlint: note: 2 models skipped by exclude\n"
    assert "legacy" not in done.stdout
    assert cnnlint(".", "--static", "-q", cwd=project).stderr == ""


def test_a_folder_with_nothing_left_is_an_error(project: Path) -> None:
    done = cnnlint("models", "--static", "--exclude", "*.onnx", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cnnlint: error: nothing is left to lint: 2 models skipped by exclude\n"
    assert cnnlint("models/*.onnx", "--static", "--exclude", "*.onnx", cwd=project).returncode == 2


def test_a_model_that_is_named_is_linted_unless_exclusion_is_forced(project: Path) -> None:
    configure(project, "exclude = ['legacy']\n")
    named = "legacy/deep/vgg.onnx"
    assert shown(named, cwd=project) == [named]
    assert shown("legacy", named, cwd=project) == [named], "it is named, and found as well"
    done = cnnlint(named, "--static", "--force-exclude", "--max-params", "1", cwd=project)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "cnnlint: note: 1 model skipped by exclude\n"
    configure(project, "exclude = ['legacy']\nforce-exclude = true\n")
    assert shown(named, "models/vgg.onnx", cwd=project) == ["models/vgg.onnx"]
    assert shown(named, "--no-force-exclude", cwd=project) == [named]


def test_an_ignore_that_hides_nothing_but_in_excluded_models_is_unused(project: Path) -> None:
    configure(project, "exclude = ['old', 'legacy']\n[per-model-ignores]\n'*.onnx' = ['BN001']\n")
    (report,) = lint_json(".", "--static", cwd=project)
    assert "CF001" in {finding["code"] for finding in report["findings"]}


def test_what_git_ignores_is_skipped_only_on_request(project: Path) -> None:
    def git(*args: str) -> None:
        subprocess.run(("git", *args), cwd=project, check=True, capture_output=True)

    (project / ".gitignore").write_text("old/\nlegacy\n")
    assert len(shown(".", "--respect-gitignore", cwd=project)) == len(FOLDERS), "there is no repository yet"
    git("init", "-q")
    git("add", "-f", "legacy")
    assert len(shown(".", cwd=project)) == len(FOLDERS)
    left = ["legacy/deep/vgg.onnx", "models/vgg.onnx"]
    assert shown(".", "--respect-gitignore", cwd=project) == left, "what git tracks it does not ignore"
    assert shown(str(project), "--respect-gitignore", cwd=project) == [str(project / path) for path in left]
    configure(project, "respect-gitignore = true\n")
    assert cnnlint(".", "--static", cwd=project).stderr == "cnnlint: note: 1 model skipped by .gitignore\n"
    assert shown("models/old/vgg.onnx", cwd=project) == ["models/old/vgg.onnx"]


def test_fix_and_explain_leave_excluded_models_out_too(project: Path) -> None:
    configure(project, "exclude = ['legacy', 'old']\n")
    told = cnnlint("explain", "FC001", "--on", ".", cwd=project)
    assert (told.returncode, told.stdout.count("FC001 flatten-dense-dominates")) == (0, 1)
    checked = cnnlint("fix", "legacy", "--check", cwd=project)
    assert checked.returncode == 2
    assert "nothing is left" in checked.stderr


def test_show_settings_names_both_origins_of_exclude(project: Path) -> None:
    configure(project, "exclude = ['legacy']\n")
    said = cnnlint("models/vgg.onnx", "--show-settings", "--exclude", "old", cwd=project).stdout
    lines = [" ".join(line.split()) for line in said.splitlines() if line.startswith("exclude")]
    assert lines == [f'exclude = ["legacy"] # {project / "cnnlint.toml"}:1', 'exclude = ["old"] # --exclude']


def test_statistics_count_places_by_rule_and_change_no_exit_code() -> None:
    reports = lint_json(MODELS, "--static", "--isolated")
    places = {
        (finding["severity"], finding["code"]): sum(
            max(1, len(each["places"]))
            for report in reports
            for each in report["findings"]
            if (each["severity"], each["code"]) == (finding["severity"], finding["code"])
        )
        for report in reports
        for finding in report["findings"]
    }
    done = cnnlint(MODELS, "--static", "--isolated", "--statistics")
    *rows, blank, last = done.stdout.splitlines()
    assert {row.split()[1]: int(row.split()[0]) for row in rows} == {
        f"{severity}[{code}]": number for (severity, code), number in places.items()
    }
    assert (blank, last) == ("", cnnlint(MODELS, "--static", "--isolated").stdout.splitlines()[-1])
    assert done.returncode == 1
    numbers = [int(row.split()[0]) for row in rows]
    assert numbers == sorted(numbers, reverse=True)
    assert cnnlint(SEED, "--statistics", "--format", "json").returncode == 2


def test_a_summary_leaves_out_what_the_configuration_excludes_unless_it_is_to_use_none(project: Path) -> None:
    configure(project, 'exclude = ["old"]')
    done = cnnlint("summary", "models", "--format", "json", cwd=project)
    everything = cnnlint("summary", "models", "--format", "json", "--isolated", cwd=project)
    kept, all_of_them = ([model["path"] for model in json.loads(each.stdout)["models"]] for each in (done, everything))
    assert set(kept) < set(all_of_them)
    assert not any("old" in path for path in kept)
    assert "skipped by exclude" in done.stderr

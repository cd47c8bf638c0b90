"""A configuration that merely lies next to a model runs no code; the run says so, and how to go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.acceptance.command import VGG, cnnlint

import cnnlint as package
from cnnlint.errors import ConfigError

RULE = '''
from pathlib import Path

from cnnlint import Confidence, ModelRule, Severity

Path(__file__).with_name("ran").touch()


class Foreign(ModelRule, code="EV001", severity=Severity.WARNING, confidence=Confidence.EXACT):
    """A rule of a downloaded folder."""

    def check(self, context):
        yield self.finding(message="It ran.", evidence={})
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as it may be downloaded: a model, a configuration, and code that leaves a trace."""
    folder = tmp_path / "download"
    folder.mkdir()
    shutil.copy(VGG, folder / "m.onnx")
    (folder / "rules_.py").write_text(RULE)
    (folder / "cnnlint.toml").write_text(
        'rule-files = ["rules_.py"]\nextend-select = ["EV001"]\nignore = ["EV001", "FC002"]\n'
        'per-model-ignores = { "m.onnx" = ["EV001: known"] }\n[severity]\nEV001 = "info"\n[rules.EV001]\n'
    )
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a working directory that has nothing to do with the download."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def ran(folder: Path) -> bool:
    return (folder / "ran").exists()


@pytest.mark.parametrize("command", [(), ("--exit-zero",)])
def test_a_lint_leaves_foreign_rules_out_and_says_how_to_go_on(
    command: tuple[str, ...], folder: Path, elsewhere: Path
) -> None:
    done = cnnlint("lint", "--static", "--format", "json", *command, folder / "m.onnx", VGG, cwd=elsewhere)
    assert not ran(folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "rules_.py" in done.stderr
    assert f"--allow-config-code {folder}" in done.stderr
    assert "--ignore-config-code" in done.stderr
    foreign, own = json.loads(done.stdout)["models"]
    assert foreign["error"] is None
    # its other settings hold: FC002 is ignored
    assert {finding["code"] for finding in foreign["findings"]} == {"FC001"}
    assert len(foreign["incomplete"]) == 1
    assert own["incomplete"] == []


def test_a_lint_without_foreign_rules_has_the_exit_code_of_the_others(folder: Path, elsewhere: Path) -> None:
    done = cnnlint("--static", "--ignore-config-code", folder / "m.onnx", cwd=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert not ran(folder)


@pytest.mark.parametrize("named", ["", "cnnlint.toml"])
def test_rules_run_if_their_configuration_or_its_folder_is_allowed(named: str, folder: Path, elsewhere: Path) -> None:
    done = cnnlint("--static", "--allow-config-code", folder / named, folder / "m.onnx", cwd=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert ran(folder)


def test_a_mistyped_permission_is_an_error(folder: Path, elsewhere: Path) -> None:
    done = cnnlint("--static", "--allow-config-code", folder / "cnlint.toml", folder / "m.onnx", cwd=elsewhere)
    assert done.returncode == 2
    assert "there is no such file or folder" in done.stderr
    assert not ran(folder)


def test_permission_for_one_configuration_is_none_for_another(folder: Path, elsewhere: Path) -> None:
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    done = cnnlint("--static", "--allow-config-code", other, other / "m.onnx", folder / "m.onnx", cwd=elsewhere)
    assert done.returncode == 2
    assert (ran(other), ran(folder)) == (True, False)


def test_a_parent_folder_is_no_permission(folder: Path, elsewhere: Path) -> None:
    cnnlint("--static", "--allow-config-code", folder.parent, folder / "m.onnx", cwd=elsewhere)
    assert not ran(folder)


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_rules_run_from_the_working_directory_upward_and_by_config(below: str, folder: Path) -> None:
    here = folder / below
    here.mkdir(parents=True, exist_ok=True)
    assert cnnlint("--static", folder / "m.onnx", cwd=here).returncode == 0
    assert ran(folder)


def test_rules_run_if_the_configuration_is_named(folder: Path, elsewhere: Path) -> None:
    assert cnnlint("--static", "--config", folder / "cnnlint.toml", folder / "m.onnx", cwd=elsewhere).returncode == 0
    assert ran(folder)


def test_a_link_to_the_own_configuration_gives_no_permission(folder: Path, elsewhere: Path) -> None:
    shutil.move(folder / "cnnlint.toml", elsewhere / "cnnlint.toml")
    (elsewhere / "rules_.py").write_text(RULE)
    (folder / "cnnlint.toml").symlink_to(elsewhere / "cnnlint.toml")
    assert cnnlint("--static", folder / "m.onnx", cwd=elsewhere).returncode == 2
    assert not ran(folder)


@pytest.mark.parametrize(
    "command",
    [
        ("diff", "{model}", VGG),
        ("diff", VGG, "{model}"),
        ("fix", "{model}", "--diff"),
        ("explain", "FC001", "--on", "{model}"),
    ],
)
def test_every_command_that_loads_rules_obeys(command: tuple[str, ...], folder: Path, elsewhere: Path) -> None:
    words = [str(word).format(model=folder / "m.onnx") for word in command]
    refused = cnnlint(*words, cwd=elsewhere)
    assert refused.returncode == 2
    assert "--allow-config-code" in refused.stderr
    ignored = cnnlint(*words, "--ignore-config-code", cwd=elsewhere)
    assert ignored.returncode in {0, 1}
    assert ignored.stderr == ""
    assert not ran(folder)
    allowed = cnnlint(*words, "--allow-config-code", folder, cwd=elsewhere)
    assert allowed.returncode in {0, 1}
    assert ran(folder)


def test_the_list_of_rules_runs_only_what_the_working_directory_has(folder: Path, elsewhere: Path) -> None:
    assert "EV001" not in cnnlint("rules", cwd=elsewhere).stdout
    assert not ran(folder)
    assert "EV001" in cnnlint("rules", cwd=folder).stdout


def test_python_obeys(folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(elsewhere)
    model = folder / "m.onnx"
    report = package.lint(model, static=True)
    assert report.exit_code == 2
    assert len(report.models[0].incomplete) == 1
    assert package.lint(model, static=True, ignore_config_code=True).exit_code == 0
    assert not ran(folder)
    with pytest.raises(ConfigError, match="no such file"):
        package.lint(model, static=True, allow_config_code=[folder / "no.toml"])
    assert package.lint(model, static=True, allow_config_code=[folder]).exit_code == 0
    assert ran(folder)


def test_a_kept_result_does_not_remember_who_allowed_what(folder: Path, elsewhere: Path) -> None:
    kept = ("--static", "--cache-dir", elsewhere / "kept", folder / "m.onnx")
    assert cnnlint(*kept, "--ignore-config-code", cwd=elsewhere).returncode == 0
    assert cnnlint(*kept, cwd=elsewhere).returncode == 2
    assert cnnlint(*kept, "--ignore-config-code", cwd=elsewhere).returncode == 0


@pytest.mark.parametrize("form", ["text", "concise", "jsonl", "markdown", "github", "gitlab", "junit", "sarif", "html"])
def test_every_format_says_what_is_left_out(form: str, folder: Path, elsewhere: Path) -> None:
    done = cnnlint("--static", "--format", form, folder / "m.onnx", cwd=elsewhere)
    assert "--ignore-config-code" in " ".join(done.stdout.split())


def test_what_such_a_configuration_says_of_a_code_of_old_is_an_error_all_the_same(
    folder: Path, elsewhere: Path
) -> None:
    text = (folder / "cnnlint.toml").read_text()
    (folder / "cnnlint.toml").write_text(text.replace('"EV001", "FC002"', '"EV001", "FC004"'))
    done = cnnlint(folder / "m.onnx", "--static", cwd=elsewhere)
    assert done.returncode == 2
    assert "FC004 was split into" in done.stderr
    assert not ran(folder)

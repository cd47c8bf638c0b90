"""Rules in preview run when they are asked for by --preview, and a selection without effect is said to be one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acceptance.command import VGG, cnnlint, lint_json

RULES = '''
from cnnlint import ModelRule


class TriedOut(ModelRule, code="NEW001", since="1.4", preview=True):
    """A new rule."""

    limit: int = 3

    def check(self, context):
        yield self.finding(message="It ran.", evidence={})


class Settled(ModelRule, code="OLD001", since="1.0"):
    """A rule that has been there for long."""

    def check(self, context):
        yield self.finding(message="It ran.", evidence={})
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder whose configuration names a file with a stable rule and one in preview."""
    (tmp_path / "ours.py").write_text(RULES, encoding="utf-8")
    (tmp_path / "cnnlint.toml").write_text('rule-files = ["ours.py"]\n', encoding="utf-8")
    return tmp_path


def codes(folder: Path, *args: str) -> set[str]:
    (report,) = lint_json(VGG, "--static", *args, cwd=folder)
    return {finding["code"] for finding in report["findings"]} & {"NEW001", "OLD001"}


def notes(folder: Path, *args: str) -> list[str]:
    (report,) = lint_json(VGG, "--static", *args, cwd=folder)
    return [note for note in report["notes"] if "preview" in note]


def test_a_rule_in_preview_runs_with_preview_only(folder: Path) -> None:
    assert codes(folder) == {"OLD001"}
    assert codes(folder, "--preview") == {"OLD001", "NEW001"}
    (folder / "cnnlint.toml").write_text('rule-files = ["ours.py"]\npreview = true\n', encoding="utf-8")
    assert codes(folder) == {"OLD001", "NEW001"}
    assert codes(folder, "--no-preview") == {"OLD001"}


def test_preview_leaves_a_selection_as_it_is(folder: Path) -> None:
    assert codes(folder, "--preview", "--select", "OLD") == {"OLD001"}
    assert codes(folder, "--preview", "--ignore", "NEW001") == {"OLD001"}
    assert codes(folder, "--preview", "--select", "ALL") == {"OLD001", "NEW001"}


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("NEW001", "NEW001 has no effect: it selects a rule in preview, and --preview is not set"),
        ("tried-out", "tried-out has no effect: it selects a rule in preview, and --preview is not set"),
        ("NEW", "NEW has no effect: it selects only rules in preview (NEW001), and --preview is not set"),
    ],
)
def test_selecting_it_without_preview_has_no_effect_and_that_is_said(selector: str, said: str, folder: Path) -> None:
    assert codes(folder, "--extend-select", selector) == {"OLD001"}
    assert notes(folder, "--extend-select", selector) == [said]
    assert not notes(folder, "--extend-select", selector, "--preview")


def test_a_selection_of_more_than_rules_in_preview_takes_the_others(folder: Path) -> None:
    assert codes(folder, "--select", "NEW001,OLD001") == {"OLD001"}
    assert codes(folder, "--select", "ALL") == {"OLD001"}
    assert not notes(folder, "--select", "ALL")


def test_its_options_and_ignores_may_stand_in_a_configuration_all_the_same(folder: Path) -> None:
    (folder / "cnnlint.toml").write_text(
        'rule-files = ["ours.py"]\nignore = ["NEW001"]\n[severity]\nNEW001 = "info"\n[rules.NEW001]\nlimit = 4\n'
        '[per-model-ignores]\n"*.onnx" = ["NEW001: on trial"]\n',
        encoding="utf-8",
    )
    done = cnnlint(VGG, "--static", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CF001" not in done.stdout


def test_it_is_marked_where_rules_are_listed_and_explained(folder: Path) -> None:
    listed = cnnlint("rules", "NEW", "OLD", cwd=folder).stdout
    assert [line.endswith("(in preview)") for line in listed.splitlines() if line.startswith(("NEW", "OLD"))] == [
        True, False,
    ]  # fmt: skip
    page = " ".join(cnnlint("explain", "NEW001", cwd=folder).stdout.split())
    assert "since 1.4" in page
    assert "In preview: it runs with --preview only" in page
    rules = json.loads(cnnlint("rules", "NEW", "OLD", "--format", "json", cwd=folder).stdout)["rules"]
    assert [(rule["code"], rule["since"], rule["preview"]) for rule in rules] == [
        ("NEW001", "1.4", True), ("OLD001", "1.0", False),
    ]  # fmt: skip


def test_explain_on_a_model_tries_it_out(folder: Path) -> None:
    assert "found at the network as a whole" in cnnlint("explain", "NEW001", "--on", VGG, cwd=folder).stdout

"""Baselines: what a team knows of is not told again, what is new is, and what is gone is forgotten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

import cnnlint
from acceptance.command import MODELS, lint_json
from acceptance.command import cnnlint as run

KNOWN = "known.json"
STRICT = ("--static", "--fail-on", "info")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    for name in ("vgg_style.onnx", "mobile_style.onnx", "smelly.onnx"):
        shutil.copy(MODELS / name, tmp_path / "models" / name)
    return tmp_path


@pytest.fixture
def known(project: Path) -> Path:
    """The project with a baseline of all that a static lint finds."""
    done = run("models", *STRICT, "--write-baseline", KNOWN, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def content(project: Path) -> dict[str, Any]:
    return json.loads((project / KNOWN).read_text(encoding="utf-8"))


def rewrite(project: Path, entries: list[dict[str, str]]) -> None:
    (project / KNOWN).write_text(json.dumps({**content(project), "findings": entries}), encoding="utf-8")


def places(*args: object, cwd: Path) -> list[tuple[str, str, str]]:
    """The model, rule and place of all that a lint reports."""
    return sorted(
        (report["path"], finding["code"], place["identity"])
        for report in lint_json(*args, cwd=cwd)
        for finding in report["findings"]
        for place in finding["places"]
    )


def entry(project: Path, code: str, model: str = "models/mobile_style.onnx") -> dict[str, str]:
    return next(each for each in content(project)["findings"] if (each["rule"], each["model"]) == (code, model))


def test_a_baseline_holds_every_place_that_a_lint_finds_sorted_and_one_a_line(known: Path) -> None:
    found = places("models", "--static", cwd=known)
    entries = content(known)["findings"]
    assert sorted((each["model"], each["rule"], each["place"]) for each in entries) == found
    assert len(found) > 10
    lines = (known / KNOWN).read_text(encoding="utf-8").splitlines()
    assert sum('"rule"' in line for line in lines) == len(found)
    assert entries == sorted(entries, key=lambda each: (each["model"], each["rule"], each.get("layer", "")))


def test_what_is_in_the_baseline_is_counted_and_not_told(known: Path) -> None:
    total = len(content(known)["findings"])
    done = run("models", *STRICT, "--baseline", KNOWN, cwd=known)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"3 models: no findings ({total} in the baseline)" in done.stdout
    assert sum(report["baselined"] for report in lint_json("models", *STRICT, "--baseline", KNOWN, cwd=known)) == total
    assert run("models", *STRICT, cwd=known).returncode == 1
    (known / "cnnlint.toml").write_text(f"baseline = '{KNOWN}'\n", encoding="utf-8")
    assert run(".", *STRICT, cwd=known / "models").returncode == 0, "it is relative to the configuration"
    assert run("models", *STRICT, "--baseline", "", cwd=known).returncode == 1
    report = cnnlint.lint(known / "models/smelly.onnx", static=True, baseline=known / KNOWN)
    assert (report.models[0].findings, report.exit_code) == ((), 0)


def test_a_finding_about_several_places_is_told_with_the_new_places_only(known: Path) -> None:
    gone = entry(known, "BN005")
    rewrite(known, [each for each in content(known)["findings"] if each != gone])
    reports = lint_json("models", "--static", "--baseline", KNOWN, cwd=known)
    ((report, finding),) = [(report, finding) for report in reports for finding in report["findings"]]
    assert (report["path"], finding["code"]) == (gone["model"], "BN005")
    assert [place["identity"] for place in finding["places"]] == [gone["place"]]
    assert finding["message"] == finding["places"][0]["message"], "it is about this place alone"
    assert finding["layers"][0] == gone["layer"]


@pytest.mark.parametrize("key", ["place", "layer"])
def test_a_place_is_known_by_its_identity_or_by_the_name_of_its_layer(key: str, known: Path) -> None:
    entries = content(known)["findings"]
    rewrite(known, [{**each, key: "another"} if each["rule"] == "FC001" else each for each in entries])
    assert places("models", "--static", "--baseline", KNOWN, cwd=known) == []
    both = [{**each, "place": "x", "layer": "y"} if each["rule"] == "FC001" else each for each in entries]
    rewrite(known, both)
    assert {code for _, code, _ in places("models", "--static", "--baseline", KNOWN, cwd=known)} == {"FC001"}
    said = run("models", "--static", "--baseline", KNOWN, cwd=known).stderr
    assert "no longer found: models/" in said


def test_each_entry_is_used_once(known: Path) -> None:
    again = {each["rule"]: each for each in content(known)["findings"]}["BN005"]
    rewrite(known, [*content(known)["findings"], again])
    said = run("models", "--static", "--baseline", KNOWN, cwd=known).stderr
    assert said.startswith(f"cnnlint: note: {KNOWN}: 1 known place no longer found: {again['model']} BN005")


def test_a_model_that_was_moved_is_known_by_its_structure_and_a_copy_of_it_is_not(known: Path) -> None:
    (known / "new").mkdir()
    shutil.copy(known / "models/smelly.onnx", known / "new/copy.onnx")
    held = ("--static", "--baseline", KNOWN)
    assert places("new", *held, cwd=known) == places("new", "--static", cwd=known), "the first is still there"
    (known / "models/smelly.onnx").rename(known / "new/moved.onnx")
    told = places(".", *held, cwd=known)
    assert told == places("new/moved.onnx", "--static", cwd=known), "one of the two takes the entries"
    (known / "new/copy.onnx").unlink()
    done = run(".", *STRICT, "--baseline", KNOWN, "--ratchet=check", cwd=known)
    assert (done.returncode, done.stderr) == (0, "")
    before = content(known)["findings"]
    said = run(".", *STRICT, "--baseline", KNOWN, "--ratchet", cwd=known).stderr
    after = content(known)["findings"]
    assert {each["model"] for each in after} == {"models/mobile_style.onnx", "models/vgg_style.onnx", "new/moved.onnx"}
    moved = [each for each in after if each["model"] == "new/moved.onnx"]
    assert (len(after), said) == (
        len(before),
        f"cnnlint: note: {KNOWN}: {len(moved)} known places moved, {len(before)} in all\n",
    )


def test_another_export_of_the_same_network_under_another_name_is_known(project: Path) -> None:
    def export(name: str, first: int) -> None:
        model = onnx.load(MODELS / "smelly.onnx")
        for number, node in enumerate(model.graph.node, first):
            node.name = f"node_{node.op_type}_{number}"
        onnx.save(model, project / name)

    export("first.onnx", 1)
    assert run("first.onnx", *STRICT, "--write-baseline", KNOWN, cwd=project).returncode == 0
    before = content(project)["findings"]
    assert "node_" in json.dumps(before)
    (project / "first.onnx").unlink()
    export("second.onnx", 71)
    done = run("second.onnx", *STRICT, "--baseline", KNOWN, "--ratchet", cwd=project)
    assert done.returncode == 0, done.stdout
    after = content(project)["findings"]
    assert {each["model"] for each in after} == {"second.onnx"}
    assert len(after) == len(before)


def test_budgets_and_what_cnnlint_says_of_its_own_work_never_enter(project: Path) -> None:
    (project / "cnnlint.toml").write_text("[per-model-ignores]\n'smelly.onnx' = ['RF001']\n", encoding="utf-8")
    done = run("models", *STRICT, "--max-params", "1", "--write-baseline", KNOWN, cwd=project)
    assert done.returncode == 1, "what may not enter is told"
    assert {
        code for _, code, _ in places("models", "--static", "--max-params", "1", "--baseline", KNOWN, cwd=project)
    } == {
        "BG001",
        "CF001",
    }
    assert not {"BG001", "CF001"} & {each["rule"] for each in content(project)["findings"]}


def test_a_run_that_did_not_finish_never_enters_and_forgets_nothing(known: Path) -> None:
    model = known / "models/smelly.onnx"
    before = content(known)
    model.write_bytes(model.read_bytes()[:200])
    done = run("models", *STRICT, "--write-baseline", KNOWN, cwd=known)
    assert done.returncode == 2
    assert content(known) == before


def test_a_baseline_of_nothing_is_not_written(project: Path) -> None:
    done = run("modles", *STRICT, "--write-baseline", KNOWN, cwd=project)
    assert done.returncode == 2
    assert not (project / KNOWN).exists()


def test_an_entry_whose_rule_or_model_did_not_run_is_neither_known_nor_stale(known: Path) -> None:
    check = ("--baseline", KNOWN, "--ratchet=check")
    for args in (("models", "--select", "FC"), ("models/vgg_style.onnx",), ("models", "--ignore", "BN")):
        done = run(*args, *STRICT, *check, cwd=known)
        assert (done.returncode, done.stderr) == (0, ""), args
    before = content(known)
    assert (
        run("models/vgg_style.onnx", *STRICT, "--select", "FC", "--baseline", KNOWN, "--ratchet", cwd=known).returncode
        == 0
    )
    assert content(known) == before


def test_what_needs_a_run_is_not_stale_in_a_static_lint(project: Path) -> None:
    assert run("models/mobile_style.onnx", "--write-baseline", KNOWN, cwd=project).returncode == 0
    by_values = {"model": "models/mobile_style.onnx", "rule": "WT001", "layer": "gone", "place": "gone"}
    rewrite(project, [*content(project)["findings"], by_values])
    check = ("models/mobile_style.onnx", "--baseline", KNOWN, "--ratchet=check")
    assert run(*check, "--static", cwd=project).returncode == 0
    done = run(*check, cwd=project)
    assert (done.returncode, done.stderr) == (
        1,
        f"cnnlint: error: {KNOWN}: 1 known place no longer found: models/mobile_style.onnx WT001 gone"
        " (--ratchet removes what is gone)\n",
    )
    assert run(*check, "--exit-zero", cwd=project).returncode == 0


def test_stale_entries_are_a_line_and_ratchet_removes_them(known: Path) -> None:
    before = content(known)["findings"]
    shutil.copy(MODELS / "seed_cnn.onnx", known / "models/smelly.onnx")
    held = ("models", "--static", "--select", "FC,HD", "--baseline", KNOWN)
    gone = [each for each in before if each["model"] == "models/smelly.onnx" and each["rule"][:2] in ("FC", "HD")]
    done = run(*held, cwd=known)
    assert done.returncode == 0
    assert f"{len(gone)} known places no longer found: models/smelly.onnx" in done.stderr
    assert content(known)["findings"] == before
    assert run(*held, "-q", cwd=known).stderr == ""
    done = run(*held[1:], "--ratchet", "models", cwd=known)
    left = len(before) - len(gone)
    assert f"{KNOWN}: {len(gone)} known places no longer found and removed, {left} left\n" in done.stderr
    assert content(known)["findings"] == [each for each in before if each not in gone]
    assert run(*held, "--ratchet=check", cwd=known).returncode == 0


@pytest.mark.parametrize("ratchet", ["--ratchet", "--ratchet=check"])
def test_a_ratchet_without_a_baseline_fails(ratchet: str, project: Path) -> None:
    """A pipeline that lost its baseline must not pass for one that holds it."""
    done = run("models", "--static", "--exit-zero", ratchet, cwd=project)
    assert done.returncode == 2
    assert "--ratchet: no model has a baseline (give --baseline FILE" in done.stderr


def test_a_mistyped_baseline_is_suggested(known: Path) -> None:
    assert "(did you mean known.json?)" in run("models", "--baseline", "knwn.json", cwd=known).stderr


def test_no_advice_deletes_a_model_that_was_given_for_a_baseline(project: Path) -> None:
    done = run("models", "--baseline", "models/smelly.onnx", cwd=project)
    assert done.returncode == 2
    assert "models/smelly.onnx: is no baseline" in done.stderr
    assert "delete" not in done.stderr


def test_the_baseline_of_a_configuration_is_named_from_the_working_directory(known: Path) -> None:
    (known / "cnnlint.toml").write_text(f'baseline = "{KNOWN}"\n', encoding="utf-8")
    shutil.copy(MODELS / "vgg_style.onnx", known / "models/smelly.onnx")
    assert f"cnnlint: note: {KNOWN}: " in run("models", "--static", cwd=known).stderr


def test_written_anew_a_baseline_keeps_what_was_not_looked_at_and_drops_models_that_are_gone(known: Path) -> None:
    before = content(known)["findings"]
    (known / "models/smelly.onnx").unlink()
    done = run("models/vgg_style.onnx", *STRICT, "--select", "FC", "--write-baseline", KNOWN, cwd=known)
    assert done.returncode == 0
    assert content(known)["findings"] == [each for each in before if each["model"] != "models/smelly.onnx"]


def test_hashes_of_findings_keep_the_path_and_do_not_depend_on_the_baseline(known: Path) -> None:
    def hashes(*args: str) -> set[str]:
        log = json.loads(run("models", "--static", "--format", "sarif", *args, cwd=known).stdout)
        results = log["runs"][0]["results"]
        return {result["partialFingerprints"]["primaryLocationLineHash"] for result in results}

    every = hashes()
    rewrite(known, [each for each in content(known)["findings"] if each["rule"] != "FC001"])
    left = hashes("--baseline", KNOWN)
    assert left
    assert left < every
    (known / "models/vgg_style.onnx").rename(known / "models/moved.onnx")
    (known / "models/smelly.onnx").rename(known / "models/moved2.onnx")
    assert not hashes("--baseline", KNOWN) & left, "they are found in other files"


def test_results_that_are_kept_hold_for_one_state_of_the_baseline(known: Path) -> None:
    held = ("models", *STRICT, "--baseline", KNOWN, "--cache-dir", "kept")
    first, second = run(*held, cwd=known), run(*held, cwd=known)
    assert (first.returncode, first.stdout) == (second.returncode, second.stdout)
    assert run(*held, "--ratchet=check", cwd=known).stderr == "", "known places count as found"
    rewrite(known, [each for each in content(known)["findings"] if each["rule"] != "FC001"])
    assert run(*held, cwd=known).returncode == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no such baseline (`cnnlint MODEL... --write-baseline known.json` writes it)"),
        ("[]", "is no baseline"),
        ("{", "is no baseline"),
        ('{"version": 1, "models": {}, "findings": [{"model": "a"}]}', "is no baseline"),
        ('{"version": 2, "models": {}, "findings": []}', "is of version 2"),
    ],
)
def test_a_baseline_that_cannot_be_read_ends_the_run(text: str | None, said: str, project: Path) -> None:
    if text is not None:
        (project / KNOWN).write_text(text, encoding="utf-8")
    done = run("models", "--static", "--baseline", KNOWN, cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    if text is not None:
        assert run("models", "--static", "--write-baseline", KNOWN, cwd=project).returncode == 2
        assert (project / KNOWN).read_text(encoding="utf-8") == text

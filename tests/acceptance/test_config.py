"""Configuration, flags and suppression."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from acceptance.command import MODELS, VGG, cnnlint, lint_json


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("models", "legacy"):
        (tmp_path / folder).mkdir()
        shutil.copy(VGG, tmp_path / folder / "vgg.onnx")
    return tmp_path


def configure(project: Path, text: str, name: str = "cnnlint.toml") -> None:
    (project / name).write_text(text, encoding="utf-8")


def codes(project: Path, *args: str) -> dict[str, list[str]]:
    reports = lint_json("models/vgg.onnx", "legacy/vgg.onnx", "--static", *args, cwd=project)
    return {report["path"]: [finding["code"] for finding in report["findings"]] for report in reports}


def test_rules_are_chosen_in_cnnlint_toml_and_in_pyproject(project: Path) -> None:
    everything = codes(project)["models/vgg.onnx"]
    assert {"FC001", "FC002"} <= set(everything)
    configure(project, "select = ['FC']\nignore = ['fc-as-conv']\n")
    assert codes(project)["models/vgg.onnx"] == ["FC001"]
    (project / "cnnlint.toml").unlink()
    configure(project, "[tool.cnnlint]\nselect = ['FC002']\n", "pyproject.toml")
    assert codes(project)["models/vgg.onnx"] == ["FC002"]
    assert codes(project, "--extend-select", "FC001")["models/vgg.onnx"] == ["FC001", "FC002"]
    assert codes(project, "--isolated")["models/vgg.onnx"] == everything


def test_severities_are_overridden_and_fail_the_run(project: Path) -> None:
    assert cnnlint("models", "--static", cwd=project).returncode == 0
    configure(project, "[severity]\nflatten-dense-dominates = 'error'\n")
    done = cnnlint("models", "--static", cwd=project)
    assert done.returncode == 1
    assert "error[FC001] flatten-dense-dominates" in done.stdout


def test_ignores_are_for_models_and_for_layers(project: Path) -> None:
    configure(project, "select = ['FC001']\n[per-model-ignores]\n'legacy/*.onnx' = ['FC001: in production']\n")
    assert codes(project) == {"models/vgg.onnx": ["FC001"], "legacy/vgg.onnx": []}
    configure(project, "select = ['FC001']\n[per-model-ignores]\n'models/*.onnx#fc*' = ['FC001: frozen']\n")
    assert codes(project) == {"models/vgg.onnx": [], "legacy/vgg.onnx": ["FC001"]}
    assert "1 suppressed" in cnnlint("models", "--static", cwd=project).stdout
    told = cnnlint("explain", "FC001", "--on", "models/vgg.onnx", cwd=project).stdout
    assert "ignored: 1 finding" in told


def test_a_finding_about_an_ignore_names_no_folder_of_this_machine(project: Path) -> None:
    configure(project, "[per-model-ignores]\n'models/*.onnx' = ['HD001: never there']\n")
    done = cnnlint("models", "--static", "--format", "json", cwd=project)
    assert "The ignore of HD001 in cnnlint.toml:2 hides nothing." in done.stdout
    assert str(project) not in done.stdout


@pytest.mark.parametrize(
    ("text", "flags", "where"),
    [
        ("ignore = ['FC004']\n", (), "cnnlint.toml: "),
        ("[severity]\nFC004 = 'info'\n", (), "cnnlint.toml:1: "),
        ("[rules.FC004]\n", (), "cnnlint.toml:1: "),
        ("[per-model-ignores]\n'*.onnx' = ['FC004: known']\n", (), "cnnlint.toml:2: "),
        ("", ("--select", "FC004"), "command line: "),
        ("", ("--extend-select", "output-activation"), "command line: "),
    ],
)
def test_a_code_of_old_is_an_error_that_names_its_successors(
    text: str, flags: tuple[str, ...], where: str, project: Path
) -> None:
    configure(project, text)
    done = cnnlint("models", "--static", *flags, cwd=project)
    assert done.returncode == 2
    assert where in done.stderr
    assert "was split into AC002 redundant-activation, AC003 hidden-softmax, HD001 softmax-single-unit" in done.stderr


def test_options_of_rules_are_set(project: Path) -> None:
    configure(project, "select = ['FC001']\n[rules.FC001]\nmin-share = 0.7\n")
    assert codes(project) == {"models/vgg.onnx": [], "legacy/vgg.onnx": []}


def test_budgets_are_for_globs_and_show_what_is_left(project: Path) -> None:
    configure(
        project,
        "[[budgets]]\nmodels = 'models/*.onnx'\nparams = '20 k'\nmessage = 'fits the sensor'\n"
        "[[budgets]]\nmodels = 'legacy/*.onnx'\nparams = '30 k'\n",
    )
    over, kept = lint_json("models/vgg.onnx", "legacy/vgg.onnx", "--static", cwd=project)
    (broken,) = [finding for finding in over["findings"] if finding["code"] == "BG001"]
    assert broken["severity"] == "error"
    assert "5,914 over the budget of 20,000 (fits the sensor); most in fc1 16,448" in broken["message"]
    (budget,) = kept["budgets"]
    assert (budget["measured"], budget["limit"], budget["margin"], budget["passed"]) == (25_914, 30_000, 4_086, True)
    shown = cnnlint("legacy", "--static", cwd=project).stdout
    assert "25,914 of 30,000" in shown


@pytest.mark.parametrize(
    ("flag", "amount", "code"),
    [
        ("--max-params", "25914", 0), ("--max-params", "25913", 1), ("--max-params", "5M", 0),
        ("--max-macs", "1.64M", 1), ("--max-macs", "1.7M", 0), ("--max-weight-bytes", "103kB", 1),
        ("--max-weight-bytes", "104kB", 0), ("--max-weight-bytes", "102KiB", 0), ("--max-layer-share", "63%", 1),
        ("--max-layer-share", "64%", 0), ("--max-layers", "5", 1), ("--max-file-bytes", "1MB", 0),
        ("--max-peak-activation-bytes", "10kB", 1),
    ],
)  # fmt: skip
def test_budgets_are_set_by_flags_in_human_units(flag: str, amount: str, code: int) -> None:
    assert cnnlint(VGG, "--isolated", "--static", flag, amount).returncode == code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("selct = ['FC']", "cnnlint.toml:1: selct: unknown key (did you mean select?)"),
        ("[rules.FC001]\nmin-shre = 0.3", "FC001 has no such option (did you mean min-share?)"),
        ("ignore = ['FC0001']", "there is no rule FC0001 (did you mean FC001?)"),
        ("[severity]\nFC001 = 'eror'", "cnnlint.toml:2: severity.FC001: there is no 'eror' (did you mean error?)"),
        ("[[budgets]]\nparms = 5", "budgets[1].parms: unknown key (did you mean params?)"),
        ("[[budgets]]\nmodels = 'none/*.onnx'\nparams = 5", "matches no model"),
        ("fail-on = 1", "fail-on: expected a string, got a whole number"),
    ],
)
def test_mistakes_are_errors_with_place_and_suggestion(project: Path, text: str, said: str) -> None:
    configure(project, f"{text}\n")
    done = cnnlint("models", "--static", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line


def test_what_an_onnx_model_says_of_itself_is_honored_but_not_for_budgets(tmp_path: Path) -> None:
    import onnx

    proto = onnx.load(VGG)
    for code in ("FC001", "BG001"):
        proto.metadata_props.add(key=f"cnnlint.ignore.{code}", value="*: known")
    onnx.save(proto, tmp_path / "net.onnx")
    args = ("--isolated", "--static", "--select", "FC001,BG001", "--max-params", "1k")
    (found,) = lint_json(tmp_path / "net.onnx", *args)
    listed = {finding["code"] for finding in found["findings"]}
    assert "BG001" in listed
    assert "FC001" not in listed
    (all_of_it,) = lint_json(tmp_path / "net.onnx", *args, "--no-model-ignores")
    assert "FC001" in {finding["code"] for finding in all_of_it["findings"]}


def test_show_settings_tells_where_each_comes_from(project: Path) -> None:
    configure(project, "fail-on = 'warning'\n")
    shown = cnnlint("--show-settings", "models/vgg.onnx", "--pedantic", cwd=project).stdout
    origins = {line.split(" = ")[0]: line.split("# ")[1] for line in shown.splitlines() if " = " in line}
    assert origins["fail-on"] == f"{project / 'cnnlint.toml'}:1"
    assert (origins["pedantic"], origins["select"]) == ("--pedantic", "default")


def test_fixtures_are_there() -> None:
    assert {path.name for path in MODELS.iterdir()} >= {
        "seed_cnn.keras", "seed_cnn.h5", "seed_cnn.onnx", "vgg_style.onnx",
    }  # fmt: skip
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < 1_000_000

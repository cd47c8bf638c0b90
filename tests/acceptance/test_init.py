"""`cnnlint init`: a configuration under which today's models pass, and worse ones do not."""

from __future__ import annotations

import json
import shutil
import tomllib
from fractions import Fraction
from pathlib import Path

import h5py
import onnx
import pytest

import networks
from acceptance.command import MODELS, cnnlint, lint_json
from cnnlint.cli.init import rounded_up
from cnnlint.frontends.notation import to_onnx
from cnnlint.graph.quantity import parse_amount


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder, names in {"edge": ("seed_cnn.onnx", "smelly.onnx", "seed_cnn.keras"), "": ("vgg_style.onnx",)}.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in names:
            shutil.copy(MODELS / name, tmp_path / folder / name)
    return tmp_path


def test_todays_models_pass_under_the_configuration_that_init_writes(project: Path) -> None:
    assert cnnlint(".", "--static", cwd=project).returncode == 1, "there is something to adopt"
    done = cnnlint("init", "--static", cwd=project)
    assert done.returncode == 0, done.stderr
    known = len(json.loads((project / "cnnlint-baseline.json").read_text(encoding="utf-8"))["findings"])
    assert done.stdout == (
        "cnnlint.toml: 3 budgets for 4 models\n"
        f"cnnlint-baseline.json: {known} known places, of which later runs say nothing\n"
        "next: commit both files; `cnnlint .` then passes, and tells what is new\n"
    )
    after = cnnlint(".", "--fail-on", "info", cwd=project)
    assert (after.returncode, after.stderr) == (0, "")
    assert f"4 models: no findings; 16 of 16 budgets kept ({known} in the baseline)" in after.stdout


def test_budgets_are_by_folder_and_kind_of_file_at_the_largest_number_plus_ten_percent(project: Path) -> None:
    before = {report["path"]: report for report in lint_json(".", "--static", cwd=project)}
    cnnlint("init", "--static", cwd=project)
    written = tomllib.loads((project / "cnnlint.toml").read_text(encoding="utf-8"))
    budgets = {budget.pop("models"): budget for budget in written.pop("budgets")}
    assert written == {"baseline": "cnnlint-baseline.json", "static": True}
    assert set(budgets) == {"./*.onnx", "edge/*.keras", "edge/*.onnx"}
    edge = [report for path, report in before.items() if path.startswith("edge/") and path.endswith(".onnx")]
    for key, field, unit in (
        ("params", "parameters", "count"),
        ("macs", "macs", "count"),
        ("weight-bytes", "weight_bytes", "bytes"),
        ("peak-activation-bytes", "peak_activation_bytes", "bytes"),
    ):
        for glob, reports in {"edge/*.onnx": edge, "./*.onnx": [before["vgg_style.onnx"]]}.items():
            most = max(report[field] for report in reports)
            limit = parse_amount(budgets[glob][key], unit)
            assert most * Fraction(11, 10) <= limit <= most * Fraction(112, 100), (glob, key)


def test_a_model_that_grows_or_gets_worse_fails(project: Path) -> None:
    cnnlint("init", "--static", cwd=project)
    shutil.copy(MODELS / "vgg_style.onnx", project / "edge/seed_cnn.onnx")
    done = cnnlint(".", "--fail-on", "warning", cwd=project)
    assert done.returncode == 1
    assert "error[BG001]" in done.stdout


@pytest.mark.parametrize("name", ["cnnlint.toml", "cnnlint-baseline.json", "pyproject.toml"])
def test_init_overwrites_nothing(name: str, project: Path) -> None:
    text = "[tool.cnnlint]\n" if name == "pyproject.toml" else "# mine\n"
    (project / name).write_text(text, encoding="utf-8")
    done = cnnlint("init", "--static", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name}: " in done.stderr
    assert "init overwrites nothing" in done.stderr
    assert (project / name).read_text(encoding="utf-8") == text
    assert {path.name for path in project.glob("*.toml")} | {path.name for path in project.glob("*.json")} == {name}


def test_a_pyproject_of_others_is_no_obstacle(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.ruff]\n# cnnlint\n", encoding="utf-8")
    assert cnnlint("init", "--static", cwd=project).returncode == 0


def test_files_of_weights_alone_are_excluded(project: Path) -> None:
    with h5py.File(project / "w.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=[1.0])
    done = cnnlint("init", "--static", cwd=project)
    assert done.returncode == 0, done.stderr
    assert tomllib.loads((project / "cnnlint.toml").read_text(encoding="utf-8"))["exclude"] == ["w.weights.h5"]
    assert cnnlint(".", cwd=project).stderr == "cnnlint: note: 1 model skipped by exclude\n"


def test_what_is_not_known_of_a_model_gets_no_budget(tmp_path: Path) -> None:
    model = to_onnx(networks.SMALL)
    for position in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[position].dim_param = f"extent{position}"
    onnx.save(model, tmp_path / "open.onnx")
    done = cnnlint("init", "--static", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "cnnlint.toml").read_text(encoding="utf-8")
    (budget,) = tomllib.loads(text)["budgets"]
    assert set(budget) == {"models", "params", "weight-bytes"}
    assert "# no macs, which are not known of open.onnx: `cnnlint open.onnx` says why\n" in text
    assert cnnlint(".", "--fail-on", "info", cwd=tmp_path).returncode == 0


def test_without_models_nothing_is_written(tmp_path: Path) -> None:
    assert cnnlint("init", cwd=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    assert cnnlint("init", cwd=tmp_path).returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["broken.onnx"]


def test_a_model_elsewhere_is_refused(project: Path) -> None:
    done = cnnlint("init", "../vgg_style.onnx", cwd=project / "edge")
    assert done.returncode == 2
    assert "does not lie below the working directory" in done.stderr


def test_a_model_that_cannot_be_read_is_named_and_the_rest_is_written(project: Path) -> None:
    (project / "broken.onnx").write_bytes(b"no model")
    done = cnnlint("init", "--static", cwd=project)
    assert done.returncode == 2
    assert "broken.onnx: " in done.stderr
    assert (project / "cnnlint.toml").exists()
    assert "\nnext: mend or exclude what could not be read, commit both files; `cnnlint .` " in done.stdout
    (project / "broken.onnx").unlink()
    assert cnnlint(".", cwd=project).returncode == 0


@pytest.mark.parametrize(
    ("amount", "unit", "limit"),
    [
        (0, "count", "0"), (1, "count", "2"), (25_914, "count", "28.6 k"), (138_357_544, "count", "153 M"),
        (999, "bytes", "1.10 kB"), (909_090, "bytes", "1000 kB"), (1_000_000, "bytes", "1.10 MB"),
        (15_470_264_320, "count", "17.1 G"),
    ],
)  # fmt: skip
def test_limits_are_read_as_at_least_ten_percent_above(amount: int, unit: str, limit: str) -> None:
    assert rounded_up(amount, unit) == limit
    assert parse_amount(limit, unit) >= amount * Fraction(11, 10)

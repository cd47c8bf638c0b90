"""`cnnlint diff` shows what differs and holds budgets on growth."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from click.testing import CliRunner, Result

from acceptance.command import MODELS
from analyzer.cli.commandline import modules_loaded_by
from cnnlint.cli.commands import commands
from cnnlint.operations.diff_report import DiffReport
from cnnlint.report.json import schema_of
from networks import write

SMALL = "INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> GAP -> FC 10"
LARGE = "INPUT 3x16x16 -> CONV 5 3x3 -> RELU -> GAP -> FC 10"


def diff(*args: object) -> Result:
    return CliRunner().invoke(commands, ["diff", *map(str, args), "--isolated"])


def pair(folder: Path) -> tuple[str, str]:
    return write(folder / "small.onnx", SMALL), write(folder / "large.onnx", LARGE)


def test_growth_beyond_the_budget_gives_1(tmp_path: Path) -> None:
    # 162 parameters become 200
    assert diff(*pair(tmp_path), "--max-growth", "params=38").exit_code == 0
    over = diff(*pair(tmp_path), "--max-growth", "params=23%", "--max-growth", "layers=0")
    assert over.exit_code == 1
    assert "over: params +38 (+23.46%), allowed 23%" in over.output
    assert "kept: layers" in over.output


def test_differences_alone_give_0(tmp_path: Path) -> None:
    result = diff(*pair(tmp_path))
    assert result.exit_code == 0
    assert "filters 4 → 5" in result.output


def test_the_json_has_every_number(tmp_path: Path) -> None:
    report = json.loads(diff(*pair(tmp_path), "--format", "json").stdout)
    jsonschema.validate(report, schema_of("diff", DiffReport))
    params = next(measure for measure in report["measures"] if measure["quantity"] == "params")
    assert (params["before"], params["after"]) == (162, 200)
    assert {"field": "filters", "before": "4", "after": "5"} in report["layers"][0]["changes"]


def test_a_wrong_limit_and_a_missing_model_give_2(tmp_path: Path) -> None:
    small, large = pair(tmp_path)
    assert diff(small, large, "--max-growth", "parms=2%").exit_code == 2
    assert diff(small, tmp_path / "none.onnx").exit_code == 2


def test_neither_model_is_run() -> None:
    code, modules = modules_loaded_by("diff", MODELS / "seed_cnn.keras", MODELS / "seed_cnn.onnx")
    assert code == 0
    assert not modules & {"onnx", "onnxruntime", "tensorflow", "keras"}

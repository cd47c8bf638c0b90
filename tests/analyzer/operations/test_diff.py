"""The static diff counts what the notation says, matches findings, and holds budgets on growth exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper

from cnnlint.errors import ConfigError
from cnnlint.operations.diff import diff, growth_limit, hold
from cnnlint.operations.diff_report import DiffReport, Measure
from networks import write

PLAIN = "INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> CONV 8 3x3 -> RELU -> GAP -> FC 10"
LARGER = "INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> CONV 8 5x5 -> RELU -> CONV 8 1x1 -> RELU -> GAP -> FC 10"


def between(folder: Path, before: str, after: str, *limits: str) -> DiffReport:
    paths = write(folder / "before.onnx", before), write(folder / "after.onnx", after)
    return diff(*paths, limits=[growth_limit(limit) for limit in limits], isolated=True)


def test_a_model_and_itself_differ_in_nothing(tmp_path: Path) -> None:
    report = between(tmp_path, PLAIN, PLAIN, "params=0", "macs=0%", "layers=0")
    assert report.layers == report.new == report.fixed == ()
    assert report.unchanged == 6
    assert all(measure.before == measure.after is not None for measure in report.measures)
    assert all(result.passed for result in report.growth)


def test_what_was_changed_and_added_is_said_with_its_numbers(tmp_path: Path) -> None:
    report = between(tmp_path, PLAIN, LARGER)
    (changed,) = [layer for layer in report.layers if layer.status == "changed"]
    assert ("kernel_size", "3×3", "5×5") in {(c.field, c.before, c.after) for c in changed.changes}
    assert changed.parameters == 8 * 4 * (25 - 9)
    added = [layer for layer in report.layers if layer.status == "added"]
    assert sorted(layer.kind for layer in added) == ["Activation", "Conv"]
    assert sum(layer.parameters for layer in added) == 8 * 8 + 8
    (params,) = [measure for measure in report.measures if measure.quantity == "params"]
    assert params.before == 4 * 27 + 4 + 8 * 4 * 9 + 8 + 10 * 8 + 10
    assert params.after == params.before + 8 * 4 * (25 - 9) + 8 * 8 + 8


def test_an_open_extent_is_the_same_whatever_it_is_called(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 15]>
        g (float[N, 8, {name}] x) => (float y) <int64[3] target = {{0, {rows}, -1}}> {{
            t = Relu (x)
            y = Reshape (t, target)
        }}"""
    paths = dict[str, str]()
    for which, name, rows in (("first", "unk__29", 4), ("second", "unk__36", 4), ("third", "unk__29", 2)):
        paths[which] = str(tmp_path / f"{which}.onnx")
        onnx.save(onnx.parser.parse_model(text.format(name=name, rows=rows)), paths[which])
    assert not diff(paths["first"], paths["second"], isolated=True).layers
    (changed,) = diff(paths["first"], paths["third"], isolated=True).layers
    (target,) = [each for each in changed.changes if each.field == "target"]
    assert (target.before, target.after) == ("N×4×2*unk__29", "N×2×4*unk__29")


def test_the_opposite_diff_removes_what_the_diff_adds(tmp_path: Path) -> None:
    report = between(tmp_path, LARGER, PLAIN)
    assert sorted(layer.kind for layer in report.layers if layer.status == "removed") == ["Activation", "Conv"]
    assert not [layer for layer in report.layers if layer.status == "added"]


def test_findings_are_gone_new_or_kept(tmp_path: Path) -> None:
    flat = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 64 -> RELU -> FC 10"
    gap = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> GAP -> FC 10"
    assert "FC001" in {finding.code for finding in between(tmp_path, flat, gap).fixed}
    assert "FC001" in {finding.code for finding in between(tmp_path, gap, flat).new}
    same = between(tmp_path, flat, flat)
    assert "FC001" in {finding.code for finding in same.kept}
    assert same.fixed == same.new == ()


def test_a_finding_about_a_renamed_layer_is_kept() -> None:
    models = Path(__file__).parents[3] / "fixtures" / "models"
    report = diff(str(models / "vgg_style.keras"), str(models / "vgg_style.onnx"), isolated=True)
    assert "FC001" in {finding.code for finding in report.kept}


@pytest.mark.parametrize(
    ("limit", "passed"), [("params=2%", True), ("params=1.9%", False), ("params=20", True), ("params=19", False)]
)
def test_growth_is_held_exactly(limit: str, passed: bool) -> None:
    measure = Measure(quantity="params", name="parameters", unit="count", before=1000, after=1020)
    (result,) = hold([growth_limit(limit)], [measure])
    assert result.passed == passed
    assert (result.growth, result.share) == (20, 0.02)


def test_growth_from_nothing_is_over_any_share() -> None:
    measure = Measure(quantity="params", name="parameters", unit="count", before=0, after=1)
    assert [result.passed for result in hold([growth_limit("params=500%"), growth_limit("params=1")], [measure])] == [
        False,
        True,
    ]


def test_unknown_growth_fails_with_the_reason(tmp_path: Path) -> None:
    before = write(tmp_path / "before.onnx", PLAIN)
    report = diff(before, _opaque(tmp_path / "after.onnx"), limits=[growth_limit("macs=1000%")], isolated=True)
    (result,) = report.growth
    assert not result.passed
    assert result.growth is None
    assert result.reason


@pytest.mark.parametrize(
    "written", ["params", "params=", "=2%", "parms=2%", "layer-share=2%", "params=0.02", "params=x"]
)
def test_a_limit_that_cannot_be_meant_is_refused(written: str) -> None:
    with pytest.raises(ConfigError):
        growth_limit(written)


def test_a_misspelt_quantity_is_suggested() -> None:
    with pytest.raises(ConfigError, match="params"):
        growth_limit("parms=2%")


def _opaque(path: Path) -> str:
    """Write a network whose convolution stands behind an operator that nobody knows."""
    graph = helper.make_graph(
        [
            helper.make_node("Strange", ["x"], ["s"], domain="nobody"),
            helper.make_node("Conv", ["s", "w"], ["y"], kernel_shape=[3, 3]),
        ],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("nobody", 1)])
    path.write_bytes(model.SerializeToString())
    return str(path)

"""EX021 gives a reshape no constant target that the file's declarations, and not its nodes, speak for."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser
import pytest

import cnnlint

NET = """<ir_version: 8, opset_import: ["" : 15, "acme" : 1]>
    net (float[T, N, 8] x) => (float[{declared}] y)
    <int64 zero = {{0}}, int64 one = {{1}}, int64[1] first = {{0}}, int64[1] rest = {{-1}}> {{
        h = acme.Hidden (x)
        s = Shape (h)
        t = Gather (s, zero)
        n = Gather (s, one)
        rows = Unsqueeze (t, first)
        columns = Unsqueeze (n, first)
        target = Concat <axis = 0> (rows, columns, rest)
        y = Reshape (h, target)
    }}"""


@pytest.mark.parametrize(("declared", "found"), [("1, steps", []), ("1, steps, 8", ["EX021"])])
def test_a_declaration_of_another_rank_is_not_believed(declared: str, found: list[str], tmp_path: Path) -> None:
    # as in ddddocr's reader, whose three axes come after an operator of onnxruntime's own
    onnx.save(onnx.parser.parse_model(NET.format(declared=declared)), tmp_path / "net.onnx")
    (report,) = cnnlint.lint(tmp_path / "net.onnx", isolated=True, static=True, select=["EX021"]).models
    assert [finding.code for finding in report.findings] == found

"""Which lints look at the values of weights: every one of a model on this machine, unless it is static."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.acceptance.command import MODELS, SEED, cnnlint

from cnnlint import Finding, lint
from cnnlint.errors import UnfinishedRunError


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Return an ONNX model with a NaN in its first kernel."""
    model = onnx.load(SEED)
    tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    values = numpy_helper.to_array(tensor).copy()
    values[3, 1, 0, 1] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "damaged.onnx")
    return tmp_path / "damaged.onnx"


def test_a_nan_is_an_error_with_its_place(damaged: Path):
    done = cnnlint(damaged)
    assert done.returncode == 1
    assert "WT001" in done.stdout
    assert "[3, 1, 0, 1]" in " ".join(done.stdout.split())


def test_a_static_lint_looks_at_no_values(damaged: Path):
    assert "WT001" not in cnnlint("--static", damaged).stdout


def test_keras_files_are_looked_into_and_nothing_is_imported_for_it(tmp_path: Path):
    file = tmp_path / "damaged.h5"
    file.write_bytes((MODELS / "seed_cnn.h5").read_bytes())
    with h5py.File(file, "r+") as content:
        kernels = list[str]()
        content.visit(lambda name: kernels.append(name) if name.endswith(("kernel", "kernel:0")) else None)
        content[kernels[0]][0, 1, 2, 3] = np.inf
    code = (
        "import sys, cnnlint\n"
        f"(report,) = cnnlint.lint({str(file)!r}, select=['WT']).models\n"
        "print([finding.code for finding in report.findings], '[0, 1, 2, 3]' in report.findings[0].message)\n"
        "print(sorted(name for name in ('tensorflow', 'keras', 'h5py', 'onnxruntime') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['WT001'] True", "[]"]


def test_a_run_without_rules_on_values_reads_none(damaged: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the values of weights were read")

    monkeypatch.setattr("cnnlint.analysis.weight_values.WeightValues.__init__", refuse)
    for options in ({"select": ["FC"]}, {"static": True}):
        (report,) = lint(str(damaged), **options).models
        assert report.error is None
        assert "CF004" not in {finding.code for finding in report.findings}


def on_values(path: Path, **options: Any) -> list[Finding]:
    (report,) = lint(str(path), isolated=True, **options).models
    assert report.error is None
    return [finding for finding in report.findings if finding.code.startswith("WT")]


def test_values_read_by_the_worker_give_the_same_findings_as_those_read_here(damaged: Path):
    alone = on_values(damaged, select=["WT"])  # without a run there is no worker
    assert [finding.code for finding in alone] == ["WT001"]
    assert on_values(damaged) == alone


def test_values_are_read_even_if_the_run_does_not_end(damaged: Path, monkeypatch: pytest.MonkeyPatch):
    class Crashed:
        def result(self, _: object) -> None:
            raise UnfinishedRunError("the process crashed")

    monkeypatch.setattr("cnnlint.linting.linter.submit", lambda *_, **__: Crashed())
    (report,) = lint(str(damaged), isolated=True).models
    assert {"RT006", "WT001"} <= {finding.code for finding in report.findings}


def test_values_beyond_the_limit_are_noted_in_the_same_words_whoever_reads_them(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cnnlint.limits.VALUES_SPARE", 0)
    monkeypatch.setattr("cnnlint.limits.VALUES_A_BYTE", 0)
    (run,), (alone,) = (lint(str(damaged), isolated=True, **more).models for more in ({}, {"select": ["WT"]}))
    (unread,) = (note for note in alone.notes if "were not looked at" in note)
    assert [note for note in run.notes if "were not looked at" in note] == [unread]


def test_explaining_a_rule_on_a_model_reads_the_values_that_it_is_about(damaged: Path):
    assert "1 finding" in cnnlint("explain", "WT001", "--on", damaged).stdout

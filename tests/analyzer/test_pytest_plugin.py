"""The pytest plugin: what a test of a user's sees, and that a run which asks for nothing imports nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import networks


def run_pytest(folder: Path, *arguments: str, **files: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own on test files, by their names without the ending."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_a_run_that_does_not_ask_for_cnnlint_imports_its_plugin_and_nothing_else(tmp_path):
    ran = run_pytest(tmp_path, test_modules="""
        import sys

        def test_modules():
            loaded = {name for name in sys.modules if name.partition(".")[0] in ("cnnlint", "cnnlint_rules")}
            assert loaded == set()
            assert "cnnlint_pytest" in sys.modules
            assert not {"msgspec", "numpy", "onnx", "click", "keras"} & {*sys.modules}
    """)  # fmt: skip
    assert ran.returncode == 0, ran.stdout


def test_the_text_of_a_failure_is_the_report(tmp_path):
    networks.write(tmp_path / "flat.onnx", networks.FLAT)
    ran = run_pytest(tmp_path, test_net="""
        import cnnlint

        def test_fits(cnnlint_check):
            report = cnnlint_check("flat.onnx", static=True, max_params="3k", max_macs="1M")
            assert [held.passed for held in report[0].budgets] == [True, True]

        def test_is_small(cnnlint_check):
            cnnlint_check("flat.onnx", static=True, max_params="2k")

        def test_is_tidy(cnnlint_check):
            cnnlint_check("flat.onnx", static=True, select=["FC001"], fail_on="warning")
    """)  # fmt: skip
    assert ran.returncode == 1
    assert "1 passed" in ran.stdout
    assert "2 failed" in ran.stdout
    assert "error[BG001]" in ran.stdout
    assert "warning[FC001]" in ran.stdout
    assert "flat.onnx (onnx)" in ran.stdout
    assert "Traceback" not in ran.stdout
    assert "def check" not in ran.stdout


def test_a_mistyped_limit_is_told(tmp_path):
    networks.write(tmp_path / "net.onnx")
    ran = run_pytest(tmp_path, test_net="""
        def test_is_small(cnnlint_check):
            cnnlint_check("net.onnx", max_parms="2k")
    """)  # fmt: skip
    assert ran.returncode == 1
    assert "max_parms" in ran.stdout
    assert "max_params" in ran.stdout

"""The pytest plugin: what a test of a user's sees, and that a run which asks for nothing imports nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import networks
from analyzer.editing import project


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


PROJECT = {
    "nets.py": """
        def broken():
            print("on the way")
            return inner()

        def inner():
            raise ValueError("no network today")

        def other():
            return 7
    """,
    "cnnlint.toml": """
        [[definitions]]
        name = "first"
        factory = "nets.py:broken"

        [[definitions]]
        name = "second"
        factory = "nets.py:other"
        model = "stored.keras"
    """,
}


def last_line(ran: subprocess.CompletedProcess[str]) -> str:
    return ran.stdout.strip().splitlines()[-1]


def test_definitions_are_collected_beside_the_tests_and_fail_with_what_is_wrong(tmp_path):
    project.write(tmp_path, PROJECT)
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n", encoding="utf-8")
    (tmp_path / "tests" / "test_one.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
    assert "1 passed" in last_line(run_pytest(tmp_path))
    assert "1 failed, 2 deselected" in last_line(run_pytest(tmp_path, "--cnnlint", "-k", "second"))
    assert "1 failed" in last_line(run_pytest(tmp_path, "--cnnlint", "cnnlint.toml::first"))
    ran = run_pytest(tmp_path, "--cnnlint")
    assert "2 failed, 1 passed" in last_line(ran)
    assert "first: broken raises ValueError: no network today" in ran.stdout
    assert "line 6, in inner" in ran.stdout
    assert "on the way" in ran.stdout
    assert "cnnlint_pytest" not in ran.stdout
    assert "second: " in ran.stdout


def test_asking_for_definitions_where_there_are_none_is_an_error(tmp_path):
    project.write(tmp_path, {"cnnlint.toml": ""})
    ran = run_pytest(tmp_path, "--cnnlint")
    assert ran.returncode == 4
    assert "no [[definitions]]" in ran.stderr

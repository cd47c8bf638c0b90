"""`cnnlint new-rule`, and what is said of mistyped paths, commands and amounts, as a user has them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import networks


def cnnlint(*args: str) -> subprocess.CompletedProcess[str]:
    return _run("-m", "cnnlint", *args)


def _run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=120, check=False)


def test_a_new_rule_passes_its_test_and_finds_something_in_a_lint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = cnnlint("new-rule", "too-many-filters", "--code", "ACM001", "--folder", "lint")
    assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in (tmp_path / "lint").iterdir()) == [
        "test_too_many_filters.py",
        "too_many_filters.py",
    ]
    tested = _run("-m", "pytest", "-q", "-p", "no:cacheprovider", "lint")
    assert "3 passed" in tested.stdout, tested.stdout
    networks.write(tmp_path / "wide.onnx", "INPUT 3x8x8 -> CONV 600 3x3 -> RELU -> GAP -> FC 10")
    (tmp_path / "cnnlint.toml").write_text('rule-files = ["lint/too_many_filters.py"]\n', encoding="utf-8")
    found = cnnlint("--static", "--select", "ACM001", "--format", "concise", "wide.onnx")
    assert "ACM001" in found.stdout
    assert "600 filters" in found.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("TooMany",), "kebab-case"),
        (("too-many", "--code", "A1"), "is not a code"),
        (("too-many", "--code", "FC001"), "FC001 flatten-dense-dominates"),
        (("flatten-dense-dominates",), "FC001 flatten-dense-dominates"),
    ],
)
def test_a_rule_that_cannot_be_is_not_written(tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    done = cnnlint("new-rule", *args)
    assert done.returncode == 2
    assert said in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_file_that_is_there_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_too_many.py").write_text("mine", encoding="utf-8")
    done = cnnlint("new-rule", "too-many")
    assert (done.returncode, "not overwritten" in done.stderr) == (2, True)
    assert (tmp_path / "test_too_many.py").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "too_many.py").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ("models/resent.onnx",),
            "models/resent.onnx: there is no such file or folder (did you mean models/resnet.onnx?)",
        ),
        (("summary", "models/resent.onnx"), "(did you mean models/resnet.onnx?)"),
        (("diff", "models/resnet.onnx", "model/resnet.onnx"), "(did you mean models/resnet.onnx?)"),
        (("check",), "(did you mean the command lint?)"),
        (("help",), "(`cnnlint --help` lists the commands)"),
        (("new-rul", "x"), "(did you mean the command new-rule?)"),
        (("--max-params", "-5", "models"), "--max-params -5: '-5' is negative (write 0 or more: a number such as"),
        (("--max-parms", "5", "models"), "--max-params"),
    ],
)
def test_what_was_meant_is_said(tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    networks.write(tmp_path / "models" / "resnet.onnx", networks.FLAT)
    done = cnnlint(*args)
    assert done.returncode == 2
    assert said in done.stderr

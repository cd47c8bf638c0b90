"""`cnnlint new-rule`, and what is said of mistyped paths, commands and amounts, as a user has them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import networks
from cnnlint.errors import installing


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
    ("note", "extra", "package"),
    [
        ("pipx_metadata.json", "pipx install --force 'cnnlint[keras]'", "pipx inject cnnlint pandas"),
        ("uv-receipt.toml", "uv tool install 'cnnlint[keras]'", "uv tool install --with pandas cnnlint"),
        ("uv = 0.9.2", "uv pip install 'cnnlint[keras]'", "uv pip install pandas"),
        ("version = 3.11.7", "python -m pip install 'cnnlint[keras]'", "python -m pip install pandas"),
    ],
)
def test_a_package_is_installed_as_this_copy_was(tmp_path, monkeypatch, note, extra, package):
    is_line = " = " in note
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{note if is_line else ''}\n")
    if not is_line:
        (tmp_path / note).touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert (installing("cnnlint[keras]"), installing("pandas")) == (extra, package)


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


def test_each_new_rule_of_a_folder_has_a_code_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("too-many", "too-few"):
        assert cnnlint("new-rule", name).returncode == 0
    (tmp_path / "cnnlint.toml").write_text('rule-files = ["too_many.py", "too_few.py"]\n', encoding="utf-8")
    listed = cnnlint("rules", "MY")
    assert [line.split()[:2] for line in listed.stdout.splitlines() if line.startswith("MY")] == [
        ["MY001", "too-many"], ["MY002", "too-few"],
    ], listed.stderr  # fmt: skip
    taken = cnnlint("new-rule", "too-odd", "--code", "MY002")
    assert (taken.returncode, taken.stderr.count("too_few.py: a rule has the code MY002 already")) == (2, 1)


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
        (("help",), "(`cnnlint --help` lists the commands, "),
        (("version",), "(did you mean the option --version?)"),
        (("--config", "cnnlnt.toml", "models"), "there is no such configuration file (did you mean cnnlint.toml?)"),
        (("new-rul", "x"), "(did you mean the command new-rule?)"),
        (("--max-params", "-5", "models"), "--max-params -5: '-5' is negative (write 0 or more: a number such as"),
        (("--max-parms", "5", "models"), "--max-params"),
    ],
)
def test_what_was_meant_is_said(tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    networks.write(tmp_path / "models" / "resnet.onnx", networks.FLAT)
    (tmp_path / "cnnlint.toml").touch()
    done = cnnlint(*args)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_v_shows_the_traceback_of_a_rule_that_raises(tmp_path, monkeypatch, jobs):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        networks.write(tmp_path / f"{name}.onnx", networks.FLAT)
    assert cnnlint("new-rule", "own").returncode == 0
    rule = tmp_path / "own.py"
    text = rule.read_text()
    start = text.index("def check")
    rule.write_text(text[:start] + text[start : text.index("\n", start)] + '\n        raise KeyError("oops")\n')
    (tmp_path / "cnnlint.toml").write_text('rule-files = ["own.py"]\nextend-select = ["MY"]\n')
    quiet, told = (cnnlint("lint", ".", "--static", "-j", jobs, *more) for more in ((), ("-v",)))
    assert "could not finish: KeyError: 'oops'" in quiet.stdout
    assert "Traceback" not in quiet.stderr
    assert told.stderr.count('raise KeyError("oops")') == 2
    assert "a.onnx: a rule raised an exception:" in told.stderr


def test_v_shows_the_traceback_of_a_file_of_rules_that_cannot_be_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    networks.write(tmp_path / "a.onnx", networks.FLAT)
    (tmp_path / "own.py").write_text("import nonesuch\n")
    (tmp_path / "cnnlint.toml").write_text('rule-files = ["own.py"]\n')
    assert cnnlint("lint", "a.onnx", "--static").stderr.count("\n") == 1
    told = cnnlint("lint", "a.onnx", "--static", "-v").stderr
    assert 'own.py", line 1, in <module>' in told

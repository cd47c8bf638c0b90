"""Exit codes, streams, and the small commands around the lint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.command import MODELS, ROOT, SEED, VGG, cnnlint, cnnlint_process
from acceptance.nets import model, write

RESNET = MODELS / "resnet_style.onnx"
"""A network of which there is information only."""


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([SEED], 0),
        ([VGG], 0),
        ([VGG, "--fail-on", "warning"], 1),
        ([RESNET, "--fail-on", "warning"], 0),
        ([SEED, "--fail-on", "warning"], 1),
        ([SEED, "--fail-on", "info"], 1),
        ([SEED, "--fail-on", "info", "--exit-zero"], 0),
        ([VGG, "--fail-on", "never", "--max-params", "1k"], 0),
        ([VGG, "--max-params", "1k"], 1),
        ([VGG, "nowhere.onnx"], 2),
        (["nowhere.onnx", "--exit-zero"], 2),
        ([VGG, "--select", "ZZ999"], 2),
        ([VGG, "--format", "xml"], 2),
        ([VGG, "--max-params", "5Q"], 2),
        ([VGG, "--input", "x=1xa"], 2),
        (["explain", "FC001"], 0),
        (["explain", "flatten-dense-dominates"], 0),
        (["explain", "FC999"], 2),
        (["rules"], 0),
        (["--version"], 0),
        (["--help"], 0),
    ],
    ids=lambda value: " ".join(Path(str(arg)).name for arg in value) if isinstance(value, list) else None,
)
def test_exit_codes(args: list[object], code: int, thorough: bool) -> None:
    lints = args[0] in (SEED, VGG, "nowhere.onnx")
    given = [*args, *(["--isolated", "--static"] if lints else [])]
    done = cnnlint(*given)
    assert done.returncode == code
    assert bool(done.stderr) == (code == 2)
    assert "Traceback" not in done.stderr
    if thorough or VGG not in args:
        alone = cnnlint_process(*given)
        assert (alone.returncode, alone.stdout, alone.stderr) == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("form", ["text", "concise", "junit"])
def test_what_fails_the_run_and_is_not_shown_is_owned_up_to(form: str) -> None:
    hiding = cnnlint(
        SEED, "--isolated", "--static", "--min-severity", "error", "--format", form, "--fail-on", "warning"
    )
    assert hiding.returncode == 1
    assert hiding.stderr == "cnnlint: note: 1 finding fails the run and is hidden by --min-severity\n"
    assert not cnnlint(SEED, "--isolated", "--static", "--min-severity", "error", "--format", form).stderr


def test_every_rule_is_listed_and_has_a_page() -> None:
    rules = json.loads(cnnlint("rules", "--format", "json").stdout)["rules"]
    about_networks = [rule for rule in rules if not rule["code"].startswith("CF")]
    assert {rule["code"] for rule in about_networks} >= {
        "FC001", "FC002", "FC003", "FC005", "BN001", "BN002", "BN003", "BN004", "BN005", "BN006", "CV001", "CV002",
        "CV003", "PL001", "PL002", "AR001", "AC001", "AC002", "AC003", "BG001", "EX001", "HD001", "HD002", "HD003",
        "RT001", "RT002", "RT003", "RT004", "RT005",
    }  # fmt: skip
    for rule in about_networks:
        page = (ROOT / "docs" / "rules" / f"{rule['code']}.md").read_text(encoding="utf-8")
        assert rule["name"] in page
        for part in ("## Why", "## Instead", "## When not", "## References"):
            assert part in page, (rule["code"], part)


def test_explain_shows_the_page() -> None:
    shown = cnnlint("explain", "FC001").stdout
    for part in ("flatten-dense-dominates (FC001)", "Why", "Instead", "When not", "Options", "References", "min-share"):
        assert part in shown


def test_the_verbose_version_names_what_it_works_with() -> None:
    shown = cnnlint("--version", "-v").stdout
    for package in ("cnnlint", "python", "onnx", "onnxruntime", "numpy", "h5py"):
        assert package in shown


def completed(*words: str) -> list[str]:
    """Return what bash is offered for the last of `words`."""
    done = cnnlint(
        _CNNLINT_COMPLETE="bash_complete", COMP_WORDS=" ".join(("cnnlint", *words)), COMP_CWORD=str(len(words))
    )
    return done.stdout.split()


def test_the_shell_completes_commands_models_options_and_rules() -> None:
    assert completed("summ") == ["plain,summary", "file,summ"]
    assert completed("models/a") == ["file,models/a"]
    assert completed("lint", "models/a") == ["file,models/a"]
    assert completed("--fail") == completed("lint", "--fail") == completed("net.onnx", "--fail") == ["plain,--fail-on"]
    assert completed("explain", "FC00")[:2] == ["plain,FC001", "plain,FC002"]
    assert completed("explain", "flatten") == ["plain,flatten-dense-dominates"]
    assert completed("lint", "--format", "sa") == ["plain,sarif"]


@pytest.mark.parametrize(
    ("environment", "args", "colored"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({}, ["--color", "always"], True),
        ({"FORCE_COLOR": "1"}, ["--color", "never"], False),
    ],
)
def test_colors_are_the_users_choice(environment: dict[str, str], args: list[str], colored: bool) -> None:
    shown = cnnlint(VGG, "--isolated", "--static", *args, **environment).stdout
    assert ("\x1b[" in shown) == colored


def on_a_terminal(*args: object, **environment: str) -> str:
    """Return what cnnlint writes where standard error is a terminal."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "cnnlint", *map(str, args)],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                content = os.read(ours, 4096)
            except OSError:
                break
            if not content:
                break
            shown += content
    os.close(ours)
    return shown.decode(errors="replace")


def patched(folder: Path, code: str) -> str:
    """Return the PYTHONPATH of a Python that runs `code` before cnnlint."""
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    return str(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_short_run_on_a_terminal_shows_no_progress(tmp_path: Path) -> None:
    path = patched(tmp_path, "import cnnlint.cli.run as r; r.PATIENCE = 60")
    assert on_a_terminal(SEED, "--isolated", "--static", PYTHONPATH=path) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_long_run_on_a_terminal_shows_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    names = [write(tmp_path / f"net{index}.onnx", model()) for index in range(15)]
    slow = (
        "import time, cnnlint.cli.run as r, cnnlint.linting.linter as l; r.PATIENCE = 0.1; f = l.Linter.lint\n"
        "l.Linter.lint = lambda *a: (time.sleep(0.1), f(*a))[1]"
    )
    assert "/15" in on_a_terminal(*names, "--isolated", "--static", PYTHONPATH=patched(tmp_path, slow))

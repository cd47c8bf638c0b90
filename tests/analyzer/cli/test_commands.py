import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from click.testing import CliRunner

from acceptance.command import MODELS, cnnlint
from cnnlint.cli.commands import commands


def run(*args):
    return CliRunner().invoke(commands, [str(arg) for arg in args])


def test_the_version_is_that_of_the_package():
    assert run("--version").output == f"cnnlint {version('cnnlint')}\n"


@pytest.mark.parametrize("args", [("--version", "-v"), ("-v", "--version"), ("-V", "-v")])
def test_verbose_versions_name_what_is_installed(args):
    shown = run(*args).output
    for package in ("onnx", "onnxruntime", "numpy", "h5py"):
        assert f"{package:<12} {version(package)}" in shown


def test_a_model_alone_is_linted(tmp_path):
    short = cnnlint(MODELS / "seed_cnn.onnx", "--static", cwd=tmp_path)
    long = cnnlint("lint", MODELS / "seed_cnn.onnx", "--static", cwd=tmp_path)
    assert short.returncode == long.returncode == 0
    assert short.stdout == long.stdout
    assert "19,189 parameters" in short.stdout


def test_options_of_lint_may_stand_in_front_of_the_model():
    assert run("--static", "--format", "concise", MODELS / "seed_cnn.onnx").exit_code == 0


def test_without_arguments_the_help_is_shown_and_nothing_was_done():
    done = cnnlint()
    assert done.returncode == 2
    assert "cnnlint [OPTIONS] MODEL..." in done.stderr


@pytest.mark.parametrize(("typed", "meant"), [("sumary", "summary"), ("check", "lint"), ("chekc", "lint")])
def test_a_mistyped_command_is_named(typed, meant):
    done = cnnlint(typed, "x.onnx")
    assert done.returncode == 2
    said = f"{typed}: there is no such file or folder (did you mean the command {meant}?)"
    assert f"cnnlint: error: {said}" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell):
    shown = run("completion", shell)
    assert shown.exit_code == 0
    assert "_CNNLINT_COMPLETE" in shown.output
    assert f"{shell}_complete" in shown.output


def test_bash_completes_commands_and_options(tmp_path):
    asked = cnnlint(cwd=tmp_path, _CNNLINT_COMPLETE="bash_complete", COMP_WORDS="cnnlint su", COMP_CWORD="1")
    assert asked.stdout.split() == ["plain,summary", "file,su"], "or a model whose name begins so"
    asked = cnnlint(cwd=tmp_path, _CNNLINT_COMPLETE="bash_complete", COMP_WORDS="cnnlint lint --max-p", COMP_CWORD="2")
    assert asked.stdout.split() == ["plain,--max-params", "plain,--max-peak-activation-bytes"]


def test_a_closed_pipe_is_quiet_and_changes_no_exit_code(tmp_path):
    command = [sys.executable, "-m", "cnnlint", "--static", str(MODELS / "smelly.onnx")]
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    finally:
        os.close(write_end)
    assert done.stderr == ""
    assert done.returncode == 1  # smelly.onnx has an error


OUTPUTS = [
    ("--static", MODELS / "smelly.onnx"),
    ("summary", MODELS / "smelly.onnx"),
    ("explain", "FC001"),
    ("--version",),
]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no disk that is always full")
@pytest.mark.parametrize("args", OUTPUTS, ids=lambda args: str(args[0]))
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_report_that_cannot_be_written_is_an_error_that_says_so(args, unbuffered, tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cnnlint", *map(str, args)], stdout=full, stderr=subprocess.PIPE, text=True,
            check=False, cwd=tmp_path, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.stderr == "cnnlint: error: standard output: cannot be written: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="closes a descriptor by a shell")
def test_a_closed_output_is_an_error_that_says_so(tmp_path):
    command = [sys.executable, "-m", "cnnlint", "--static", str(MODELS / "smelly.onnx")]
    shell = ["sh", "-c", '"$@" >&-', "sh", *command]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    assert (done.stderr, done.returncode) == ("cnnlint: error: standard output: is closed\n", 2)


def test_an_interruption_is_quiet_and_has_its_own_exit_code(monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("cnnlint.cli.lint.run", interrupted)
    done = run(MODELS / "seed_cnn.onnx")
    assert done.exit_code == 130
    assert done.output.strip() == ""

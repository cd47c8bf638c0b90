import builtins
from pathlib import Path

import pytest

import cnnlint
from acceptance.command import MODELS
from analyzer.cli.commandline import modules_loaded_by

HEAVY = {"numpy", "onnx", "onnxruntime", "h5py", "tensorflow", "keras", "tf2onnx"}


@pytest.mark.parametrize(
    "args", [("--version",), ("--version", "-v"), ("--help",), ("rules",), ("explain", "FC001"), ("completion", "zsh")]
)
def test_commands_that_open_no_model_import_nothing_that_reads_models(args):
    code, modules = modules_loaded_by(*args)
    assert code == 0
    assert not HEAVY & modules


@pytest.mark.parametrize("form", ["text", "concise", "json"])
def test_a_static_lint_of_an_onnx_file_imports_none_of_the_heavy_packages(form, tmp_path):
    code, modules = modules_loaded_by(
        "--static", "--isolated", "--exit-zero", f"--format={form}", MODELS / "smelly.onnx", cwd=tmp_path
    )
    assert code == 0
    assert "cnnlint.linting.linter" in modules
    assert not (HEAVY | {"rich"}) & modules


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_neither_rules_nor_records(option):
    _, modules = modules_loaded_by(option)
    assert not {name for name in modules if name.startswith(("cnnlint_rules", "msgspec", "cnnlint.graph"))}


def test_no_module_of_the_package_hides_a_builtin_of_the_package_that_it_is_in():
    # once imported, `cli/open.py` is what `open` means in `cli/__init__.py`
    paths = Path(cnnlint.__file__).parent.rglob("*")
    assert [path for path in paths if path.stem in dir(builtins) and path.suffix in ("", ".py")] == []

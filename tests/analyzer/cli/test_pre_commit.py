import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from acceptance.command import MODELS, cnnlint
from analyzer.cli.commandline import modules_loaded_by
from networks import write
from repositories import commit_all, git

ROOT = Path(__file__).parents[3]
SHIPPED = ("pyproject.toml", "README.md", ".pre-commit-hooks.yaml", "analyzer", "rules")
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
FILES, FILES_OF_CODE = re.findall(r"^  files: >-\n((?:    .*\n)+)", HOOKS, re.MULTILINE)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("net.onnx", True), ("deep/net.keras", True), ("net.h5", True), ("net.hdf5", True),
        ("saved/saved_model.pb", True), ("saved_model.pb", True),
        ("net.onnx.data", True), ("net.onnx_data", True), ("weights.bin", True), ("conv1.weight", True),
        ("saved/variables/variables.data-00000-of-00001", True), ("saved/variables/variables.index", True),
        ("cnnlint.toml", True), ("a/pyproject.toml", True), ("cnnlint-baseline.json", True),
        ("not_saved_model.pb", False), ("net.h5.txt", False), ("onnx", False), ("mycnnlint.toml", False),
        ("package.json", False), ("data", False),
    ],
)  # fmt: skip
def test_the_hook_is_for_models_what_belongs_to_them_and_configurations(path, meant):
    assert bool(re.search(FILES.strip(), path)) is meant


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("train.py", True), ("nets/blocks.py", True), ("cnnlint.toml", True), ("pyproject.toml", True),
        ("cnnlint-baseline.json", True), ("net.onnx", False), ("train.pyc", False), ("package.json", False),
    ],
)  # fmt: skip
def test_the_hook_on_code_is_for_python_files_and_configurations(path, meant):
    assert bool(re.search(FILES_OF_CODE.strip(), path)) is meant


@pytest.mark.slow
def test_pre_commit_installs_the_hook_and_runs_it(tmp_path):
    pytest.importorskip("pre_commit")
    hooks, user = tmp_path / "hooks", tmp_path / "user"
    hooks.mkdir()
    user.mkdir()
    for name in SHIPPED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, hooks / name)
    commit_all(hooks)
    for name in ("seed_cnn.onnx", "smelly.onnx"):
        shutil.copy(MODELS / name, user / name)
    (user / "notes.txt").write_text("no model", encoding="utf-8")
    (user / "other.bin").write_bytes(b"data of no model")
    model = onnx.load(user / "seed_cnn.onnx")
    onnx.save_model(model, user / "beside.onnx", save_as_external_data=True, location="beside.onnx.data")
    commit_all(user)

    write_config(
        user, repo=str(hooks), rev=git(hooks, "rev-parse", "HEAD").strip(), hooks=[{"id": name} for name in IDS]
    )
    write_code(user)
    (user / "cnnlint.toml").unlink()
    empty_environment(user / ".venv")
    commit_all(user)

    def run(*args, hook="cnnlint"):
        return pre_commit(user, tmp_path / "home", "run", hook, *args)

    fails = run("--all-files")
    assert fails.returncode == 1, fails.stdout + fails.stderr
    assert "exit code: 1" in fails.stdout
    assert "error[HD001]" in fails.stdout
    assert "seed_cnn.onnx" in fails.stdout
    assert "notes.txt" not in fails.stdout
    passes = run("--files", "seed_cnn.onnx")
    assert passes.returncode == 0, passes.stdout + passes.stderr
    said = [line for line in passes.stdout.split("duration:")[1].splitlines()[1:] if line]
    assert len(said) == 1
    assert re.match(r"1 model: .*\d+ warnings?", said[0])
    data = run("--files", "beside.onnx.data")
    assert data.returncode == 0, data.stdout + data.stderr
    assert "1 model: " in data.stdout
    assert run("--files", "other.bin").returncode == 0
    (user / "cnnlint.toml").write_text('[[budgets]]\nmodels = "seed_*"\nparams = 10\n', encoding="utf-8")
    tightened = run("--files", "cnnlint.toml")
    assert tightened.returncode == 1, tightened.stdout + tightened.stderr
    assert "error[BG001]" in tightened.stdout
    assert "seed_cnn.onnx" in tightened.stdout
    skipped = run("--files", "notes.txt")
    assert "no files to check" in skipped.stdout

    # the hook on code lies in an environment that has none of the user's packages, and runs it by the project's own
    write_code(user)
    ran = run("--files", "parts.py", hook="cnnlint-source")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert f"net: make raises ValueError: {user / '.venv'}" in ran.stdout
    assert "Passed" in run("--files", "other.py", hook="cnnlint-source").stdout


def pre_commit(folder, home, *args):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *args, "--color", "never"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=1200,
        env={**environment, "PRE_COMMIT_HOME": str(home), "NO_COLOR": "1"},
    )  # fmt: skip


CODE = {
    "train.py": "import parts\n\ndef make():\n    return parts.network()\n",
    "parts.py": "import sys\n\ndef network():\n    raise ValueError(sys.prefix)\n",
    "other.py": "open('ran', 'w')\n",
    "cnnlint.toml": '[[definitions]]\nname = "net"\nfactory = "train.py:make"\n',
}
"""A definition that says which interpreter runs it."""


IDS = re.findall(r"^- id: (.+)$", HOOKS, re.MULTILINE)


def write_config(folder, **repo):
    # YAML takes JSON
    (folder / ".pre-commit-config.yaml").write_text(json.dumps({"repos": [repo]}), encoding="utf-8")


def write_code(folder):
    for name, text in CODE.items():
        (folder / name).write_text(text, encoding="utf-8")


def empty_environment(folder):
    """Make an environment that has no pip and no package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (folder.parent / ".gitignore").write_text(".venv\n", encoding="utf-8")


def test_pre_commit_runs_the_definitions_whose_modules_changed_by_the_cnnlint_of_the_project(tmp_path):
    """As `language: system`, which needs no environment of the hook's own."""
    pytest.importorskip("pre_commit")
    user = tmp_path / "user"
    user.mkdir()
    write_code(user)
    import yaml

    (hook,) = (each for each in yaml.safe_load(HOOKS) if each["id"] == "cnnlint-source")
    entry = f"{sys.executable} -m {hook['entry']}"
    write_config(user, repo="local", hooks=[{**hook, "language": "system", "entry": entry}])
    commit_all(user)

    def run(*files):
        return pre_commit(user, tmp_path / "home", "run", "--files", *files)

    ran = run("parts.py")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "net: make raises ValueError: " in ran.stdout
    passed = run("other.py")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "no definition is concerned" in passed.stdout
    assert not (user / "ran").exists()


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (["blocks.py"], ["first", "second"]),
        (["first.py"], ["first"]),
        (["other.py", "first.py"], ["first"]),
        (["other.py"], []),
        (["net.onnx"], []),
        (["cnnlint.toml"], ["first", "second"]),
        (["known.json"], ["first", "second"]),
    ],
)
def test_changed_files_stand_for_the_definitions_that_import_them(tmp_path, changed, names):
    files = {
        "cnnlint.toml": "baseline = 'known.json'\nexclude = ['third']\n"
        + "".join(
            f"[[definitions]]\nname = '{name}'\nfactory = '{name}.py:make'\nmodel = 'net.onnx'\n"
            for name in ("first", "second", "third")
        ),
        "known.json": "{}",
        "blocks.py": "",
        "other.py": "",
        **{f"{name}.py": "import blocks\nopen('ran', 'w')\n" for name in ("first", "second", "third")},
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = cnnlint("lint", "--changed", "--definitions", "--show-files", *changed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == names
    assert ("no definition is concerned" in done.stderr) is (not names)
    assert not (tmp_path / "ran").exists()


def test_a_hook_whose_files_concern_no_definition_loads_nothing_that_reads_models(tmp_path):
    write_code(tmp_path)
    code, modules = modules_loaded_by("lint", "--changed", "--definitions", "other.py", cwd=tmp_path)
    assert code == 0
    assert not {"numpy", "onnx", "onnxruntime", "h5py", "tensorflow", "keras", "torch"} & modules


def test_asking_for_definitions_where_there_are_none_is_an_error(tmp_path):
    for words in (["--definitions"], ["--changed", "--definitions", "a.py"]):
        done = cnnlint("lint", *words, cwd=tmp_path)
        assert done.returncode == 2
        assert "the configuration of the working directory has no [[definitions]]" in done.stderr


@pytest.fixture
def project(tmp_path):
    """A repository with a model whose data lie in a file of any name, and another in a folder with settings."""
    write(tmp_path / "net.onnx")
    onnx.save_model(
        onnx.load(tmp_path / "net.onnx"), tmp_path / "net.onnx", save_as_external_data=True, location="values",
        size_threshold=0,
    )  # fmt: skip
    write(tmp_path / "edge" / "small.onnx")
    (tmp_path / "edge" / "cnnlint.toml").write_text("", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.cnnlint]\nbaseline = 'known.json'\n", encoding="utf-8")
    assert cnnlint("net.onnx", "--static", "--write-baseline", "known.json", cwd=tmp_path).returncode == 0
    commit_all(tmp_path)
    write(tmp_path / "untracked.onnx")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "models"),
    [
        (["values"], ["net.onnx"]),
        (["pyproject.toml"], ["net.onnx"]),
        (["known.json"], ["net.onnx"]),
        (["edge/cnnlint.toml"], ["edge/small.onnx"]),
        (["edge/cnnlint.toml", "edge/small.onnx", "values"], ["edge/small.onnx", "net.onnx"]),
        ([".gitignore"], []),
    ],
)
def test_changed_files_stand_for_the_models_that_they_concern(project, changed, models):
    (project / ".gitignore").write_text("x", encoding="utf-8")
    done = cnnlint("lint", "--changed", "--show-files", *changed, cwd=project)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == models


def test_files_of_a_saved_model_stand_for_it(tmp_path):
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        (tmp_path / "saved" / name).write_bytes(b"x")
    done = cnnlint("lint", "--changed", "--show-files", "saved/variables/variables.index", cwd=tmp_path)
    assert done.stdout.split() == ["saved"]


def test_a_tightened_budget_is_held_against_models_that_nobody_touched(project):
    passing = cnnlint("lint", "--changed", "--static", "pyproject.toml", cwd=project)
    assert passing.returncode == 0
    assert passing.stdout.count("\n") == 1
    (project / "pyproject.toml").write_text(
        "[[tool.cnnlint.budgets]]\nmodels = '*.onnx'\nparams = 10\n", encoding="utf-8"
    )
    failing = cnnlint("lint", "--changed", "--static", "pyproject.toml", cwd=project)
    assert failing.returncode == 1
    assert "BG001" in failing.stdout

"""A project in Keras and PyTorch goes through all that names lines: a smell three calls deep stands on its line.

Both networks end in a dense layer on a flattened map (FC001). `train.py` calls `nets/images.py`, that calls
`nets/heads.py`, and there the layer is made; in PyTorch likewise. The smell is told on that line, with the calls on the
way, by the command, in SARIF, in GitHub's annotations, by pytest, by the callback as training begins, by
`cnnlint.torch.check`, and by the language server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from acceptance.command import ROOT, cnnlint_process
from analyzer.editing import project
from analyzer.editing.editor import Editor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tf,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("onnxscript") is None, reason="torch and onnxscript are not installed"
    ),
]

FILES = {
    "cnnlint.toml": """
        fail-on = "warning"
        ignore = ["FC002", "BN"]

        [[definitions]]
        name = "images"
        factory = "train.py:make_model"

        [[definitions]]
        name = "images-torch"
        factory = "modules.train:make_module"
        input = { input = "1x3x32x32" }
    """,
    "train.py": """
        import keras

        from nets.images import classifier


        def make_model(classes=10):
            image = keras.Input((32, 32, 3), name="image")
            return keras.Model(image, classifier(image, classes), name="images")


        if __name__ == "__main__":
            make_model().fit()
    """,
    "nets/__init__.py": "",
    "nets/images.py": """
        from keras import layers

        from nets.heads import scores


        def classifier(x, classes):
            for filters in (16, 32):
                x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
                x = layers.MaxPooling2D()(x)
            return scores(x, classes)
    """,
    "nets/heads.py": """
        from keras import layers


        def scores(x, classes):
            x = layers.Flatten()(x)
            x = layers.Dense(256, activation="relu", name="wide")(x)
            return layers.Dense(classes, activation="softmax", name="scores")(x)
    """,
    "modules/__init__.py": "",
    "modules/train.py": """
        from modules.images import classifier


        def make_module():
            return classifier(10)
    """,
    "modules/images.py": """
        from torch import nn

        from modules.heads import scores


        def classifier(classes):
            layers = []
            for channels, filters in ((3, 16), (16, 32)):
                layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            return nn.Sequential(*layers, scores(32 * 8 * 8, classes))
    """,
    "modules/heads.py": """
        from torch import nn


        def scores(width, classes):
            wide = nn.Linear(width, 256)
            return nn.Sequential(nn.Flatten(), wide, nn.ReLU(), nn.Linear(256, classes))
    """,
    "test_keras.py": """
        import numpy as np

        import cnnlint.keras
        from train import make_model


        def test_the_network_is_sound(cnnlint_check):
            cnnlint_check(make_model(), max_params="5M")


        def test_it_is_not_worth_training():
            model = make_model()
            model.compile("adam", "sparse_categorical_crossentropy")
            images, labels = np.zeros((4, 32, 32, 3)), np.zeros(4)
            model.fit(images, labels, verbose=0, callbacks=[cnnlint.keras.Callback(fail_on="warning")])
    """,
    "test_torch.py": """
        import torch

        import cnnlint.torch
        from modules.train import make_module


        def test_it_is_not_worth_training():
            cnnlint.torch.check(make_module(), torch.zeros(1, 3, 32, 32)).raise_for_findings()
    """,
}


class Smell(NamedTuple):
    """Where a smell is: its file and line, the call that makes the layer, the calls on the way, outward."""

    definition: str
    file: str
    line: int
    call: str
    callers: tuple[tuple[str, int], ...]

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


KERAS = Smell(
    "images", "nets/heads.py", 6, 'layers.Dense(256, activation="relu", name="wide")',
    (("nets/images.py", 10), ("train.py", 8)),
)  # fmt: skip
TORCH = Smell(
    "images-torch", "modules/heads.py", 5, "nn.Linear(width, 256)",
    (("modules/images.py", 10), ("modules/train.py", 5)),
)  # fmt: skip
BOTH = pytest.mark.parametrize("smell", [KERAS, TORCH], ids=["keras", "torch"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project.write(tmp_path_factory.mktemp("sample") / "project", FILES)


# in a terminal, and in CI


@pytest.fixture(scope="module")
def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Return one run of the command on both definitions, which writes all reports."""
    outputs = [word for form in ("sarif", "github", "json", "concise") for word in ("--output", f"{form}=out.{form}")]
    return cnnlint_process("lint", "--definitions", *outputs, cwd=folder)


def written(folder: Path, form: str) -> Any:
    text = (folder / f"out.{form}").read_text(encoding="utf-8")
    return json.loads(text) if form in ("sarif", "json") else text


@BOTH
def test_the_command_shows_the_line_with_the_call_underlined_and_who_called(lint, smell):
    assert lint.returncode == 1, lint.stderr
    lines = lint.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if f"--> {smell.where} › " in line)
    shown, under = lines[at + 2], lines[at + 3]
    assert shown.startswith(f" {smell.line} | ")
    assert shown[under.index("^") : under.rindex("^") + 1].startswith(smell.call)
    called = [line.strip() for line in lines[at : at + 8] if "called at" in line]
    assert [line.split(": ")[1].split(" in ")[0] for line in called] == [f"{file}:{n}" for file, n in smell.callers]


@BOTH
def test_every_line_of_the_concise_report_begins_with_the_place(lint, folder, smell):
    assert any(line.startswith(f"{smell.where}: FC001 ") for line in written(folder, "concise").splitlines())


@BOTH
def test_sarif_puts_it_on_the_line_with_the_calls_as_its_stack(lint, folder, smell):
    results = written(folder, "sarif")["runs"][0]["results"]
    places = [each["locations"][0]["physicalLocation"] for each in results if each["ruleId"] == "FC001"]
    mine = [place for place in places if place["artifactLocation"]["uri"] == smell.file]
    assert [place["region"]["startLine"] for place in mine] == [smell.line]
    (result,) = (
        each for each in results if each["ruleId"] == "FC001" and each["locations"][0]["physicalLocation"] == mine[0]
    )
    stack = [frame["location"]["physicalLocation"] for frame in result["stacks"][0]["frames"]]
    assert [(each["artifactLocation"]["uri"], each["region"]["startLine"]) for each in stack] == [
        (smell.file, smell.line),
        *smell.callers,
    ]


@BOTH
def test_github_annotates_the_line(lint, folder, smell):
    assert f"::warning file={smell.file},line={smell.line}," in written(folder, "github")


@BOTH
def test_json_has_the_line_and_the_calls(lint, folder, smell):
    (model,) = (each for each in written(folder, "json")["models"] if each["path"] == smell.definition)
    (place,) = (place for each in model["findings"] if each["code"] == "FC001" for place in each["places"])
    assert place["source"] == smell.where
    assert [(frame["file"], frame["line"]) for frame in place["frames"][1:]] == list(smell.callers)


def test_the_readme_begins_with_what_the_command_prints(lint):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = readme.partition("```console\n$ cnnlint train.py:make_model\n")[2].partition("```")[0]
    assert first.startswith("warning[FC001]")
    assert first in lint.stdout
    assert readme.index(first) < 2_000


# in the tests, and as training begins


def run_pytest(folder: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", *words],
        cwd=folder, capture_output=True, text=True, check=False, timeout=400,
        env={**environment, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def failures(said: str) -> list[str]:
    """Return the text of each failure."""
    return said.partition("= FAILURES =")[2].partition("= short test summary")[0].split("\n____")[1:]


def test_pytest_fails_with_it_by_the_fixture_by_the_definition_and_as_training_begins(folder):
    said = run_pytest(folder, "--cnnlint", "test_keras.py", "cnnlint.toml::images")
    by_fixture, as_training_begins, by_definition = failures(said)
    for text in (by_fixture, as_training_begins, by_definition):
        assert f"--> {KERAS.where} › wide" in text
        assert "called at: train.py:8 in make_model" in text
    assert f"the training was not begun: <keras.Model images>: {KERAS.where}: FC001" in as_training_begins


def test_the_check_of_a_module_names_the_line(folder):
    assert f"FindingsError: <torch.nn.Module Sequential>: {TORCH.where}: FC001" in run_pytest(folder, "test_torch.py")


# in an editor


@pytest.fixture(scope="module")
def editor(folder: Path) -> Iterator[Editor]:
    with Editor(folder, trusted=True) as editor:
        yield editor


@BOTH
def test_the_server_shows_it_on_the_line_of_either_framework(editor, smell):
    pytest.importorskip("pygls", reason="pygls is not installed")
    found = [each for each in editor.diagnostics(smell.file) if each["code"] == "FC001"]
    assert [each["range"]["start"]["line"] + 1 for each in found] == [smell.line]
    called = [
        (each["location"]["uri"], each["location"]["range"]["start"]["line"] + 1)
        for each in found[0]["relatedInformation"]
    ]
    assert called == [(editor.uri(file), line) for file, line in smell.callers]

"""Definitions of a configuration: what addresses them by name, stored models that stand for them, code that trains."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import cnnlint_process
from analyzer.editing import project
from cnnlint.conversion.toolchain import quiet

pytestmark = [pytest.mark.slow, pytest.mark.tf]

CONFIG = """
    exclude = ["left-out"]

    [per-model-ignores]
    "ignored" = ["BN002: known"]

    [[definitions]]
    name = "dear"
    factory = "train.py:make_model"

    [[definitions]]
    name = "ignored"
    factory = "train.py:make_model"

    [[definitions]]
    name = "left-out"
    factory = "train.py:make_model"

    [[definitions]]
    name = "stored"
    factory = "train.py:make_model"
    model = "models/net.keras"

    [[definitions]]
    name = "other"
    factory = "train.py:make_model"
    model = "models/other.keras"

    [[definitions]]
    name = "trains"
    factory = "trains.py:make_model"

    [[budgets]]
    models = "dear"
    params = "1k"

    [[budgets]]
    models = "ignored"
    params = "1M"
"""

TRAINS = """
    import numpy as np

    from train import make_model as untrained


    def make_model():
        model = untrained()
        model.compile("sgd", "mse")
        try:
            model.fit(np.zeros((1, 32, 32, 3)), np.zeros((1, 10)))
        except Exception:
            pass
        return model
"""


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, int]:
    """Return what one run says of all definitions, by what they are called, its errors and its exit code."""
    folder = project.write(
        tmp_path_factory.mktemp("by-name") / "project", {**project.KERAS, "cnnlint.toml": CONFIG, "trains.py": TRAINS}
    )
    with quiet():
        _store(folder)
    done = cnnlint_process("lint", "--definitions", "--format", "json", cwd=folder)
    models = json.loads(done.stdout)["models"]
    return {model["path"]: model for model in models}, done.stderr, done.returncode


def _store(folder: Path) -> None:
    """Store the network, and one that has a block less: what is left has other names, or other layers its names."""
    import keras

    def block(x: Any, filters: int) -> Any:
        x = keras.layers.Conv2D(filters, 3, padding="same")(x)
        return keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))

    def network(*stages: tuple[int, ...]) -> Any:
        keras.utils.clear_session(free_memory=False)
        x = image = keras.Input((32, 32, 3))
        for stage in stages:
            for filters in stage:
                x = block(x, filters)
            x = keras.layers.MaxPooling2D(2)(x)
        x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
        return keras.Model(image, keras.layers.Dense(10, activation="softmax", name="head")(x), name="net")

    (folder / "models").mkdir()
    network((8, 8), (16, 16)).save(folder / "models" / "net.keras")
    network((8,), (16, 16, 16)).save(folder / "models" / "other.keras")
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)


def codes(model: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in model["findings"]}


def sources(model: dict[str, Any], code: str) -> set[str | None]:
    return {place["source"] for each in model["findings"] if each["code"] == code for place in each["places"]}


def test_budgets_and_ignores_address_a_definition_by_its_name(linted):
    models, _, _ = linted
    assert "BG001" in codes(models["dear"])
    assert "BN002" in codes(models["dear"])
    assert "BN002" not in codes(models["ignored"])
    assert models["ignored"]["suppressed"] == 4
    assert [(held["quantity"], held["passed"]) for held in models["ignored"]["budgets"]] == [("params", True)]


def test_exclude_addresses_a_definition_by_its_name(linted):
    models, said, _ = linted
    assert "left-out" not in models
    assert "1 model skipped by exclude" in said


def test_a_stored_model_is_linted_on_the_lines_of_its_definition(linted):
    models, _, _ = linted
    file, line, _ = project.SMELL
    assert sources(models["models/net.keras"], "BN002") == {f"{file}:{line}"}
    assert not any("is not the network" in note for note in models["models/net.keras"]["notes"])


def test_a_stored_model_that_differs_from_its_definition_says_so_and_is_not_told_wrong_lines(linted):
    models, _, _ = linted
    assert sources(models["models/other.keras"], "BN002") == {None}
    (note,) = (note for note in models["models/other.keras"]["notes"] if "is not the network" in note)
    assert "train.py:make_model" in note
    assert "conv2d_1" in note


def test_a_definition_that_trains_is_stopped_there_whatever_it_catches(linted):
    _, said, code = linted
    assert code == 2
    assert "trains: trains the network before it gives it back (trains.py:10: model.fit(" in said
    assert 'train where the file is run: if __name__ == "__main__":' in said


SEEDED = """
    import keras


    def make_model():
        image = x = keras.Input((16, 16, 8))
        for name in ("first", "second"):
            seeded = keras.initializers.GlorotUniform(seed=1)
            x = keras.layers.Conv2D(8, 3, kernel_initializer=seeded, activation="relu", name=name)(x)
        return keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))
"""


def test_values_of_weights_are_looked_at_where_a_run_is_asked_for(tmp_path: Path) -> None:
    folder = project.write(tmp_path / "project", {"seeded.py": SEEDED})
    arguments = "seeded.py:make_model", "--isolated", "--format", "json", "--select", "WT008"
    (report,) = json.loads(cnnlint_process(*arguments, "--run", cwd=folder).stdout)["models"]
    assert [(finding["code"], finding["layers"]) for finding in report["findings"]] == [("WT008", ["second", "first"])]
    assert not any("left out" in note for note in report["notes"])

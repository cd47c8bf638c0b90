"""What the rules on Keras files call an error, `keras.saving.load_model` refuses, and nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cnnlint
from cnnlint.frontends import load
from cnnlint.results import Severity

Config = dict[str, Any]

BUILD = """
import keras, sys
model = keras.Sequential([
    keras.Input((8, 8, 3)),
    keras.layers.Conv2D(4, 3, name="conv", kernel_regularizer="l2"),
    keras.layers.BatchNormalization(name="bn"),
    keras.layers.SeparableConv2D(6, 3, name="separable"),
    keras.layers.DepthwiseConv2D(3, name="depthwise"),
    keras.layers.Conv2DTranspose(5, 2, name="transposed"),
    keras.layers.GlobalAveragePooling2D(name="pool"),
    keras.layers.Dense(4, name="dense", activation="softmax"),
])
model.save(sys.argv[1])
"""

LOAD = """
import json, sys, keras
said = {}
for path in sys.argv[2:]:
    try:
        keras.saving.load_model(path)
        said[path] = ""
    except Exception as error:
        said[path] = str(error)[:300] or type(error).__name__
open(sys.argv[1], "w").write(json.dumps(said))
"""


def layer(config: Config, name: str) -> Config:
    return next(each for each in config["config"]["layers"] if each["config"]["name"] == name)


def misspell_class(config: Config, _: Config) -> None:
    layer(config, "conv")["class_name"] = "Conv2d"


def misspell_initializer(config: Config, _: Config) -> None:
    layer(config, "conv")["config"]["kernel_initializer"]["class_name"] = "GlorotUniforms"


def misspell_setting(config: Config, _: Config) -> None:
    settings = layer(config, "conv")["config"]
    settings["use_biases"] = settings.pop("use_bias")


def add_setting(config: Config, _: Config) -> None:
    layer(config, "dense")["config"]["colour"] = 1


def lose_setting(config: Config, _: Config) -> None:
    del layer(config, "separable")["config"]["filters"]


def lose_optional_setting(config: Config, _: Config) -> None:
    del layer(config, "bn")["config"]["momentum"]


def widen(config: Config, _: Config) -> None:
    layer(config, "dense")["config"]["units"] = 3


def lose_a_vector(_: Config, weights: Config) -> None:
    del weights["layers/batch_normalization/vars/3"]


def other_vector(_: Config, weights: Config) -> None:
    weights["layers/batch_normalization/vars/0"] = np.zeros(7, np.float32)


def other_kernel(_: Config, weights: Config) -> None:
    weights["layers/depthwise_conv2d/vars/0"] = np.zeros((3, 3, 7, 1), np.float32)


def other_separable(_: Config, weights: Config) -> None:
    weights["layers/separable_conv2d/vars/1"] = np.zeros((1, 1, 4, 9), np.float32)


def other_transposed(_: Config, weights: Config) -> None:
    weights["layers/conv2d_transpose/vars/0"] = np.zeros((2, 2, 5, 9), np.float32)


def rename_a_layer(config: Config, _: Config) -> None:
    layer(config, "pool")["config"]["name"] = "renamed"


def own_class(config: Config, _: Config) -> None:
    record = layer(config, "pool")
    record["module"], record["class_name"], record["registered_name"] = "studio.layers", "Pool", "Pool"


def lambda_layer(config: Config, _: Config) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    record = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "half", "function": code}}
    config["config"]["layers"].insert(1, {**record, "registered_name": None})


def nothing(_: Config, __: Config) -> None:
    pass


MUTATIONS: tuple[Callable[[Config, Config], None], ...] = (
    add_setting, lambda_layer, lose_a_vector, lose_optional_setting, lose_setting, misspell_class, misspell_initializer,
    misspell_setting, nothing, other_kernel, other_separable, other_transposed, other_vector, own_class, rename_a_layer,
    widen,
)  # fmt: skip

MILD = {"own_class": "KR001", "lambda_layer": "KR004"}
"""What load_model refuses and the right argument allows: told, but not as an error."""


def python(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Return each mutated archive by the name of its mutation, and why Keras refuses it."""
    folder = tmp_path_factory.mktemp("keras")
    python(BUILD, str(folder / "base.keras"))
    paths = {each.__name__: folder / f"{each.__name__}.keras" for each in MUTATIONS}
    for mutation in MUTATIONS:
        _mutate(folder / "base.keras", paths[mutation.__name__], mutation)
    python(LOAD, str(folder / "said.json"), *map(str, paths.values()))
    said = json.loads((folder / "said.json").read_text())
    return {name: (path, said[str(path)]) for name, path in paths.items()}


def _mutate(base: Path, path: Path, mutation: Callable[[Config, Config], None]) -> None:
    with zipfile.ZipFile(base) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    with h5py.File(io.BytesIO(members["model.weights.h5"])) as file:
        weights = dict(_arrays(file))
        names = {key: dict(file[key].attrs) for key in _groups(file)}
    mutation(config, weights)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for key, attributes in names.items():
            file.require_group(key).attrs.update(attributes)
        for key, array in weights.items():
            file.create_dataset(key, data=array)
    members |= {"config.json": json.dumps(config).encode(), "model.weights.h5": buffer.getvalue()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _arrays(file: Any) -> Iterator[tuple[str, Any]]:
    found = list[tuple[str, Any]]()
    file.visititems(lambda key, item: found.append((key, item[...])) if isinstance(item, h5py.Dataset) else None)
    return iter(found)


def _groups(file: Any) -> list[str]:
    found = list[str]()
    file.visititems(lambda key, item: found.append(key) if isinstance(item, h5py.Group) else None)
    return found


@pytest.mark.tf
@pytest.mark.parametrize("name", [each.__name__ for each in MUTATIONS])
def test_what_keras_refuses_is_told_and_what_it_loads_is_not(name: str, archives: dict[str, tuple[Path, str]]) -> None:
    path, refused = archives[name]
    report = cnnlint.lint(path, static=True, isolated=True).models[0]
    told = [each for each in report.findings if each.code.startswith("KR")]
    errors = [each for each in told if each.severity is Severity.ERROR]
    if name in MILD:
        assert refused
        assert [each.code for each in told] == [MILD[name]]
    else:
        assert bool(refused) == (bool(errors) or report.error is not None), (refused, told, report.error)


@pytest.mark.tf
def test_nothing_is_said_of_what_keras_saves(
    archives: dict[str, tuple[Path, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert archives["nothing"][1] == ""
    models = Path(__file__).parents[3] / "fixtures" / "models"
    for path in sorted(models.glob("*.keras")):
        report = cnnlint.lint(path, static=True, isolated=True, select=["KR"]).models[0]
        assert [each.message for each in report.findings] == []


def test_an_archive_of_a_newer_keras_is_not_judged(tmp_path: Path) -> None:
    base = Path(__file__).parents[3] / "fixtures" / "models" / "seed_cnn.keras"
    with zipfile.ZipFile(base) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1]["class_name"] = "Conv2Dnew"
    for version, count in (("3.4.1", 1), ("4.0.0", 0)):
        path = tmp_path / f"{version}.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                changed = {"config.json": config, "metadata.json": {"keras_version": version}}.get(name)
                archive.writestr(name, data if changed is None else json.dumps(changed))
        findings = cnnlint.lint(path, static=True, isolated=True, select=["KR001"]).models[0].findings
        assert len(findings) == count
        assert load(str(path)).source.producer == f"keras {version}"

"""Whatever is wrong with an archive, it is a graph or a ModelError, and nothing else."""

from __future__ import annotations

import copy
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cnnlint.analysis.cost import peak_activation_bytes, total_macs
from cnnlint.errors import ModelError
from cnnlint.frontends.keras import load
from cnnlint.frontends.keras.archive import read_archive
from cnnlint.frontends.keras.raise_graph import raise_archive

DATA = Path(__file__).with_name("data")
ODD = (None, -1, 0, 2**40, 0.5, "", "odd", [], {}, [None], ["a", 0, 0], True, [[0, 1], [2]], {"class_name": "Add"})
ARCHIVES = ["keras2_functional.keras", "keras2_sequence.h5", "keras2_frozen.keras"]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


def _damaged(config: Any, seed: int) -> Any:
    """Return a copy in which a few values are gone or something else."""
    chance = random.Random(seed)
    config = copy.deepcopy(config)
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(_places(config)[1:])
        holder = config
        for key in way:
            holder = holder[key]
        if chance.random() < 0.3:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(chance.choice(ODD))
    return config


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_damaged_configuration_gives_a_graph_or_a_model_error(name: str, thorough: bool) -> None:
    archive = read_archive(str(DATA / name))
    tries = 400 if thorough else 100
    graphs, messages = 0, list[str]()
    for seed in range(tries):
        try:
            graph = raise_archive(replace(archive, config=_damaged(archive.config, seed)))
        except ModelError as error:
            messages.append(str(error))
            continue
        graphs += 1
        total_macs(graph)
        peak_activation_bytes(graph)
        assert graph.parameters >= 0
    assert all(message.startswith(archive.path) for message in messages)
    assert graphs > tries / 8, "most damage does not touch what the graph is made of"


@pytest.mark.parametrize("name", ["keras2_frozen.keras", "keras2_frozen.h5"])
def test_damaged_bytes_give_a_graph_or_a_model_error(tmp_path: Path, name: str) -> None:
    content = (DATA / name).read_bytes()
    if name.endswith(".keras"):
        content = _stored(DATA / name, tmp_path / "stored.keras")
    target, messages = tmp_path / name, list[str]()
    for seed in range(200):
        chance = random.Random(seed)
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 40)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        target.write_bytes(damaged)
        try:
            graph = load(str(target))
            for weight in graph.weights:
                weight.values()
        except ModelError as error:
            messages.append(str(error))
    assert not [message for message in messages if "\n" in message]


def _stored(source: Path, target: Path) -> bytes:
    """Return an archive with its members stored, as Keras writes it."""
    with zipfile.ZipFile(source) as packed, zipfile.ZipFile(target, "w") as stored:
        for name in packed.namelist():
            stored.writestr(name, packed.read(name))
    return target.read_bytes()


def test_a_layer_that_is_listed_twice_lacks_its_weights_the_second_time(tmp_path: Path) -> None:
    with zipfile.ZipFile(DATA / "keras2_frozen.keras") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    config["config"]["layers"] *= 2
    with zipfile.ZipFile(tmp_path / "twice.keras", "w") as archive:
        for name, content in {**files, "config.json": json.dumps(config).encode()}.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match=r"layer 'body/conv_2' .* has no weights in the file"):
        load(str(tmp_path / "twice.keras"))

"""What an archive can make us unpack, parse and follow is bounded, and the limit that it meets is named."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlint.errors import ModelError
from cnnlint.frontends.keras import flat_model, load
from cnnlint.limits import (
    MAX_CALLS,
    MAX_JSON_BYTES,
    MAX_JSON_DEPTH,
    MAX_JSON_VALUES,
    MAX_LZMA_DICTIONARY,
    UNPACKED_SPARE,
)
from keras_cases import by_hand

DENSE = by_hand.layer("Dense", "fc", calls=[["image"]], units=2, use_bias=False)
MODEL = by_hand.functional([by_hand.image(3), DENSE], ["fc"])
WEIGHTS = by_hand.hdf5({"layers/dense/vars/0": np.ones((3, 2), np.float32)})
GOOD = by_hand.members(MODEL, WEIGHTS)
METHODS = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def refused(path: str) -> str:
    """Return why a file is refused, having held that this takes far less memory than it claims."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
    return str(caught.value)


def unread(path: str) -> str:
    """Return why the weights of a file are unknown, having held that nothing is claimed of them, in little memory."""
    tracemalloc.start()
    try:
        graph = load(path)
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
    assert graph.parameters is None
    assert [layer.parameters for layer in graph.layers] == [None]
    assert [tensor.shape for tensor in graph.outputs] == [("batch", 2)]
    assert graph.unused == ()
    return graph.unread


def add(archive: Path, members: dict[str, bytes]) -> None:
    """Put `members` into a zip archive."""
    with zipfile.ZipFile(archive, "a") as file:
        for name, content in members.items():
            file.writestr(name, content)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, *METHODS])
def test_a_sound_archive_is_read_however_it_is_packed(tmp_path: Path, method: int) -> None:
    graph = load(by_hand.write_zip(tmp_path / "m.keras", GOOD, method))
    np.testing.assert_array_equal(graph.weights[0].values(), np.ones((3, 2)))


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_unpack_to_far_more_than_the_file_are_unknown_whatever_size_it_claims(
    tmp_path: Path, method: int
) -> None:
    large = WEIGHTS + bytes(UNPACKED_SPARE * 2)
    path = Path(by_hand.write_zip(tmp_path / "m.keras", {**GOOD, "model.weights.h5": large}, method))
    assert "model.weights.h5 unpacks to more than" in unread(str(path))
    claimed, hidden = (len(content).to_bytes(4, "little") for content in (large, WEIGHTS))
    path.write_bytes(path.read_bytes().replace(claimed, hidden))
    assert "model.weights.h5 unpacks to more than" in unread(str(path))


def test_weights_that_take_too_much_memory_to_unpack_are_unknown(tmp_path: Path) -> None:
    packed = Path(by_hand.write_zip(tmp_path / "packed.zip", {"model.weights.h5": WEIGHTS}, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(packed) as archive:
        start = archive.getinfo("model.weights.h5").header_offset + 30 + len("model.weights.h5")
    content = bytearray(packed.read_bytes())
    content[start + 5 : start + 9] = (MAX_LZMA_DICTIONARY + 1).to_bytes(4, "little")
    packed.write_bytes(content)
    add(packed, {name: text for name, text in GOOD.items() if name != "model.weights.h5"})
    assert f"{MAX_LZMA_DICTIONARY:,} are the limit" in unread(str(packed))


def test_shards_share_one_limit(tmp_path: Path) -> None:
    names = [f"model_{index:05}.weights.h5" for index in range(5)]
    index = json.dumps({"weight_map": {"/layers/dense/vars": names}}).encode()
    shard = WEIGHTS + bytes(UNPACKED_SPARE // 4)
    files = {**by_hand.members(MODEL), "model.weights.json": index, **dict.fromkeys(names, shard)}
    assert "unpacks to more than" in unread(by_hand.write_zip(tmp_path / "m.keras", files, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b" " * (MAX_JSON_BYTES + 1), f"unpacks to more than {MAX_JSON_BYTES:,} bytes"),
        (b'{"a": [' + b"{}," * MAX_JSON_VALUES + b"0]}", f"holds more than {MAX_JSON_VALUES:,} values"),
        (b'{"a":' * (MAX_JSON_DEPTH + 1) + b"0" + b"}" * (MAX_JSON_DEPTH + 1), f"more than {MAX_JSON_DEPTH} deep"),
    ],
    ids=["bytes", "values", "depth"],
)
def test_json_beyond_a_limit_is_named(tmp_path: Path, name: str, text: bytes, said: str) -> None:
    files = {**GOOD, name: text}
    message = refused(by_hand.write_zip(tmp_path / "m.keras", files, zipfile.ZIP_DEFLATED))
    assert f"{name} " in message
    assert said in message


@pytest.mark.parametrize("method", METHODS)
def test_damaged_packed_bytes_are_a_damaged_archive(tmp_path: Path, method: int) -> None:
    path = Path(by_hand.write_zip(tmp_path / "m.keras", GOOD, method))
    content = bytearray(path.read_bytes())
    start = content.index(b"config.json") + len(b"config.json")
    for at in range(start + 10, start + 40):
        content[at] ^= 0x5A
    path.write_bytes(content)
    message = refused(str(path))
    assert "config.json" in message
    assert "damaged" in message or "cannot be unpacked" in message


def test_a_changed_byte_of_the_configuration_is_seen_by_its_checksum(tmp_path: Path) -> None:
    path = Path(by_hand.write_zip(tmp_path / "m.keras", GOOD))
    path.write_bytes(path.read_bytes().replace(b'"units": 2', b'"units": 3', 1))
    assert "config.json is damaged: its checksum does not match" in refused(str(path))


@pytest.mark.parametrize("limit", [MAX_CALLS // 10, pytest.param(MAX_CALLS, marks=pytest.mark.exhaustive)])
def test_models_that_call_models_twice_meet_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(flat_model, "MAX_CALLS", limit)
    model: dict[str, Any] = by_hand.layer("ReLU", "relu", calls=[["image"]])
    output = ["relu", 0, 0]
    for level in range(20):
        name = f"level{level}"
        model = {**by_hand.functional([by_hand.image(3), model], []), "name": name}
        model["config"]["output_layers"] = [output]
        calls = ["image", name]
        model["inbound_nodes"] = [{"args": [by_hand.tensor(source)], "kwargs": {}} for source in calls]
        output = [name, 2, 0]  # a model has a call of its own before its two
    path = by_hand.write_zip(tmp_path / "m.keras", by_hand.members(model, WEIGHTS))
    assert Path(path).stat().st_size < 20_000
    assert f"has more than {limit:,} calls of layers and models" in refused(path)


def test_layers_in_reverse_order_take_linear_time(tmp_path: Path) -> None:
    count = 2000
    names = ["image", *(f"r{index}" for index in range(count))]
    layers = [by_hand.layer("ReLU", name, calls=[[source]]) for source, name in pairwise(names)]
    model = by_hand.functional([by_hand.image(3), *reversed(layers)], [names[-1]])
    graph = load(by_hand.write_zip(tmp_path / "m.keras", by_hand.members(model, WEIGHTS)))
    assert [layer.name for layer in graph.layers] == names[1:]


def test_an_output_that_no_layer_can_have_is_refused(tmp_path: Path) -> None:
    model = by_hand.functional([by_hand.image(3), DENSE], ["fc"])
    model["config"]["output_layers"] = [["fc", 0, (1 << 63) - 1]]
    message = refused(by_hand.write_zip(tmp_path / "m.keras", by_hand.members(model, WEIGHTS)))
    assert "it uses output 9223372036854775807 of layer 'fc'" in message

"""The archive of Keras 3: config.json, metadata.json, and the weights in one HDF5 file or several shards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from cnnlint.errors import ModelError, UnsupportedModelError
from cnnlint.frontends.keras import hdf5, json_text
from cnnlint.frontends.keras.hdf5 import Hdf5Source
from cnnlint.frontends.keras.members import FolderMembers, Members, ZipMembers
from cnnlint.frontends.keras.records import ArchiveRecord, Config, WeightRecord
from cnnlint.frontends.keras.storage import Hdf5Storage

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.source import ByteSource

CONFIG, METADATA = "config.json", "metadata.json"
WEIGHTS, SHARD_INDEX, NUMPY_WEIGHTS = "model.weights.h5", "model.weights.json", "model.weights.npz"

NOT_THE_MODEL = ("optimizer", "optimizer_weights")
"""Groups of the weights file that the network does not need."""


def read_zip(path: str, content: ByteSource | None = None) -> ArchiveRecord:
    """Read a `.keras` file, or one that is no local file from `content`.

    Raises:
        ModelError: It is damaged, or a zip archive of something else.
        UnsupportedModelError: It holds its weights in NumPy's format.
    """
    with ZipMembers(path, content) as members:
        if CONFIG not in members.names:
            raise ModelError(
                f"is not a Keras archive but {_kind(members.names)}: it has no {CONFIG}",
                path=path,
                remedy="model.save('model.keras') writes one",
            )
        return _read(path, members, os.path.getsize(path) if content is None else content.size)


def read_folder(path: str) -> ArchiveRecord:
    """Read a folder that holds what a `.keras` file holds.

    Raises:
        ModelError: It holds no such thing, or a file of it is damaged.
    """
    members = FolderMembers(path)
    if CONFIG not in members.names:
        kind = "a TensorFlow SavedModel" if "saved_model.pb" in members.names else f"a folder without {CONFIG}"
        raise ModelError(f"is not a Keras model but {kind}", path=path)
    return _read(path, members, sum(os.path.getsize(os.path.join(path, name)) for name in members.names))


def _read(path: str, members: Members, file_bytes: int) -> ArchiveRecord:
    config = json_text.model_config(members.text(CONFIG), name=CONFIG, path=path)
    metadata = json_text.parse(members.text(METADATA), name=METADATA, path=path) if METADATA in members.names else {}
    compiled = config.get("compile_config")
    weights = list[WeightRecord]()
    names = dict[str, str]()
    for source in _weight_files(path, members):
        _read_weights(source, weights, names)
    return ArchiveRecord(
        path=path,
        format="keras",
        keras_version=str(metadata.get("keras_version") or ""),
        config=config,
        training=cast("Config", compiled) if isinstance(compiled, dict) and compiled else None,
        weights=tuple(weights),
        layer_names=names,
        file_bytes=file_bytes,
    )


def _weight_files(path: str, members: Members) -> list[Hdf5Source]:
    if WEIGHTS in members.names:
        return [members.hdf5(WEIGHTS)]
    if SHARD_INDEX in members.names:
        index = json_text.parse(members.text(SHARD_INDEX), name=SHARD_INDEX, path=path)
        return [members.hdf5(name) for name in _shards(index, members.names, path)]
    if NUMPY_WEIGHTS in members.names:
        raise UnsupportedModelError(
            "holds its weights as NumPy arrays", path=path, remedy="load it and save it again with model.save"
        )
    raise ModelError(f"has no weights: neither {WEIGHTS} nor {SHARD_INDEX}", path=path)


def _shards(index: Config, names: frozenset[str], path: str) -> list[str]:
    """Return the names of the shards, each once; a name that leads out of the folder is no member."""
    listed: Any = index.get("weight_map")
    if not isinstance(listed, dict):
        raise ModelError(f"{SHARD_INDEX} is broken: it has no weight_map", path=path)
    found = dict[str, None]()
    for entry in cast("dict[str, Any]", listed).values():
        for name in cast("list[Any]", entry) if isinstance(entry, list) else [entry]:
            found[str(name)] = None
    missing = [name for name in found if name not in names]
    if missing:
        raise ModelError(f"the shard {missing[0]} of its weights is missing", path=path)
    return list(found)


def _read_weights(source: Hdf5Source, weights: list[WeightRecord], names: dict[str, str]) -> None:
    with hdf5.opened(source) as file:
        for path, item in hdf5.walk(hdf5.root(file), source.shown, leave_out=NOT_THE_MODEL):
            if hdf5.is_dataset(item):
                dataset = hdf5.describe(path, item)
                storage = Hdf5Storage(source, dataset)
                weights.append(WeightRecord(path, path, dataset.shape, dataset.dtype, storage))
            elif path.endswith("/vars") and (name := hdf5.text_attribute(item, b"name")) is not None:
                names[path.removesuffix("/vars")] = name


def _kind(names: frozenset[str]) -> str:
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch checkpoint"
    if any(name.endswith("saved_model.pb") for name in names):
        return "a zipped SavedModel"
    if "[Content_Types].xml" in names:
        return "an Office document"
    if any(name.endswith(".keras") for name in names):
        return "a zip archive around a .keras file (unpack it first)"
    return "another zip archive"

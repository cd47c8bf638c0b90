"""Read a Keras file, whatever its name: a zip archive or folder of Keras 3, or a legacy HDF5 file."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, cast

from cnnlint.errors import ModelError, UnsupportedModelError, WeightsOnlyError, meant_path
from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.hdf5.headers import MAGIC
from cnnlint.frontends.keras.hdf5.objects import Dataset, Hdf5Object, opened
from cnnlint.frontends.keras.members import FolderMembers, Members, TooLargeError, ZipMembers
from cnnlint.frontends.keras.records import ArchiveRecord, WeightRecord
from cnnlint.frontends.keras.settings import Config
from cnnlint.frontends.keras.storage import Hdf5Storage
from cnnlint.frontends.sources import local_file

if TYPE_CHECKING:
    from cnnlint.frontends.sources import ByteSource

LOOK = 512
"""Bytes from the start of a file that are enough to recognize it."""

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")

CONFIG, METADATA = "config.json", "metadata.json"
WEIGHTS, SHARD_INDEX, NUMPY_WEIGHTS = "model.weights.h5", "model.weights.json", "model.weights.npz"

NOT_THE_MODEL = ("optimizer", "optimizer_weights")
"""Groups of the weights file that are not part of the network."""

WEIGHTS_GROUPS = ("layers", "vars", "_layer_checkpoint_dependencies", "model_weights")
"""Groups by which a file that holds only weights is recognized."""


def read_archive(path: str) -> ArchiveRecord:
    """Read everything of a Keras model but the values of its weights.

    Raises:
        UnsupportedModelError: The file is sound but holds no model: weights only, a Git LFS pointer.
        ModelError: The file is missing, empty, damaged, or something else than a Keras model.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return _read_folder(path)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("is not a regular file", path=path)
        with open(path, "rb") as file:
            head = file.read(LOOK)
        if head.startswith(ZIP_MAGIC):
            return _read_zip(path)
        if head.startswith(MAGIC):
            return _read_h5(path, local_file(path))
    except FileNotFoundError:
        raise ModelError("no such file", path=path, remedy=meant_path(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"cannot be read: {reason}", path=path) from error
    raise _diagnosed(head, path)


def read_archive_from(content: ByteSource, path: str) -> ArchiveRecord:
    """Read everything of a Keras model that is no local file but the values of its weights.

    Raises:
        UnsupportedModelError: The file is sound but holds no model: weights only, a Git LFS pointer.
        ModelError: The file is empty, damaged, or something else than a Keras model, or it cannot be read.
    """
    head = content.read(0, LOOK)
    if head.startswith(ZIP_MAGIC):
        return _read_zip(path, content)
    if head.startswith(MAGIC):
        return _read_h5(path, content)
    raise _diagnosed(head, path)


def _diagnosed(head: bytes, path: str) -> ModelError:
    if not head:
        return ModelError("the file is empty", path=path)
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return UnsupportedModelError(
            "is a Git LFS pointer: the model itself was not downloaded", path=path, remedy="git lfs pull"
        )
    start = head.lstrip()
    if start.startswith(b"{") and b"weight_map" in head:
        return UnsupportedModelError(
            "is the index of sharded weights, and holds no model", path=path, remedy="save the whole model"
        )
    kind = "JSON text" if start.startswith((b"{", b"[")) else "an HTML or XML page" if start[:1] == b"<" else ""
    what = f": it is {kind}" if kind else ", or its start is damaged"
    return ModelError(f"is neither a .keras archive nor an HDF5 file{what}", path=path)


# Keras 3: config.json, metadata.json, and the weights in one HDF5 file or several shards


def _read_zip(path: str, content: ByteSource | None = None) -> ArchiveRecord:
    members = ZipMembers(path, content)
    if CONFIG not in members.names:
        raise ModelError(
            f"is not a Keras archive but {_kind(members.names)}: it has no {CONFIG}",
            path=path,
            remedy="model.save('model.keras') writes one",
        )
    return _read_members(path, members)


def _read_folder(path: str) -> ArchiveRecord:
    members = FolderMembers(path)
    if CONFIG not in members.names:
        kind = "a TensorFlow SavedModel" if "saved_model.pb" in members.names else f"a folder without {CONFIG}"
        raise ModelError(f"is not a Keras model but {kind}", path=path)
    return _read_members(path, members)


def _read_members(path: str, members: Members) -> ArchiveRecord:
    config = settings.model_config(members.text(CONFIG), name=CONFIG, path=path)
    metadata = settings.parse(members.text(METADATA), name=METADATA, path=path) if METADATA in members.names else {}
    compiled = config.get("compile_config")
    weights, names, unread = list[WeightRecord](), dict[str, str](), ""
    try:
        for file in _weight_files(path, members):
            _read_weights(members.content(file), path, weights, names)
    except TooLargeError as error:  # with only a part of the weights, totals would look complete
        weights, names, unread = [], {}, error.cause
    return ArchiveRecord(
        path=path,
        format="keras",
        keras_version=str(metadata.get("keras_version") or ""),
        config=config,
        training=cast("Config", compiled) if isinstance(compiled, dict) and compiled else None,
        weights=tuple(weights),
        layer_names=names,
        file_bytes=members.size,
        unread=unread,
    )


def _weight_files(path: str, members: Members) -> list[str]:
    if WEIGHTS in members.names:
        return [WEIGHTS]
    if SHARD_INDEX in members.names:
        index = settings.parse(members.text(SHARD_INDEX), name=SHARD_INDEX, path=path)
        return _shards(index, members.names, path)
    if NUMPY_WEIGHTS in members.names:
        raise UnsupportedModelError(
            "holds its weights as NumPy arrays", path=path, remedy="load it and save it again with model.save"
        )
    raise ModelError(f"has no weights: neither {WEIGHTS} nor {SHARD_INDEX}", path=path)


def _shards(index: Config, names: frozenset[str], path: str) -> list[str]:
    """Return the names of the shards, each once; a name outside of the folder is not a member."""
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


def _read_weights(content: ByteSource, path: str, weights: list[WeightRecord], names: dict[str, str]) -> None:
    with opened(content, path) as root:
        for node in root.walk(leave_out=NOT_THE_MODEL):
            if node.is_dataset:
                weights.append(_record(content, node.dataset(), node.path, path))
            elif node.path.endswith("/vars") and (name := node.text("name")) is not None:
                names[node.path.removesuffix("/vars")] = name


def _record(content: ByteSource, dataset: Dataset, name: str, path: str, group: str = "") -> WeightRecord:
    storage = Hdf5Storage(content, dataset, path)
    return WeightRecord(dataset.path, name, dataset.shape, dataset.dtype, storage, group=group)


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


# Keras 2, and Keras 3 if the name ends in .h5: configurations in attributes, weights in a group per layer


def _read_h5(path: str, content: ByteSource) -> ArchiveRecord:
    with opened(content, path) as root:
        links = root.links()
        text = root.text("model_config")
        if text is None:
            raise _no_model(root, path)
        training = root.text("training_config")
        group = root.child("model_weights", links["model_weights"] or 0) if "model_weights" in links else None
        return ArchiveRecord(
            path=path,
            format="h5",
            keras_version=root.text("keras_version") or "",
            config=settings.model_config(text, name="the attribute model_config", path=path),
            training=None
            if training is None
            else settings.parse(training, name="the attribute training_config", path=path),
            weights=() if group is None else tuple(_legacy_weights(group, content, path)),
            file_bytes=content.size,
        )


def _legacy_weights(group: Hdf5Object, content: ByteSource, path: str) -> list[WeightRecord]:
    """Return the weights in the order that Keras lists them."""
    below = {node.path.partition("/")[2]: node for node in group.walk()}
    # A layer's name may contain slashes, and then its group is not at the top.
    layers = _names(group, "layer_names") or [
        name for name, node in below.items() if "/" not in name and not node.is_dataset
    ]
    found = list[WeightRecord]()
    for layer in [*layers, "top_level_model_weights"]:
        if layer not in below:
            continue
        for name in _names(below[layer], "weight_names"):
            node = below.get(f"{layer}/{name}")
            if node is not None and node.is_dataset:
                found.append(_record(content, node.dataset(), name, path, layer))
    return found


def _names(group: Hdf5Object, attribute: str) -> list[str]:
    """Return a list of names; one too long for an attribute is split into numbered ones."""
    whole = group.texts(attribute)
    if whole is not None:
        return whole
    names, chunk = list[str](), 0
    while (part := group.texts(f"{attribute}{chunk}")) is not None:
        names += part
        chunk += 1
    return names


def _no_model(root: Hdf5Object, path: str) -> ModelError:
    lists_layers = root.texts("layer_names") is not None or root.texts("layer_names0") is not None
    if lists_layers or not root.links().keys().isdisjoint(WEIGHTS_GROUPS):
        return WeightsOnlyError(
            "holds weights only, no model", path=path, remedy="save the whole model: model.save('model.keras')"
        )
    return ModelError(
        "is an HDF5 file without a Keras model: it has no attribute model_config",
        path=path,
        remedy="model.save('model.keras') writes a model",
    )

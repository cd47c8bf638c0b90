"""The legacy HDF5 model of Keras 2 and 3: configurations in attributes, weights in a group for each layer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnnlint.errors import ModelError, WeightsOnlyError
from cnnlint.frontends.keras import hdf5, json_text
from cnnlint.frontends.keras.hdf5 import Hdf5Source
from cnnlint.frontends.keras.records import ArchiveRecord, WeightRecord
from cnnlint.frontends.keras.storage import Hdf5Storage

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.source import ByteSource

WEIGHTS_GROUPS = ("layers", "vars", "_layer_checkpoint_dependencies", "model_weights")
"""Groups by which a file of weights alone is known."""


def read_h5(path: str, content: ByteSource | None = None) -> ArchiveRecord:
    """Read a legacy `.h5` model, or one that is no local file from `content`.

    Raises:
        WeightsOnlyError: It holds weights and no model.
        ModelError: It is damaged, or an HDF5 file of something else.
    """
    source = Hdf5Source(path, path, content=content)
    with hdf5.opened(source) as file:
        text = _text(file.attrs.get("model_config"))
        if text is None:
            raise _no_model(file, path)
        config = json_text.model_config(text, name="the attribute model_config", path=path)
        training = _text(file.attrs.get("training_config"))
        group = file.get("model_weights")
        return ArchiveRecord(
            path=path,
            format="h5",
            keras_version=_text(file.attrs.get("keras_version")) or "",
            config=config,
            training=None
            if training is None
            else json_text.parse(training, name="the attribute training_config", path=path),
            weights=() if group is None else tuple(_weights(group, source)),
            file_bytes=os.path.getsize(path) if content is None else content.size,
        )


def _weights(group: Any, source: Hdf5Source) -> list[WeightRecord]:
    """Return the weights in the order that Keras lists them."""
    found = dict[str, Any]()
    groups = dict[str, Any]()
    for path, item in hdf5.walk(group.id, source.shown):
        if hdf5.is_dataset(item):
            found[path] = item
        elif "/" not in path:
            groups[path] = item
    # A layer's own name may hold slashes, and then its group is not at the top.
    layers = _names(group, "layer_names") or list(groups)
    records = list[WeightRecord]()
    for layer in [*layers, "top_level_model_weights"]:
        if layer not in group:
            continue
        listed = _names(group[layer], "weight_names")
        for name in listed:
            key = f"{layer}/{name}"
            if key in found:
                dataset = hdf5.describe(f"model_weights/{key}", found[key])
                storage = Hdf5Storage(source, dataset)
                records.append(WeightRecord(dataset.path, name, dataset.shape, dataset.dtype, storage, group=layer))
    return records


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list of names; one too long for an attribute is cut into several, numbered."""
    if attribute in group.attrs:
        return [_text(name) or "" for name in group.attrs[attribute]]
    names, chunk = list[str](), 0
    while (numbered := f"{attribute}{chunk}") in group.attrs:
        names += [_text(name) or "" for name in group.attrs[numbered]]
        chunk += 1
    return names


def _no_model(file: Any, path: str) -> ModelError:
    if "layer_names" in file.attrs or "layer_names0" in file.attrs or any(name in file for name in WEIGHTS_GROUPS):
        return WeightsOnlyError(
            "holds weights only, no model", path=path, remedy="save the whole model: model.save('model.keras')"
        )
    return ModelError(
        "is an HDF5 file without a Keras model: it has no attribute model_config",
        path=path,
        remedy="model.save('model.keras') writes a model",
    )


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return None if value is None else str(value)

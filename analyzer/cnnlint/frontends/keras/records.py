"""Light records of a Keras archive: its configuration, and its weights without their values."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from cnnlint.graph.tensor import Storage

Config = dict[str, Any]
"""A JSON object as Keras writes it; what it holds is checked where it is used."""


class WeightRecord(Struct, frozen=True, gc=False):
    """An array of the archive.

    Attributes:
        key: Its path in the weights file: "layers/conv2d_1/vars/0".
        name: Its path below the layer: "0", "cell/0", "conv1/kernel".
        group: In a legacy `.h5`: the name of the layer whose group it is in.
        shape: As the file stores it; None for what stands for all weights of a layer where they were not read.
        dtype: Element type such as "float32".
        storage: Reads the values.
    """

    key: str
    name: str
    shape: tuple[int, ...] | None
    dtype: str
    storage: Storage | None = None
    group: str = ""


class ArchiveRecord(Struct, frozen=True, gc=False):
    """A `.keras` archive or a legacy `.h5` model.

    Attributes:
        path: As the user wrote it.
        format: "keras" for the zip archive of Keras 3, "h5" for the legacy HDF5 file.
        keras_version: That wrote it; "" if the file does not say.
        config: The model's own record: "class_name", "config", and in Keras 3 "module" and "build_config".
        training: What was given to `compile`; None for a model that is not compiled.
        weights: All arrays of the model, those of the optimizer left out, in the file's order.
        layer_names: Group of the weights file -> name of the layer that wrote it, where the file says it.
        file_bytes: Of the file, and of the shards that lie beside it.
        unread: Why no weights were read, as a clause; "" if they were.
    """

    path: str
    format: Literal["keras", "h5"]
    keras_version: str
    config: Config
    training: Config | None
    weights: tuple[WeightRecord, ...]
    layer_names: dict[str, str] = field(default_factory=dict[str, str])
    file_bytes: int = 0
    unread: str = ""

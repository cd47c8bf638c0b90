"""Records of a Keras archive: its layers with their configurations, and its weights without values."""

from __future__ import annotations

from typing import Any, Literal, cast

from msgspec import Struct, field

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.settings import Config
from cnnlint.graph.tensor import Storage


class WeightRecord(Struct, frozen=True, gc=False):
    """An array of the archive.

    Attributes:
        key: Its path in the weights file: "layers/conv2d_1/vars/0".
        name: Its path within the layer: "0", "cell/0", "conv1/kernel".
        group: In a legacy `.h5`: the name of the layer whose group it is in.
        shape: As the file stores it; None for a placeholder for all weights of a layer, if they were not read.
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
        keras_version: Version that wrote it; "" if unknown.
        config: The model's own record: "class_name", "config", and in Keras 3 "module" and "build_config".
        training: The arguments of `compile`; None for a model that is not compiled.
        weights: All arrays of the model, without those of the optimizer, in the file's order.
        layer_names: Group of the weights file -> name of its layer, if the file has it.
        file_bytes: Total size of the file and its shards.
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


TF_FUNCTIONS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
"""Layers with which Keras 2 saves TensorFlow functions."""

CASTS = ("Cast", "SaturateCast")
"""Functions of `keras.ops` with a type in their configuration."""

KERAS_PACKAGES = ("keras", "tf_keras", "tensorflow", "keras_hub", "keras_cv", "keras_nlp")


class LayerRecord(Struct, frozen=True, gc=False):
    """A layer of Keras.

    Attributes:
        name: Its name in Keras.
        path: Its name prefixed with those of enclosing models: "encoder/conv1".
        class_name: "Conv2D".
        module: Module of the class; "" in files of Keras 2.
        config: The layer's own configuration.
        input_shape: Shape that it was built for, the batch first; None if unknown.
        weights: Its arrays, with names relative to the layer.
        trainable: Whether it and all enclosing models are.
    """

    name: str
    path: str
    class_name: str
    module: str
    config: Config
    input_shape: tuple[int | None, ...] | None = None
    weights: tuple[WeightRecord, ...] = ()
    trainable: bool = True

    @property
    def is_operation(self) -> bool:
        """Whether it is a function of `keras.ops` and not a layer."""
        return is_operation(self.module, self.config, self.class_name)

    @property
    def is_custom(self) -> bool:
        """Whether the class is not part of Keras."""
        return bool(self.module) and self.module.partition(".")[0] not in KERAS_PACKAGES

    @property
    def dtype(self) -> str:
        """The type that it computes in."""
        return settings.compute_dtype(self.config.get("dtype"))


def described(
    record: Config, *, path: str, weights: tuple[WeightRecord, ...] = (), trainable: bool = True
) -> LayerRecord:
    """Return the record of a serialized layer."""
    config = config_of(record)
    built = record.get("build_config")
    shape = cast("Config", built).get("input_shape") if isinstance(built, dict) else None
    if shape is None:
        shape = config.get("batch_input_shape") or config.get("batch_shape")
    return LayerRecord(
        name=name_of(record),
        path=path,
        class_name=str(record.get("class_name") or "Layer").rpartition(">")[2],
        module=str(record.get("module") or ""),
        config=config,
        input_shape=settings.shape_of(shape),
        weights=weights,
        trainable=trainable and config.get("trainable", True) is not False,
    )


def is_operation(module: object, config: Config, class_name: object) -> bool:
    """Return whether a serialized object is a function of `keras.ops`.

    A legacy `.h5` file has no modules; there, all layers have a dtype or `trainable` in their configuration.
    """
    if isinstance(module, str) and module:
        return ".ops" in module
    silent = "name" in config and "trainable" not in config and "dtype" not in config
    return (silent and class_name != "InputLayer" and class_name not in TF_FUNCTIONS) or class_name in CASTS


def config_of(record: Config) -> Config:
    """Return the configuration in a serialized object; old Sequential models have a bare list of layers."""
    config: Any = record.get("config")
    if isinstance(config, list):
        return {"layers": config}
    return cast("Config", config) if isinstance(config, dict) else {}


def name_of(record: Config) -> str:
    """Return a serialized layer's name."""
    return str(record.get("name") or config_of(record).get("name") or record.get("class_name") or "layer")

"""Light records of a Keras archive: its layers and their configurations, and its weights without their values."""

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


TF_FUNCTIONS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
"""Layers that Keras 2 made of TensorFlow's functions."""

CASTS = ("Cast", "SaturateCast")
"""Functions of `keras.ops` with a type in their configuration."""

KERAS_PACKAGES = ("keras", "tf_keras", "tensorflow", "keras_hub", "keras_cv", "keras_nlp")


class LayerRecord(Struct, frozen=True, gc=False):
    """A layer of Keras.

    Attributes:
        name: As Keras has it.
        path: With the names of the models that it is nested in: "encoder/conv1".
        class_name: "Conv2D".
        module: Where the class comes from; "" in files of Keras 2.
        config: The layer's own configuration.
        input_shape: That it was built for, the batch first; None if the file does not say.
        weights: Its arrays, their names below the layer.
        trainable: Whether it and all models around it are.
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
        """Whether it is a function of `keras.ops` and no layer."""
        return is_operation(self.module, self.config, self.class_name)

    @property
    def is_custom(self) -> bool:
        """Whether the class is the user's own."""
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

    A legacy `.h5` file names no modules; there, all layers say of which type they are or whether they are trainable.
    """
    if isinstance(module, str) and module:
        return ".ops" in module
    silent = "name" in config and "trainable" not in config and "dtype" not in config
    return (silent and class_name != "InputLayer" and class_name not in TF_FUNCTIONS) or class_name in CASTS


def config_of(record: Config) -> Config:
    """Return the configuration in a serialized object; Sequential models of old had a bare list of layers."""
    config: Any = record.get("config")
    if isinstance(config, list):
        return {"layers": config}
    return cast("Config", config) if isinstance(config, dict) else {}


def name_of(record: Config) -> str:
    """Return a serialized layer's name."""
    return str(record.get("name") or config_of(record).get("name") or record.get("class_name") or "layer")

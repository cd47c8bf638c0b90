"""Opening a model as one side of a comparison, whatever its format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnnlint.errors import ConfigError
from cnnlint.models import path_of, program_of, raise_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnlint.compare.side import Side
    from cnnlint.graph.tensor import Shape
    from cnnlint.models import Model


def open_side(model: Model, inputs: Mapping[str, Shape] | None = None) -> Side:
    """Return a model ready to be run.

    Args:
        model: A path, an `onnx.ModelProto` or a `keras.Model`.
        inputs: Shapes by input name that replace what the model declares.

    Raises:
        ModelError: It cannot be read.
        ConfigError: It is remote.
        MissingExtraError: It is a Keras model or a SavedModel, and TensorFlow is not installed.
        ConversionError: It holds code that is not run.
    """
    path = path_of(model)
    if "://" in path:
        raise ConfigError("a remote model is not downloaded to be run", path=path, remedy="download it first")
    if not isinstance(model, str | os.PathLike) and hasattr(model, "layers"):
        from cnnlint.compare.keras_side import KerasSide

        return KerasSide(path, model, raise_model(model, inputs))
    graph = raise_model(model, inputs)
    match graph.source.format:
        case "keras" | "h5":
            from cnnlint.compare.keras_side import KerasSide
            from cnnlint.convert.loading import load_keras
            from cnnlint.convert.toolchain import toolchain

            live: Any = load_keras(path, toolchain())
            return KerasSide(path, live, graph)
        case "savedmodel":
            from cnnlint.compare.saved_model_side import SavedModelSide

            return SavedModelSide(path, program_of(model, graph), graph)
        case _:
            from cnnlint.compare.onnx_side import OnnxSide

            return OnnxSide(path, program_of(model, graph), graph)

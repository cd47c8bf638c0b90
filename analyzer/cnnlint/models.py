"""Models as callers hand them over: paths, and ONNX or Keras models in memory, told apart without importing either."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnnlint import frontends
from cnnlint.errors import CnnlintError, ModelError
from cnnlint.graph.graph import Graph, Source

if TYPE_CHECKING:
    import keras  # pyright: ignore[reportMissingTypeStubs] - keras ships none
    import onnx

    from cnnlint.graph.tensor import Shape
    from cnnlint.runtime.program import Program

    Model = str | os.PathLike[str] | onnx.ModelProto | keras.Model


class Folder:
    """A temporary folder that lives as long as this object."""

    def __init__(self) -> None:
        import shutil
        import tempfile

        self.path = tempfile.mkdtemp(prefix="cnnlint-")
        self._remove = shutil.rmtree  # at the interpreter's exit there is nothing to import from any more

    def __del__(self) -> None:
        self._remove(self.path, ignore_errors=True)


def path_of(model: Model) -> str:
    """Return the path of a model as the user wrote it, or what stands for it: "<keras.Model cnn>".

    A URL is given as it may be printed, without password and signature.

    Raises:
        ModelError: It is neither a path nor a model.
    """
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        if "://" in path:
            from cnnlint.frontends.remote.address import shown

            return shown(path)
        return path
    if _is(model, "onnx", "ModelProto"):
        return f"<onnx.ModelProto {cast('onnx.ModelProto', model).graph.name}>"
    if _is(model, "keras", "Model"):
        return f"<keras.Model {cast('Any', model).name}>"
    kind = cast("type[object]", type(model))
    raise ModelError(
        f"a {kind.__module__}.{kind.__qualname__} is no model",
        remedy="give a path, an onnx.ModelProto or a keras.Model",
    )


def is_remote(model: Model) -> bool:
    """Return whether `model` is a URL."""
    return isinstance(model, (str, os.PathLike)) and "://" in os.fspath(model)


@contextmanager
def at_hand(model: Model, *, download: bool) -> Generator[Model]:
    """Yield `model`; or if it is a URL and `download` asks for it, a copy on disk that is removed afterwards.

    Raises:
        ModelError: It cannot be downloaded.
        MissingExtraError: Downloading it takes a package that is not installed.
    """
    if not (download and is_remote(model)):
        yield model
        return
    from cnnlint.frontends.remote.download import downloaded

    with downloaded(os.fspath(cast("str", model))) as copy:
        try:
            yield copy
        except CnnlintError as error:
            if error.path == copy:
                error.path = path_of(model)
            raise


def raise_model(model: Model, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Return the graph of a model.

    Args:
        model: A path, or a model in memory. A Keras model is saved to a temporary folder, which is deleted when
            the graph is no longer used.
        inputs: Shapes by input name that replace what the model declares.

    Raises:
        ModelError: It cannot be read as a model.
        MissingExtraError: Reading it takes a package that is not installed.
    """
    path = path_of(model)
    if isinstance(model, (str, os.PathLike)):
        return frontends.load(os.fspath(model), inputs=inputs)
    if _is(model, "onnx", "ModelProto"):
        return frontends.load_onnx_bytes(serialize(cast("onnx.ModelProto", model)), path, inputs=inputs)
    folder = Folder()
    file = str(Path(folder.path, "model.keras"))
    try:
        cast("Any", model).save(file)
    except Exception as error:
        raise ModelError(f"Keras cannot save it: {error}", path=path, remedy="build it by calling it once") from error
    graph = _in_memory(frontends.load(file, inputs=inputs), path)
    vars(graph)["saved_in"] = folder  # the weights are read from there
    return graph


def serialize(model: onnx.ModelProto) -> bytes:
    """Return the bytes of an ONNX model in memory.

    Raises:
        ModelError: It is larger than protobuf can write.
    """
    try:
        return model.SerializeToString()
    except Exception as error:
        remedy = "save it with external data and lint the file"
        raise ModelError(f"cannot be serialized: {error}", path=path_of(model), remedy=remedy) from error


def program_of(model: Model, graph: Graph) -> Program:
    """Return a model as onnxruntime takes it; a Keras model is converted to ONNX.

    Args:
        model: A path, or a model in memory.
        graph: The network that was raised from it.

    Raises:
        ModelError: It cannot be read.
        MissingExtraError: It must be converted, and TensorFlow is not installed.
        ConversionError: It cannot be converted.
    """
    from cnnlint.runtime.program import Program

    if _is(model, "onnx", "ModelProto"):
        return Program.from_proto(cast("onnx.ModelProto", model))
    if graph.source.format == "onnx":
        return Program.from_file(path_of(model))
    if graph.source.format == "savedmodel":
        from cnnlint.frontends.savedmodel import as_onnx

        return Program(as_onnx(path_of(model)))
    from cnnlint.convert import keras_to_onnx

    return Program.from_proto(keras_to_onnx(cast("Any", model)))


def _is(model: object, package: str, name: str) -> bool:
    return any(kind.__name__ == name and kind.__module__.partition(".")[0] == package for kind in type(model).__mro__)


def _in_memory(graph: Graph, path: str) -> Graph:
    source = graph.source
    return Graph(
        layers=graph.layers,
        inputs=graph.inputs,
        outputs=graph.outputs,
        source=Source(path, source.format, source.producer, source.opset, source.file_bytes, source.layout),
        training=graph.training,
        unused=graph.unused,
        ignores=graph.ignores,
    )

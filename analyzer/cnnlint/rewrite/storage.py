"""Where the weights of a model are while it is rewritten, and how it is written without reading them into memory."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, BinaryIO

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.wire import head, message
from cnnlint.rewrite.weights import settle_weights
from cnnlint.runtime.program import LARGEST, Program

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import onnx
    from numpy.typing import NDArray
    from onnx import TensorProto

STAYS = 4096
"""Most bytes of a tensor that stays in the model and does not go to a file."""

MADE = "cnnlint-made.bin"
"""The file of the weights that rewrites made."""

ALIGNMENT = 4096
"""At multiples of which tensors begin in external data, so that they can be mapped."""

CHUNK = 1 << 20

_RAW_DATA, _GRAPH, _INITIALIZER = 0x4A, 0x3A, 0x2A


class Workspace:
    """A folder in which a model's data files and the weights that rewrites make lie side by side.

    The model's own files are linked, or copied where a link cannot be, and only once a rewrite makes a weight.

    Args:
        folder: An empty folder.
        program: The model; its large weights are in files.
    """

    def __init__(self, folder: str, program: Program) -> None:
        self._folder = folder
        self._given = program
        self._size = 0

    def settle(self, model: onnx.ModelProto, made: Collection[str]) -> Program:
        """Return `model` as a program, with the weights worked out that nodes with the outputs `made` compute.

        Raises:
            RewriteError: A weight cannot be worked out.
            ModelError: A file cannot be read or written.
        """
        if made:
            settle_weights(model, made, self._where, self._hold)
        return Program(model.SerializeToString(), self._where, self._given.path)

    @property
    def _where(self) -> str:
        return self._folder if self._size else self._given.folder

    def _hold(self, name: str, values: NDArray[Any]) -> TensorProto:
        import onnx
        from onnx import helper, numpy_helper

        from cnnlint.rewrite.weights import contiguous

        if values.nbytes <= STAYS or values.dtype.kind not in "fiu":
            return numpy_helper.from_array(values, name)
        if not self._size:
            self._link()
        tensor = onnx.TensorProto(name=name, dims=values.shape, data_type=helper.np_dtype_to_tensor_dtype(values.dtype))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        with open(os.path.join(self._folder, MADE), "ab") as file:
            place = _padded(file, self._size)
            contiguous(values).tofile(file)
        self._size = place + values.nbytes
        _point(tensor, MADE, place, values.nbytes)
        return tensor

    def _link(self) -> None:
        """Have the model's data files in the folder."""
        for location in _locations(self._given.proto()):
            source, target = (os.path.join(folder, location) for folder in (self._given.folder, self._folder))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                os.link(source, target)
            except OSError:
                try:
                    shutil.copyfile(source, target)
                except OSError as error:
                    raise ModelError(
                        f"its weights cannot be copied: {error.strerror}", path=self._given.path
                    ) from error


def write(program: Program, path: str, *, apart: bool = False) -> None:
    """Write a model to the new file `path`; its weights go from file to file.

    Args:
        program: The model.
        path: Its new file.
        apart: Put large weights into `path`.data, as is done in any case where one file would exceed 2 GB.

    Raises:
        OSError: A file cannot be read or written.
    """
    import onnx

    model = program.proto()
    outside = [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    nbytes = sum(_place(tensor, program.folder)[2] for tensor in outside)
    if apart or len(program.content) + nbytes > LARGEST:
        _write_apart(model, outside, program.folder, path)
    else:
        _write_whole(model, outside, program.folder, path)


def keeps_apart(program: Program) -> bool:
    """Return whether the model has its weights in files beside it."""
    return bool(_locations(program.proto()) - {os.path.basename(program.path)})


def _write_apart(model: onnx.ModelProto, outside: list[TensorProto], folder: str, path: str) -> None:
    location = f"{os.path.basename(path)}.data"
    place = 0
    with open(f"{path}.data", "wb") as file:
        for tensor in outside:
            source, offset, length = _place(tensor, folder)
            place = _padded(file, place)
            _point(tensor, location, place, length)
            _copy(source, offset, length, file)
            place += length
    with open(path, "wb") as file:
        file.write(model.SerializeToString())


def _point(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    """Say in which file the values of `tensor` are, and at which bytes."""
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def _write_whole(model: onnx.ModelProto, outside: list[TensorProto], folder: str, path: str) -> None:
    """Write the model with its weights inside: the messages around them are put together by hand."""
    import onnx

    graph, rest = onnx.GraphProto(), onnx.ModelProto()
    graph.CopyFrom(model.graph)
    del graph.initializer[:]
    rest.CopyFrom(model)
    rest.ClearField("graph")
    places = {tensor.name: _place(tensor, folder) for tensor in outside}
    parts = list[tuple[bytes, str]]()  # what to write, and the tensor whose values come after it
    for tensor in model.graph.initializer:
        if (place := places.get(tensor.name)) is None:
            parts.append((message(_INITIALIZER, tensor.SerializeToString()), ""))
            continue
        inside = onnx.TensorProto()
        inside.CopyFrom(tensor)
        inside.ClearField("data_location")
        del inside.external_data[:]
        start = inside.SerializeToString() + head(_RAW_DATA, place[2])
        parts.append((head(_INITIALIZER, len(start) + place[2]) + start, tensor.name))
    body = graph.SerializeToString()
    length = len(body) + sum(len(part) + (places[name][2] if name else 0) for part, name in parts)
    with open(path, "wb") as file:
        file.write(rest.SerializeToString() + head(_GRAPH, length) + body)
        for part, name in parts:
            file.write(part)
            if name:
                _copy(*places[name], file)


def _place(tensor: TensorProto, folder: str) -> tuple[str, int, int]:
    """Return file, offset and length of an external tensor."""
    where = {entry.key: entry.value for entry in tensor.external_data}
    path = os.path.join(folder, where["location"])
    offset = int(where.get("offset", 0))
    return path, offset, int(where["length"]) if "length" in where else os.path.getsize(path) - offset


def _locations(model: onnx.ModelProto) -> set[str]:
    return {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }


def _padded(file: BinaryIO, size: int) -> int:
    """Fill the file up to the next place where a tensor may begin, and return it."""
    place = -(-size // ALIGNMENT) * ALIGNMENT
    file.write(bytes(place - size))
    return place


def _copy(source: str, offset: int, length: int, file: BinaryIO) -> None:
    with open(source, "rb") as given:
        given.seek(offset)
        file.writelines(_chunks(given, length))


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        chunk = file.read(min(CHUNK, length))
        if not chunk:
            raise OSError(None, "the file is shorter than the model says")
        length -= len(chunk)
        yield chunk

"""Read the values of Keras weights on demand; the only module that imports h5py."""

# h5py has no type stubs.
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.frontends.keras.hdf5.chunks import slabs
from cnnlint.frontends.keras.hdf5.objects import Dataset
from cnnlint.frontends.sources import SourceFile, in_steps, pieces
from cnnlint.graph.tensor import storage_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.frontends.sources import ByteSource

MAX_UNPACKED = 1 << 32
"""An array larger than this is read only if its stored size is plausible."""

MAX_EXPANSION = 100
"""Most times that such an array may be larger than its stored size; weights hardly compress."""


class Hdf5Storage(Struct, frozen=True, gc=False):
    """The values of a dataset.

    Attributes:
        source: The bytes of the HDF5 file.
        dataset: Path, shape and type of the array.
        shown: The path of the model as the user wrote it, for messages.
    """

    source: ByteSource
    dataset: Dataset
    shown: str

    @property
    def nbytes(self) -> int | None:
        """The uncompressed size of the values in bytes; None for types without a fixed size."""
        return storage_bytes(self.dataset.dtype, prod(self.dataset.shape))

    def read(self) -> NDArray[np.generic]:
        """Return the values, memory-mapped if they are contiguous in the file.

        Raises:
            ModelError: The file is damaged, or the values are in other files or larger than plausible.
        """
        import numpy as np

        dataset = self.dataset
        if dataset.start is None or not dataset.code:
            return self._by_library()
        dtype = np.dtype(dataset.code)
        if dataset.dtype == "bfloat16":
            dtype = _bfloat16().newbyteorder(dtype.byteorder)
        count = prod(dataset.shape)
        data = self.source.view(dataset.start, count * dtype.itemsize)
        if len(data) != count * dtype.itemsize:
            raise ModelError(f"the values of {dataset.path} are cut off", path=self.shown)
        return np.frombuffer(data, dtype=dtype).reshape(dataset.shape)

    def pieces(self, buffer: memoryview, step: int) -> Iterator[NDArray[np.generic]]:
        """Yield the values in pieces; see `Storage.pieces`."""
        import numpy as np

        dataset = self.dataset
        if not dataset.code or (dataset.start is None and dataset.chunks is None):
            raise ModelError(f"the values of {dataset.path} can only be read by h5py", path=self.shown)
        dtype = np.dtype(dataset.code)
        if dataset.dtype == "bfloat16":
            dtype = _bfloat16().newbyteorder(dtype.byteorder)
        if dataset.chunks is not None:
            for slab in slabs(self.source, dataset.chunks, dataset.shape, self.shown):
                yield from in_steps(slab.view(dtype).reshape(-1), buffer, step)
            return
        start, length = dataset.start or 0, prod(dataset.shape) * dtype.itemsize
        for piece in pieces(self.source, start, length, buffer, step * dtype.itemsize):
            yield np.frombuffer(piece, dtype=dtype)

    def _by_library(self) -> NDArray[np.generic]:
        """Return values that are chunked, compressed, or of an unusual type."""
        import h5py
        import numpy as np

        content = SourceFile(self.source)
        try:
            with h5py.File(content, "r") as file:
                found: Any = cast("Any", file)[self.dataset.path]
                self._check(found, h5py)
                array: NDArray[np.generic] = np.asarray(found[()])
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError, MemoryError) as error:
            raise content.failure or ModelError(
                f"the values of {self.dataset.path} cannot be read: {_clause(error)}", path=self.shown
            ) from error
        if self.dataset.dtype == "bfloat16":
            return array.view(_bfloat16()) if array.dtype.kind == "V" else array.astype(_bfloat16())
        return array

    def _check(self, found: Any, h5py: Any) -> None:
        plist = found.id.get_create_plist()
        if plist.get_external_count() or plist.get_layout() == h5py.h5d.VIRTUAL:
            raise ModelError(
                f"the values of {self.dataset.path} are in other files, which are not read", path=self.shown
            )
        stored, claimed = found.id.get_storage_size(), found.size * found.dtype.itemsize
        if claimed > MAX_UNPACKED and claimed > MAX_EXPANSION * stored:
            raise ModelError(f"{self.dataset.path} claims {claimed:,} bytes but stores {stored:,}", path=self.shown)


def _bfloat16() -> np.dtype[np.generic]:
    import ml_dtypes
    import numpy as np

    return np.dtype(ml_dtypes.bfloat16)


def _clause(error: BaseException) -> str:
    return str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__

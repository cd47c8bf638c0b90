"""The place where the values of a Keras weight lie, and how they are read when they are asked for."""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.frontends.keras import hdf5
from cnnlint.frontends.keras.hdf5 import Dataset, Hdf5Source
from cnnlint.graph.dtype import storage_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN_KINDS = "fiubV"
"""NumPy's kinds of element whose bytes are their value."""


class Hdf5Storage(Struct, frozen=True, gc=False):
    """The values of a dataset.

    Attributes:
        source: The HDF5 file.
        dataset: Its path in it, its shape and type.
    """

    source: Hdf5Source
    dataset: Dataset

    @property
    def nbytes(self) -> int | None:
        """The bytes that the values take uncompressed; None for types of no fixed size."""
        return storage_bytes(self.dataset.dtype, prod(self.dataset.shape))

    def read(self) -> NDArray[np.generic]:
        """Return the values, mapped and not copied where they lie in one piece in the file.

        Raises:
            ModelError: The file is damaged, or the dataset lies outside it or claims more than is stored.
        """
        source, name = self.source, self.dataset.path
        with hdf5.opened(source) as file:
            dataset, offset = hdf5.checked(file, self.dataset, source.shown)
            dtype = _bfloat16() if self.dataset.dtype == "bfloat16" else dataset.dtype
            if offset is None or source.member or source.content or dtype.kind not in PLAIN_KINDS or not dataset.size:
                array: NDArray[np.generic] = np.asarray(dataset[()])
                return array.view(dtype) if array.dtype.kind == "V" else array
            start = source.offset + offset
            if start + dataset.size * dtype.itemsize > os.path.getsize(source.path):
                raise ModelError(f"the values of {name} are cut off", path=source.shown)
            return np.memmap(source.path, dtype=dtype, mode="r", offset=start, shape=dataset.shape)


def _bfloat16() -> np.dtype[np.generic]:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)

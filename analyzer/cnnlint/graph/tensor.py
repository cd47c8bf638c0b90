"""Tensors between layers, the weights that layers hold, their element types and sizes."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import TYPE_CHECKING, Protocol, cast

from msgspec import Struct

from cnnlint import limits
from cnnlint.errors import ModelError, RuleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Dim = int | str | None
"""An extent, a symbol such as "batch", or None if unknown."""

Shape = tuple[Dim, ...]
"""The batch first, then the channels, then the spatial extents."""


BITS: dict[str, int] = {
    "float64": 64, "float32": 32, "float16": 16, "bfloat16": 16,
    "float8_e4m3fn": 8, "float8_e4m3fnuz": 8, "float8_e5m2": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "float6_e2m3fn": 6, "float6_e3m2fn": 6, "float4_e2m1fn": 4,
    "complex64": 64, "complex128": 128,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8, "int4": 4, "int2": 2,
    "uint64": 64, "uint32": 32, "uint16": 16, "uint8": 8, "uint4": 4, "uint2": 2,
    "bool": 8,
}  # fmt: skip
"""Bits per element in a file; types without a fixed size (strings) are absent."""


def storage_bytes(dtype: str, elements: int) -> int | None:
    """Return the size of `elements` values of `dtype` in bytes, rounded up for packed types; None if unknown."""
    bits = BITS.get(dtype)
    return None if bits is None else (bits * elements + 7) // 8


def is_floating(dtype: str) -> bool:
    """Return whether `dtype` is a real or complex floating type of any width."""
    return dtype.startswith(("float", "bfloat", "complex"))


def element_count(shape: Shape | None) -> int | None:
    """Return the number of elements of `shape`; None if an extent is not a number, or the product exceeds 64 bits."""
    extents = known(shape)
    return None if extents is None else limits.product(extents)


def known(extents: Shape | None) -> tuple[int, ...] | None:
    """Return `extents` if all of them are numbers; None otherwise."""
    if extents is None or not all(isinstance(extent, int) for extent in extents):
        return None
    return cast("tuple[int, ...]", extents)


def no_axis(axis: int, shape: Shape | None) -> str:
    """Return a clause that says that a tensor of `shape` has no `axis`; "" if it has one, or its rank is unknown."""
    if shape is None or -len(shape) <= axis < len(shape):
        return ""
    return f"there is no axis {axis} in a tensor of {len(shape)} axes"


class Tensor(Struct, frozen=True):
    """A value that one layer produces and others read.

    Attributes:
        name: Unique in the graph.
        shape: Batch, channels, then spatial extents; None if not even the rank is known.
        dtype: Element type such as "float32"; "" if unknown.
    """

    name: str
    shape: Shape | None
    dtype: str = "float32"

    @property
    def rank(self) -> int | None:
        """The number of dims, including the batch; None if unknown."""
        return None if self.shape is None else len(self.shape)

    @property
    def channels(self) -> Dim:
        """The extent of the channel axis, None for ranks below 2."""
        return self.shape[1] if self.shape is not None and len(self.shape) > 1 else None

    @property
    def spatial(self) -> Shape | None:
        """The extents after the channels: () for a vector, None if the rank is unknown."""
        return None if self.shape is None else self.shape[2:]

    @property
    def sample_shape(self) -> Shape | None:
        """The shape without the batch."""
        return None if self.shape is None else self.shape[1:]

    @property
    def sample_extents(self) -> tuple[int | None, ...] | None:
        """The shape without the batch, with None for symbols."""
        shape = self.sample_shape
        return None if shape is None else tuple([dim if isinstance(dim, int) else None for dim in shape])

    @property
    def sample_elements(self) -> int | None:
        """Elements of one sample; None if unknown."""
        return element_count(self.sample_shape)

    @property
    def sample_bytes(self) -> int | None:
        """Bytes of one sample; None if unknown."""
        elements = self.sample_elements
        return None if elements is None else storage_bytes(self.dtype, elements)


class Storage(Protocol):
    """Where a weight's values are stored: a range of a file, an HDF5 dataset, an array in memory."""

    @property
    def nbytes(self) -> int | None:
        """The size of the values in the file, in bytes."""
        ...

    def read(self) -> NDArray[np.generic]:
        """Return the values in the shape and type of the file, memory-mapped if possible.

        Raises:
            ModelError: The bytes are missing, too few, or outside the allowed files.
        """
        ...

    def pieces(self, buffer: memoryview, step: int) -> Iterator[NDArray[np.generic]]:
        """Yield the values in the file's order and type, a multiple of `step` elements at a time but at the end.

        Args:
            buffer: What they are read into where possible; a piece is valid until the next one.
            step: So many elements fit into the buffer.

        Raises:
            ModelError: The bytes are missing, too few, or cannot be decoded.
        """
        ...


class Weight(Struct, frozen=True):
    """A weight of a layer; its values stay in the file until they are read.

    Attributes:
        key: Its name in the file; layers that share a weight have the same key.
        shape: As the file stores it; None if it could not be read, and then the weight may represent several.
        dtype: Element type such as "float32"; "" if it could not be read.
        role: "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", ...
        trainable: None if the format does not say.
        storage: Where its values are stored; None if the file does not have them.
        channel_axes: The axes of the stored shape that run over a layer's output channels, one after the other; () if
            the frontend does not know them.
    """

    key: str
    shape: tuple[int, ...] | None
    dtype: str
    role: str
    trainable: bool | None = None
    storage: Storage | None = None
    channel_axes: tuple[int, ...] = ()

    @property
    def size(self) -> int | None:
        """The number of elements; None if unknown."""
        return None if self.shape is None else prod(self.shape)

    @property
    def nbytes(self) -> int | None:
        """The size of the values by shape and type, in bytes; None if unknown, and for types without a fixed size."""
        return None if self.size is None else storage_bytes(self.dtype, self.size)

    def values(self) -> NDArray[np.generic]:
        """Read the values, shaped as the file stores them.

        Raises:
            ModelError: The file does not hold them, or they cannot be read.
            RuleError: The current rule does not declare that it reads values.
        """
        if reason := why_forbidden():
            raise RuleError(f"the values of {self.key} may not be read: {reason}")
        if self.storage is None:
            raise ModelError(f"the values of {self.key} are not in the file")
        return self.storage.read()


def weight_elements(weights: Iterable[Weight]) -> int | None:
    """Return the number of elements of all `weights`; None if one is unknown."""
    total = 0
    for weight in weights:
        if (size := weight.size) is None:
            return None
        total += size
    return total


_forbidden: ContextVar[str] = ContextVar("forbidden", default="")


@contextmanager
def forbid_values(reason: str) -> Generator[None]:
    """Make `Weight.values` raise an error with `reason` until the block ends."""
    token = _forbidden.set(reason)
    try:
        yield
    finally:
        _forbidden.reset(token)


def why_forbidden() -> str:
    """Return why values may not be read at present; "" if they may."""
    return _forbidden.get()

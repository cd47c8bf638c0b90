"""Bytes of an ONNX tensor -> numpy arrays; imported only when values are asked for.

The layouts are those of `onnx.numpy_helper.to_array`.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx import datatypes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def _dtype(name: str) -> np.dtype[np.generic]:
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError):
        raise ModelError(
            f"values of type {name or 'unknown'!r} cannot be read", remedy="pip install -U ml_dtypes"
        ) from None


def from_raw(
    content: bytes | memoryview | NDArray[np.uint8], shape: tuple[int, ...], dtype: str
) -> NDArray[np.generic]:
    """Shape little-endian bytes, which have the length that shape and type need, without copying them."""
    data = np.frombuffer(content, dtype=np.uint8)
    final = _dtype(dtype)
    elements = prod(shape)
    bits = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}.get(dtype, 8)
    if bits < 8:
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        data = (data[:, None] >> shifts & np.uint8((1 << bits) - 1)).reshape(-1)[:elements]
    elif dtype.startswith("float6_"):
        flat = np.unpackbits(data, bitorder="little")[: 6 * elements].reshape(-1, 6)
        data = np.packbits(flat, axis=1, bitorder="little").reshape(-1)
    if dtype == "bfloat16":
        # A type of ml_dtypes knows no byte order of its own.
        return data.view("<u2").astype(np.uint16, copy=False).view(final).reshape(shape)
    return data.view(final.newbyteorder("<")).astype(final, copy=False).reshape(shape)


def typed_entries(packed: bytes | memoryview, number: int) -> NDArray[np.generic]:
    """Decode the packed content of the typed field `number` to its own entries."""
    content = np.frombuffer(packed, dtype=np.uint8)
    if number in {datatypes.FLOAT_DATA, datatypes.DOUBLE_DATA}:
        unit = np.dtype("<f4" if number == datatypes.FLOAT_DATA else "<f8")
        return content[: content.size // unit.itemsize * unit.itemsize].view(unit)
    stops = np.flatnonzero(content < 0x80)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), stops[:-1] + 1)) if stops.size else stops
    lengths = stops - starts + 1
    values = np.zeros(stops.size, dtype=np.uint64)
    for place in range(int(lengths.max(initial=0))):
        longer = lengths > place
        values[longer] |= (content[starts[longer] + place] & np.uint64(0x7F)) << np.uint64(7 * place)
    return values


def from_entries(entries: NDArray[np.generic], shape: tuple[int, ...], dtype: str) -> NDArray[np.generic]:
    """Turn the entries of a typed field, which are as many as shape and type need, into the values."""
    final = _dtype(dtype)
    if dtype in {"float32", "float64"}:
        return entries.astype(final, copy=False).reshape(shape)
    if dtype in {"complex64", "complex128"}:
        return entries.astype(entries.dtype.newbyteorder("=")).view(final).reshape(shape)
    if dtype in {"int4", "uint4", "float4_e2m1fn", "int2", "uint2"}:
        return from_raw(entries.astype(np.uint8), shape, dtype)
    if dtype.startswith("float6_"):
        return (entries.astype(np.uint8) & np.uint8(0x3F)).view(final).reshape(shape)
    # An entry is the pattern of the element's bits, sign-extended by protobuf.
    return entries.astype(f"u{final.itemsize}").view(final).reshape(shape)


def from_texts(texts: Sequence[bytes | memoryview], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Decode UTF-8 strings, which are as many as the shape needs, to an array of objects."""
    decoded = [bytes(text).decode("utf-8", "backslashreplace") for text in texts]
    return np.array(decoded, dtype=object).reshape(shape)


def unfolded(values: NDArray[np.generic], indices: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Put `values` [NNZ] at `indices`, [NNZ] in row-major order or [NNZ, rank], among zeros.

    Raises:
        IndexError, ValueError: An index is out of bounds, or there are not as many indices as values.
    """
    places = indices.astype(np.int64)
    flat = np.ravel_multi_index(tuple(places.T), shape) if places.ndim == 2 else places
    dense = np.zeros(prod(shape), dtype=values.dtype)
    dense[flat] = values.reshape(-1)
    return dense.reshape(shape)

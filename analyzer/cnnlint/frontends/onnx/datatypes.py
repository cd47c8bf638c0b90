"""The element types of TensorProto: their names, their fields, and the decoding of small tensors."""

from __future__ import annotations

import struct

from cnnlint.frontends.onnx.wire import signed, varints

NAMES: dict[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128",
    16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz",
    21: "uint4", 22: "int4", 23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
    27: "float6_e2m3fn", 28: "float6_e3m2fn",
}  # fmt: skip
"""Names by TensorProto.DataType code."""

FLOAT_DATA, INT32_DATA, STRING_DATA, INT64_DATA, DOUBLE_DATA, UINT64_DATA = 4, 5, 6, 7, 10, 11
"""Numbers of TensorProto's typed fields."""

FIELD_NAMES: dict[int, str] = {
    FLOAT_DATA: "float_data", INT32_DATA: "int32_data", STRING_DATA: "string_data",
    INT64_DATA: "int64_data", DOUBLE_DATA: "double_data", UINT64_DATA: "uint64_data",
}  # fmt: skip

_FIELDS: dict[str, int] = {
    "float32": FLOAT_DATA, "complex64": FLOAT_DATA, "float64": DOUBLE_DATA, "complex128": DOUBLE_DATA,
    "int64": INT64_DATA, "uint64": UINT64_DATA, "uint32": UINT64_DATA, "string": STRING_DATA,
}  # fmt: skip

_RAW = {
    "float32": "f", "float64": "d", "float16": "e", "bool": "?",
    "int8": "b", "int16": "h", "int32": "i", "int64": "q",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q",
}  # fmt: skip

_SIGNED_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_UNSIGNED_BITS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}


def typed_field(dtype: str) -> int:
    """Return the number of the TensorProto field for `dtype` if raw_data is not used."""
    return _FIELDS.get(dtype, INT32_DATA)


def typed_entry_count(dtype: str, elements: int) -> int:
    """Return how many entries of its typed field `elements` of `dtype` take."""
    match dtype:
        case "complex64" | "complex128":
            return 2 * elements
        case "int4" | "uint4" | "float4_e2m1fn":
            return (elements + 1) // 2
        case "int2" | "uint2":
            return (elements + 3) // 4
        case _:
            return elements


def decode_raw(dtype: str, data: bytes, elements: int) -> tuple[int | float, ...] | None:
    """Decode little-endian raw_data; None for types without a Python equivalent.

    `data` must have the length of `elements` values of `dtype`.
    """
    code = _RAW.get(dtype)
    if code is not None:
        return struct.unpack(f"<{elements}{code}", data)
    if dtype == "bfloat16":
        # A bfloat16 is the upper half of a float32.
        halves = struct.unpack(f"<{elements}H", data)
        return struct.unpack(f"<{elements}f", struct.pack(f"<{elements}I", *(half << 16 for half in halves)))
    if dtype in {"int4", "uint4"}:
        nibbles = [nibble for byte in data for nibble in (byte & 0xF, byte >> 4)][:elements]
        return tuple(n - 16 if n > 7 else n for n in nibbles) if dtype == "int4" else tuple(nibbles)
    if dtype in {"int2", "uint2"}:
        pairs = [byte >> shift & 3 for byte in data for shift in (0, 2, 4, 6)][:elements]
        return tuple(p - 4 if p > 1 else p for p in pairs) if dtype == "int2" else tuple(pairs)
    return None


def decode_typed(dtype: str, data: bytes, elements: int) -> tuple[int | float, ...] | None:
    """Decode the packed content of a typed field; None for types without a Python equivalent.

    Raises:
        WireError: The content is not a packed field.
        ValueError: It holds more or fewer values than `elements`.
    """
    if dtype in {"float32", "float64"}:
        code = _RAW[dtype]
        if len(data) != struct.calcsize(f"<{elements}{code}"):
            raise ValueError(f"{len(data):,} bytes")
        return struct.unpack(f"<{elements}{code}", data)
    if dtype in _SIGNED_BITS:
        values = _exactly(elements, varints(data))
        if dtype == "int64":
            return tuple(map(signed, values))
        bits = _SIGNED_BITS[dtype]
        half, span = 1 << (bits - 1), 1 << bits
        return tuple(((value + half) % span) - half for value in values)
    if dtype in _UNSIGNED_BITS:
        mask = (1 << _UNSIGNED_BITS[dtype]) - 1
        return tuple(value & mask for value in _exactly(elements, varints(data)))
    if dtype == "bool":
        return tuple(value & 0xFF != 0 for value in _exactly(elements, varints(data)))
    if dtype in {"float16", "bfloat16"}:
        patterns = [value & 0xFFFF for value in _exactly(elements, varints(data))]
        return decode_raw(dtype, struct.pack(f"<{elements}H", *patterns), elements)
    if dtype in {"int4", "uint4", "int2", "uint2"}:
        entries = _exactly(typed_entry_count(dtype, elements), varints(data))
        return decode_raw(dtype, bytes(entry & 0xFF for entry in entries), elements)
    return None


def _exactly(count: int, values: list[int]) -> list[int]:
    if len(values) != count:
        raise ValueError(f"{len(values):,} values")
    return values

"""Element types by their common name, and how many bits an element takes."""

BITS: dict[str, int] = {
    "float64": 64, "float32": 32, "float16": 16, "bfloat16": 16,
    "float8_e4m3fn": 8, "float8_e4m3fnuz": 8, "float8_e5m2": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "float6_e2m3fn": 6, "float6_e3m2fn": 6, "float4_e2m1fn": 4,
    "complex64": 64, "complex128": 128,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8, "int4": 4, "int2": 2,
    "uint64": 64, "uint32": 32, "uint16": 16, "uint8": 8, "uint4": 4, "uint2": 2,
    "bool": 8,
}  # fmt: skip
"""Bits an element takes in a file; types without a fixed size (strings) are absent."""


def storage_bytes(dtype: str, elements: int) -> int | None:
    """Return the bytes that `elements` values of `dtype` take, packed types rounded up; None if unknown."""
    bits = BITS.get(dtype)
    return None if bits is None else (bits * elements + 7) // 8


def is_floating(dtype: str) -> bool:
    """Return whether `dtype` is a real or complex floating type of any width."""
    return dtype.startswith(("float", "bfloat", "complex"))

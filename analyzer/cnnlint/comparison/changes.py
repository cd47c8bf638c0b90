"""What the files say differs between a layer and its counterpart in another network."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose
from typing import cast

from msgspec import Struct

from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import BatchNorm
from cnnlint.graph.quantity import count, extent
from cnnlint.graph.tensor import Tensor

SINGLE = 1e-6
"""Relative difference of two floating settings that storing one in 32 bits can make."""


class Change(Struct, frozen=True):
    """A setting of a layer that another network has otherwise.

    Attributes:
        field: The setting: "padding", "use_bias", "output_shape", "parameters", ...
        before: In words.
        after: In words.
    """

    field: str
    before: str
    after: str


def changes(before: Layer, after: Layer) -> tuple[Change, ...]:
    """Return what differs between `before` and `after`, names, neighbours and values of weights aside."""
    if before.kind != after.kind:
        return (Change("kind", before.kind, after.kind), *_sizes(before, after))
    return (*_settings(before, after), *_sizes(before, after))


def _settings(before: Layer, after: Layer) -> Iterator[Change]:
    others = after.settings()
    for field, left in before.settings().items():
        right = others.get(field)
        if left != right and not _rounded(left, right) and not _folded(before, after, field):
            yield Change(field, worded(left), worded(right))


def _folded(before: Layer, after: Layer, field: str) -> bool:
    """Return whether a conversion makes this difference: it computes a norm's scale and shift beforehand."""
    either = isinstance(before, BatchNorm) and isinstance(after, BatchNorm) and before.folded != after.folded
    return either and field in ("epsilon", "folded")


def _rounded(left: object, right: object) -> bool:
    return isinstance(left, float) and isinstance(right, float) and isclose(left, right, rel_tol=SINGLE)


def _sizes(before: Layer, after: Layer) -> Iterator[Change]:
    for one, other in zip(before.outputs, after.outputs, strict=False):
        if not _same_extents(one, other):
            yield Change("output_shape", worded(one.sample_shape), worded(other.sample_shape))
    norms = isinstance(before, BatchNorm) and isinstance(after, BatchNorm) and before.folded != after.folded
    held = before.parameters, after.parameters
    if None not in held and held[0] != held[1] and not norms:
        yield Change("parameters", count(held[0]), count(held[1]))
    types = [",".join(dict.fromkeys(weight.dtype for weight in layer.weights)) for layer in (before, after)]
    if all(types) and types[0] != types[1]:
        yield Change("dtype", *types)


def _same_extents(one: Tensor, other: Tensor) -> bool:
    """Return whether what is known in numbers of both shapes agrees."""
    left, right = one.sample_shape, other.sample_shape
    if left is None or right is None:
        return True
    known = (pair for pair in zip(left, right, strict=False) if all(isinstance(dim, int) for dim in pair))
    return len(left) == len(right) and all(a == b for a, b in known)


def worded(value: object) -> str:
    """Return a setting as reports write it: "3×3", "(0, 1) (0, 1)", "yes"."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return extent(value)
    if not isinstance(value, tuple):
        return str(value)
    items = cast("tuple[object, ...]", value)
    if any(isinstance(item, tuple) for item in items):
        return " ".join(f"({worded(item).replace('×', ', ')})" for item in items)
    return "×".join(worded(item) for item in items) or "()"

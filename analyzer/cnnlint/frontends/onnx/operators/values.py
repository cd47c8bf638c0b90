"""The values of tensor names, and operations on the elements of constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, prod
from struct import pack, unpack

from msgspec import Struct

from cnnlint import limits
from cnnlint.frontends.onnx.datatypes import decode_raw
from cnnlint.frontends.onnx.records import SMALL, TensorRecord
from cnnlint.frontends.onnx.storage import RawStorage
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.dims import product
from cnnlint.graph.tensor import Dim, Shape, known

WHOLE = frozenset({"int32", "int64"})
"""Types of shapes and axes."""


Element = Dim | float
Elements = tuple[Element, ...]
Extents = tuple[int, ...]


class Constant(Struct, frozen=True):
    """A value that does not depend on the network's inputs.

    Attributes:
        shape: As the reading node sees it; None if unknown.
        dtype: Element type.
        records: The tensors of the file that it is made of.
        values: The elements, row-major, if they are few and known; an extent of a dynamic shape is a symbol or None.
        stored: Whether it is in the file itself, and not computed from extents of other tensors.
    """

    shape: Shape | None
    dtype: str
    records: tuple[TensorRecord, ...] = ()
    values: tuple[Dim | float, ...] | None = None
    stored: bool = False

    @property
    def is_stored_whole(self) -> bool:
        """Whether it is one array of the file as it stands there, and nothing computed."""
        return len(self.records) == 1 and self.records[0].shape == self.shape

    @property
    def is_scalar(self) -> bool:
        """Whether it holds a single element."""
        return self.shape is not None and all(dim == 1 for dim in self.shape)

    @property
    def scalar(self) -> float | None:
        """Its single number, if it has only one and it is known."""
        if self.values is None or len(self.values) != 1:
            return None
        value = self.values[0]
        return value if isinstance(value, int | float) else None

    @property
    def integers(self) -> tuple[int, ...] | None:
        """All elements, if they are known integers."""
        if self.values is None or not all(isinstance(value, int) for value in self.values):
            return None
        return tuple(value for value in self.values if isinstance(value, int))

    @property
    def dims(self) -> tuple[Dim, ...] | None:
        """All elements as extents, if they are known integers or symbols."""
        if self.values is None or any(isinstance(value, float) for value in self.values):
            return None
        return tuple(value for value in self.values if not isinstance(value, float))


class FlattenedRows(Struct, frozen=True):
    """A view whose leading axes were merged by a Reshape before a MatMul."""

    view: TensorView

    @property
    def shape(self) -> Shape | None:
        """Rows × features."""
        shape = self.view.shape
        return None if shape is None else (product(shape[:-1]), shape[-1])


Value = TensorView | FlattenedRows | Constant


def constant_of(record: TensorRecord) -> Constant:
    """Return a tensor of the file as a constant.

    Shapes, axes and single numbers are needed to build the graph, and are read even from external data.
    """
    values = record.values
    if values is None and isinstance(record.storage, RawStorage) and record.storage.field == "external_data":
        storage, size = record.storage, prod(record.shape)
        if size == 1 or (size <= SMALL and record.dtype in WHOLE):
            values = decode_raw(record.dtype, storage.source.read(storage.offset, storage.length), size)
    return Constant(record.shape, record.dtype, (record,), values, stored=True)


# elements of constants, row-major, for shape arithmetic


def elements_of(constant: Constant) -> tuple[Elements, Extents] | None:
    """Return the elements and the extents of a constant; None if either is unknown, or they do not match."""
    extents = known(constant.shape)
    if constant.values is None or extents is None or limits.product(extents) != len(constant.values):
        return None
    return constant.values, extents


def mapped(constant: Constant, function: Callable[[float], float]) -> Elements | None:
    """Apply a function to each element, keeping its type; None for elements that are not numbers."""
    if constant.values is None:
        return None
    return tuple(_applied(function, value) for value in constant.values)


def _applied(function: Callable[[float], float], value: Element) -> Element:
    if not isinstance(value, int | float) or (isinstance(value, float) and not isfinite(value)):
        return None
    result = function(value)
    return float(result) if isinstance(value, float) else limits.whole(result)


def as_single(value: Element) -> Element:
    """Round a number to float32: a later rounding to an integer may depend on the last bit."""
    if not isinstance(value, float):
        return value
    try:
        return float(unpack("f", pack("f", value))[0])
    except OverflowError:
        return None


def transposed(constant: Constant, permutation: Sequence[int]) -> Elements | None:
    """Return the elements after a transpose; None if they are unknown."""
    if (found := elements_of(constant)) is None:
        return None
    values, extents = found
    steps = _steps(extents)
    return _strided(values, tuple(extents[axis] for axis in permutation), tuple(steps[axis] for axis in permutation))


def taken(constant: Constant, axis: int, places: Sequence[int]) -> Elements | None:
    """Return the elements at `places` along one axis; None if they are unknown or too many."""
    if (found := elements_of(constant)) is None:
        return None
    values, extents = found
    rows, width = prod(extents[:axis]), prod(extents[axis + 1 :])
    if not _fits((rows, len(places), width)):
        return None
    starts = [(row * extents[axis] + place) * width for row in range(rows) for place in places]
    return tuple(value for start in starts for value in values[start : start + width])


def joined(constants: Sequence[Constant], axis: int) -> Elements | None:
    """Return the elements of constants concatenated along an axis; None if some are unknown."""
    parts = [found for constant in constants if (found := elements_of(constant)) is not None]
    counts = {prod(extents[:axis]) for _, extents in parts}
    if len(parts) < len(constants) or len(counts) != 1:
        return None
    widths = [(values, prod(extents[axis:])) for values, extents in parts]
    return tuple(
        value
        for row in range(counts.pop())
        for values, width in widths
        for value in values[row * width : (row + 1) * width]
    )


def spread(constant: Constant, shape: Sequence[Dim] | None) -> Elements | None:
    """Return the elements broadcast to `shape`; None if unknown or too many."""
    target = None if shape is None else known(tuple(shape))
    found = elements_of(constant)
    if found is None or target is None or not _fits(target):
        return None
    values, extents = found
    if extents == target:
        return values
    if len(extents) > len(target):
        return None
    extents = (*(1,) * (len(target) - len(extents)), *extents)
    if any(mine not in (1, wanted) for mine, wanted in zip(extents, target, strict=True)):
        return None
    steps = tuple(0 if extent == 1 else step for extent, step in zip(extents, _steps(extents), strict=True))
    return _strided(values, target, steps)


def _steps(extents: Extents) -> Extents:
    """Return the stride of each axis."""
    return tuple(prod(extents[axis + 1 :]) for axis in range(len(extents)))


def _strided(values: Elements, extents: Extents, steps: Extents) -> Elements:
    places = [0]
    for extent, step in zip(extents, steps, strict=True):
        places = [place + index * step for place in places for index in range(extent)]
    return tuple(values[place] for place in places)


def _fits(extents: Sequence[int]) -> bool:
    size = product(extents)
    return isinstance(size, int) and size <= limits.MAX_FOLDED

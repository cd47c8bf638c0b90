"""What a tensor name stands for while nodes are lowered: an activation, rows of one, or a constant."""

from __future__ import annotations

from math import prod

from msgspec import Struct

from cnnlint.frontends.onnx.datatypes import decode_raw
from cnnlint.frontends.onnx.records import SMALL, TensorRecord
from cnnlint.frontends.onnx.storage import RawStorage
from cnnlint.frontends.raising.view import View
from cnnlint.graph.dims import product
from cnnlint.graph.tensor import Dim, Shape

WHOLE = frozenset({"int32", "int64"})
"""Types that shapes and axes have."""


class Constant(Struct, frozen=True):
    """A value that does not depend on the network's inputs.

    Attributes:
        shape: As the reading node sees it; None if unknown.
        dtype: Element type.
        records: The tensors of the file that it is made of.
        values: The elements, row-major, where they are few and known; an extent of a dynamic shape is a
            symbol or None.
        stored: Whether the file itself says what it is, and not the extents of other tensors.
    """

    shape: Shape | None
    dtype: str
    records: tuple[TensorRecord, ...] = ()
    values: tuple[Dim | float, ...] | None = None
    stored: bool = False

    @property
    def is_scalar(self) -> bool:
        """Whether it holds a single element."""
        return self.shape is not None and all(dim == 1 for dim in self.shape)

    @property
    def scalar(self) -> float | None:
        """The single number that it holds, if it is one and known."""
        if self.values is None or len(self.values) != 1:
            return None
        value = self.values[0]
        return value if isinstance(value, int | float) else None

    @property
    def integers(self) -> tuple[int, ...] | None:
        """All elements, if they are whole numbers and known."""
        if self.values is None or not all(isinstance(value, int) for value in self.values):
            return None
        return tuple(value for value in self.values if isinstance(value, int))

    @property
    def dims(self) -> tuple[Dim, ...] | None:
        """All elements as extents, if they are known to be whole numbers or symbols."""
        if self.values is None or any(isinstance(value, float) for value in self.values):
            return None
        return tuple(value for value in self.values if not isinstance(value, float))


class Rows(Struct, frozen=True):
    """A view whose leading axes a Reshape merged, so that a MatMul could work on its last one."""

    view: View

    @property
    def shape(self) -> Shape | None:
        """Rows × features."""
        shape = self.view.shape
        return None if shape is None else (product(shape[:-1]), shape[-1])


Value = View | Rows | Constant


def constant_of(record: TensorRecord) -> Constant:
    """Return the constant that a tensor of the file is.

    Shapes, axes and single numbers are what the raising goes by: it reads them out of an external data file too.
    """
    values = record.values
    if values is None and isinstance(record.storage, RawStorage) and record.storage.field == "external_data":
        storage, size = record.storage, prod(record.shape)
        if size == 1 or (size <= SMALL and record.dtype in WHOLE):
            values = decode_raw(record.dtype, storage.source.read(storage.offset, storage.length), size)
    return Constant(record.shape, record.dtype, (record,), values, stored=True)

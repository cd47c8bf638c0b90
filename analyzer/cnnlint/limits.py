"""How much a file can make cnnlint do: the constants, and the few functions through which all code asks them.

A file is anybody's text: what it claims is bounded by its own size and by these numbers. Below a limit nothing changes;
beyond it a value becomes unknown where an unknown is an answer, and else the model is refused with the limit's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TypeVar

T = TypeVar("T")

MAX_INT64 = (1 << 63) - 1
"""ONNX's integers have 64 bits; protobuf, numpy and onnxruntime know no longer ones."""

MAX_RANK = 64
"""Axes of a tensor: numpy's limit."""

MAX_CLAIM = 1 << 31
"""Bytes that a tensor may claim without holding them; no protobuf message holds more.

https://protobuf.dev/programming-guides/encoding/#size-limit
"""

MAX_FOLDED = 4096
"""Elements of one constant that shape arithmetic spells out."""

MAX_FOLDED_IN_ALL = 1 << 18
"""Elements that shape arithmetic spells out in one model; the largest real ones need some ten thousand."""

MAX_JOINED = 1 << 18
"""Tensors of the file that constants of one model are put together from, each counted as often as it is used."""

MAX_INLINED = 1 << 18
"""Names and numbers in the nodes that the calls of a model's functions come to."""

MAX_INLINED_TEXT = 1 << 25
"""Characters of the names that calls of functions give to tensors and nodes."""

INFERENCE_SECONDS, INFERENCE_BYTES_A_SECOND = 2, 1_000_000
"""Seconds of processor time that onnx may take to infer the shapes of a model: so many, and one for each so many bytes
of the model without its weights. Importing it takes a quarter of a second; of some equations it never comes back."""

INFERENCE_SPARE, INFERENCE_A_BYTE = 1 << 28, 64
"""Bytes of memory that onnx may take for that: so many, and so many for each byte of the model without its weights.
Importing it takes 100 MB."""

MAX_PARTS = 1024
"""Parts of a sequence that are looked at one by one."""

MAX_KEY_PARTS = 100
"""Parts of a dotted key in a configuration."""

MAX_SYMBOL = 256
"""Characters of a symbolic extent."""

LONGEST_NAME = 256
"""Characters of a name from which others are made: those of outputs that have none."""

MAX_HDF5_PARTS, HDF5_SPARE_PARTS, HDF5_BYTES_A_PART = 1 << 22, 1 << 12, 8
"""Headers, messages, links and texts of an HDF5 file that are read: so many in all, and no more than some to spare and
one for each so many bytes. The smallest part takes eight bytes; a file that leads to more leads to some again."""

MAX_JSON_BYTES = 1 << 25
"""Bytes of a JSON text; the largest of keras.applications has less than a million."""

MAX_JSON_VALUES = 1 << 20
"""Values in a JSON text, of some hundred bytes each once they are read; a layer of Keras has about forty."""

MAX_JSON_DEPTH = 200
"""Objects within objects; a model in a model takes four."""

UNPACKED_SPARE, UNPACKED_A_BYTE = 1 << 24, 32
"""Bytes that the members of an archive may unpack to: so many, and so many for each byte of the archive. Weights, being
noise, hardly shrink at all; those of a network that was never trained may be zeros."""

VALUES_SPARE, VALUES_A_BYTE = 1 << 28, 8
"""Bytes of weights that are read for rules on values: so many, and so many for each byte of the file. Weights that lie
in one another, and chunks that unpack to more than they are, would else be read for hours."""

MAX_LZMA_DICTIONARY = 1 << 26
"""Bytes of memory that unpacking LZMA may take: as many as its highest standard preset."""

MAX_CALLS = 10_000
"""Calls of Keras layers and models, those in models that are called several times counted each time.

NASNetLarge has 1,041.
"""

MAX_OUTPUTS = 4096
"""Outputs of one Keras layer."""

MAX_UNANNOUNCED = 1 << 31
"""Bytes of a download whose size the server does not say: what the largest ONNX file has."""

MAX_HDF5_PIECE = 1 << 26
"""Bytes of one header, heap or text of an HDF5 file, which an address in a file of any size may claim."""


class Allowance:
    """What is left of something that a model may use up.

    Args:
        most: The limit.
        of: What is counted, for the message: "elements of constants".
    """

    __slots__ = ("left", "most", "of")

    def __init__(self, most: int, of: str) -> None:
        self.most = self.left = most
        self.of = of

    def take(self, amount: int) -> bool:
        """Take `amount` if there is as much left, and return whether there was."""
        if amount > self.left:
            return False
        self.left -= amount
        return True

    @property
    def exceeded(self) -> str:
        """What is wrong with a model that asks for more."""
        return f"has more than {self.most:,} {self.of}, which is cnnlint's limit"


def int64(number: int | None) -> int | None:
    """Return `number` if it has 64 bits, and else None."""
    return number if number is not None and -MAX_INT64 <= number + 1 <= MAX_INT64 + 1 else None


def whole(number: float) -> int | None:
    """Return `number` without its fraction; None if it is none that 64 bits hold: NaN, infinite, too large."""
    return int64(int(number)) if isfinite(number) else None


def product(numbers: Iterable[int]) -> int | None:
    """Return the product of `numbers`, or None if 64 bits do not hold it."""
    result, overflown = 1, False
    for number in numbers:
        if number == 0:
            return 0
        result = result if overflown else result * number
        overflown = overflown or int64(result) is None
    return None if overflown else result


def extents(dims: tuple[T, ...] | None) -> tuple[T | None, ...] | None:
    """Return a shape with what is no extent (negative, or over 64 bits) unknown; None if it has over MAX_RANK axes."""
    if dims is None or len(dims) > MAX_RANK:
        return None
    for dim in dims:
        if isinstance(dim, int) and not 0 <= dim <= MAX_INT64:
            return tuple(None if isinstance(dim, int) and not 0 <= dim <= MAX_INT64 else dim for dim in dims)
    return dims


def unknown(rank: int) -> tuple[None, ...] | None:
    """Return the shape of `rank` axes of which nothing more is known; None if that is no rank."""
    return (None,) * rank if 0 <= rank <= MAX_RANK else None


def steps(start: int, stop: int, step: int) -> int:
    """Return how many numbers `range(start, stop, step)` has, of whatever size; `step` is not 0."""
    return max(-((start - stop) // step), 0)

"""What the values of the weights say: one pass over the file through a fixed buffer, whose results all rules share.

Each weight is read in the order of the file, a piece at a time, and of each output channel its lowest and highest value
are kept while the piece is in the processor's cache. Most questions about filters follow from these two: whether one is
all zeros, what fp16 cannot hold, which channel sets the scale of an int8 kernel, where a NaN is. Filters with the same
two numbers are almost always equal; only weights that have such filters are read again, to make sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from cnnlint import limits
from cnnlint.errors import ModelError
from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import Weight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BUFFER = 1 << 20
"""Bytes that are read at a time: as much as the second cache of most processors holds."""

READ = frozenset({"float64", "float32", "float16", "bfloat16"})
"""The types that are looked at; integers are quantized, and what they stand for is not in them alone."""

LONGEST_VECTOR = 1 << 16
"""Elements of a vector that is kept whole: a bias, the parameters of a norm."""


class WeightStatistics(Struct, frozen=True, eq=False):
    """What one pass over the values of a weight says.

    Attributes:
        lowest: The lowest value of each output channel, or of all if the channels are not known; NaN where one is.
        highest: The highest.
        by_channel: Whether they are those of the channels.
        nan: How many values are NaN.
        infinite: How many are infinite.
        first: The index of the first of these in the stored shape; () if there is none.
        vector: All values of a bias or a parameter of a norm; None for a kernel.
    """

    lowest: Floats
    highest: Floats
    by_channel: bool
    nan: int = 0
    infinite: int = 0
    first: tuple[int, ...] = ()
    vector: Floats | None = None

    @property
    def largest(self) -> Floats:
        """The largest magnitude of each channel."""
        import numpy as np

        return np.maximum(np.abs(self.lowest), np.abs(self.highest))

    @property
    def constant(self) -> float | None:
        """The value that all elements have; None if they differ."""
        lowest, highest = float(self.lowest.min()), float(self.highest.max())
        return lowest if lowest == highest else None


class WeightValues:
    """The statistics of all floating weights of a graph.

    Args:
        graph: The network, whose file is read now.

    Attributes:
        unread: Why values could not be read, by the weight's key.
    """

    def __init__(self, graph: Graph) -> None:
        self.unread = dict[str, str]()
        self._statistics = dict[str, WeightStatistics]()
        self._axes = dict[str, tuple[int, ...]]()
        self._identical = dict[str, tuple[tuple[int, ...], ...]]()
        self._buffer = memoryview(bytearray(BUFFER))
        self._left = limits.Allowance(
            limits.VALUES_SPARE + limits.VALUES_A_BYTE * (graph.source.file_bytes or limits.MAX_CLAIM),
            "bytes of values",
        )
        for weight in graph.weights:
            if weight.storage is not None and weight.dtype in READ and weight.size:
                self._measure(weight)

    def of(self, weight: Weight | None) -> WeightStatistics | None:
        """Return what is known of the values of `weight`; None if the file has none, or they were not read."""
        found = None if weight is None else self._statistics.get(weight.key)
        if weight is None or found is None or self._axes[weight.key] == weight.channel_axes:
            return found
        import numpy as np

        # A shared matrix is transposed in one of its places, and its channels there are others.
        lowest, highest = np.array([found.lowest.min()]), np.array([found.highest.max()])
        return WeightStatistics(lowest, highest, False, found.nan, found.infinite, found.first, found.vector)

    def identical_channels(self, weight: Weight) -> tuple[tuple[int, ...], ...]:
        """Return groups of output channels of `weight` whose values are the same, in the order of their first.

        Channels of one value throughout are left out: they are dead, or the whole kernel is constant.
        """
        if weight.key not in self._identical:
            found = self.of(weight)
            self._identical[weight.key] = () if found is None else self._confirmed(weight, _alike(found))
        return self._identical[weight.key]

    def digest(self, weight: Weight) -> bytes | None:
        """Return what weights of the same values share; None if they cannot be read once more."""
        if weight.storage is None or not self._left.take(weight.nbytes or 0):
            return None
        from hashlib import blake2b

        hashed = blake2b(digest_size=16)
        for piece in weight.storage.pieces(self._buffer, 1):
            hashed.update(piece.tobytes())
        return hashed.digest()

    def _measure(self, weight: Weight) -> None:
        size = weight.nbytes
        try:
            if size is None or not self._left.take(size):
                raise ModelError(f"has more than {self._left.most:,} bytes of values, which is cnnlint's limit")
            self._statistics[weight.key] = measured(weight, self._buffer)
            self._axes[weight.key] = weight.channel_axes
        except ModelError as error:
            self.unread[weight.key] = error.cause

    def _confirmed(self, weight: Weight, groups: list[list[int]]) -> tuple[tuple[int, ...], ...]:
        """Return the parts of `groups` whose values are equal, which takes reading them again."""
        if not groups or not self._left.take(weight.nbytes or 0):
            return ()
        from hashlib import blake2b

        hashes = {channel: blake2b(digest_size=16) for group in groups for channel in group}
        for at, block in _blocks(weight, self._buffer):
            first = at % _parts(weight)[1]
            for channel, each in hashes.items():
                if first <= channel < first + block.shape[1]:
                    each.update(block[:, channel - first].tobytes())
        found = list[tuple[int, ...]]()
        for group in groups:
            alike = dict[bytes, list[int]]()
            for channel in group:
                alike.setdefault(hashes[channel].digest(), []).append(channel)
            found += (tuple(channels) for channels in alike.values() if len(channels) > 1)
        return tuple(sorted(found))


def _parts(weight: Weight) -> tuple[int, int, int]:
    """Return a stored weight as (elements before, channels, elements after): channel c is `values[:, c]`.

    It is (1, 1, all) where the channels are not known, or a piece of whole channels does not fit the buffer.
    """
    shape, axes = weight.shape or (), weight.channel_axes
    whole = (1, 1, prod(shape))
    if not axes:
        return whole
    before, after = prod(shape[: axes[0]]), prod(shape[axes[-1] + 1 :])
    channels = prod(shape[axes[0] : axes[-1] + 1])
    unit = after if before == 1 else channels * after
    return (before, channels, after) if 8 * unit <= BUFFER else whole


def _blocks(weight: Weight, buffer: memoryview) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Yield the values as blocks [before, channels, after], each with the index of its first channel among all."""
    if weight.storage is None:
        return
    before, channels, after = _parts(weight)
    step = 1 if channels == 1 else after if before == 1 else channels * after
    at = 0
    for piece in weight.storage.pieces(buffer, step):
        if not piece.dtype.isnative:
            piece = piece.astype(piece.dtype.newbyteorder("="))  # noqa: PLW2901
        if channels == 1:
            yield 0, piece.reshape(1, 1, -1)
        elif before == 1:
            yield at, piece.reshape(1, -1, after)
            at += piece.size // after
        else:
            yield 0, piece.reshape(-1, channels, after)


def measured(weight: Weight, buffer: memoryview) -> WeightStatistics:
    """Read a weight and return its statistics.

    Args:
        weight: Of one of the types in `READ`, with a storage and at least one element.
        buffer: What is read into, of `BUFFER` bytes.

    Raises:
        ModelError: The values cannot be read.
    """
    import numpy as np

    shape = weight.shape or ()
    channels = _parts(weight)[1]
    lowest, highest = np.full(channels, np.inf), np.full(channels, -np.inf)
    keeps = prod(shape) <= LONGEST_VECTOR and prod(shape) == max(shape, default=1)
    kept, read = list["Floats"](), 0
    nan, infinite, first = 0, 0, ()
    with np.errstate(invalid="ignore"):  # NaN goes through, as it is meant to
        for at, block in _blocks(weight, buffer):
            low, high = _extremes(block, weight.dtype)
            part = slice(at, at + block.shape[1])
            lowest[part], highest[part] = np.minimum(lowest[part], low), np.maximum(highest[part], high)
            if not np.isfinite(low).all() or not np.isfinite(high).all():
                flat = _as_floats(block.reshape(-1), weight.dtype)
                if not first:
                    place = int(np.argmin(np.isfinite(flat)))
                    first = tuple(int(index) for index in np.unravel_index(read + place, shape)) if shape else (0,)
                nan, infinite = nan + int(np.isnan(flat).sum()), infinite + int(np.isinf(flat).sum())
            if keeps:
                kept.append(_as_floats(block.reshape(-1), weight.dtype).astype(np.float64))
            read += block.size
    if read != prod(shape):
        raise ModelError(f"has {read:,} values of {weight.key}, and not {prod(shape):,}")
    vector = np.concatenate(kept) if kept else None
    return WeightStatistics(lowest, highest, channels > 1, nan, infinite, first, vector)


def _extremes(block: NDArray[np.generic], dtype: str) -> tuple[Floats, Floats]:
    """Return the lowest and the highest value of each channel of a block, NaN where there is one.

    Half-precision numbers are compared as the integers that they are stored as, which is ten times as fast: with the
    bits of the magnitude turned over where the sign is set, the order is the same, and a NaN lies beyond infinity.
    """
    import numpy as np

    halves = dtype in ("float16", "bfloat16")
    numbers = _turned(block.view(np.int16)) if halves else block
    found = list["Floats"]()
    for reduce in (np.minimum.reduce, np.maximum.reduce):
        if numbers.shape[2] == 1:
            each = reduce(numbers[:, :, 0], axis=0)
        else:
            each = reduce(numbers, axis=2)
            each = each[0] if len(each) == 1 else reduce(each, axis=0)
        found.append(_as_floats(_turned(each) if halves else each, dtype).astype(np.float64))
    low, high = found
    return np.where(np.isnan(high), high, low), np.where(np.isnan(low), low, high)


def _turned(bits: NDArray[np.int16]) -> NDArray[np.int16]:
    return bits ^ (bits >> 15 & 0x7FFF)


def _as_floats(values: NDArray[np.generic], dtype: str) -> NDArray[np.floating]:
    """Return values, or the bits of half-precision ones, as numbers that numpy computes with."""
    import numpy as np

    if dtype == "bfloat16":  # the upper half of a float32
        return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return cast("NDArray[np.floating]", values.view(np.float16) if dtype == "float16" else values)


def _alike(statistics: WeightStatistics) -> list[list[int]]:
    """Return groups of channels that have the same lowest and the same highest value, and not only one value."""
    import numpy as np

    if not statistics.by_channel:
        return []
    pairs = np.stack((statistics.lowest, statistics.highest))
    order = np.lexsort(pairs)
    ordered = pairs[:, order]
    starts = np.flatnonzero(np.append(True, (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)))
    groups = list[list[int]]()
    ends = np.append(starts[1:], len(order))
    several = np.flatnonzero(ends - starts > 1)  # few, of hundreds of channels
    for begin, end in zip(starts[several], ends[several], strict=True):
        group = order[begin:end]
        if statistics.lowest[group[0]] < statistics.highest[group[0]]:
            groups.append(sorted(int(channel) for channel in group))
    return groups


def shown_channels(channels: Sequence[int], most: int = 4) -> str:
    """Return channels for a message: "channel 3", "channels 3, 17 and 20", or the first few and how many more."""
    shown = [f"{channel:,}" for channel in channels[:most]]
    more = len(channels) - len(shown)
    shown += [f"{more:,} more"] if more else []
    word = "channel" if len(channels) == 1 else "channels"
    return f"{word} {' and '.join(', '.join(shown).rsplit(', ', 1))}"

"""The same seeded inputs for two models, each in its own order of axes and type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.compare.layout import stored_axes
from cnnlint.runtime.inputs import BATCH, EXTENTS, LENGTH, distribution, sample, worded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnnlint.compare.side import Port, Side
    from cnnlint.graph.tensor import Dim, Shape

    Array = NDArray[Any]


class Feed(Struct, frozen=True):
    """An input of both models.

    Attributes:
        ports: The input of the first and of the second.
        axes: Which axes of the common array make what each is fed.
        shape: Of the common array.
        dtype: Whose values are drawn.
        batched: Whether the batch was left open by both.
    """

    ports: tuple[Port, Port]
    axes: tuple[tuple[int, ...], tuple[int, ...]]
    shape: tuple[int, ...]
    dtype: str
    batched: bool

    @property
    def words(self) -> str:
        """What is fed: "image 2×3×224×224 standard normal"."""
        return f"{self.ports[0].name} {worded(self.shape)} {distribution(self.dtype)}"


def agree(before: Side, after: Side, *, batch: int = BATCH) -> tuple[tuple[Feed, ...], tuple[str, ...]]:
    """Return what both models can be fed; or why they cannot be fed alike, a sentence each."""
    pairs = pair_ports(before.inputs, after.inputs)
    if pairs is None:
        counts = f"{_names(before.inputs)} in the first model and {_names(after.inputs)} in the second"
        return (), (f"the inputs are {counts}",)
    feeds, problems = list[Feed](), list[str]()
    for pair in pairs:
        left, right = pair
        shape = _common(left, right, batch)
        if shape is None:
            problems.append(
                f"input {left.name} is {worded(_known(left))} in the first model and {worded(_known(right))} "
                "in the second"
            )
            continue
        axes = stored_axes(left, before.graph.source.layout), stored_axes(right, after.graph.source.layout)
        dtype = right.dtype if "int" in right.dtype and "int" not in left.dtype else left.dtype
        batched = not any(isinstance((_known(port) or (None,))[0], int) for port in pair)
        feeds.append(Feed(pair, axes, shape, dtype, batched))
    return (() if problems else tuple(feeds)), tuple(problems)


def draw(feeds: Sequence[Feed], seed: int, scale: float) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the inputs of the first and of the second model, drawn from one generator.

    Args:
        feeds: What both are fed.
        seed: Of the generator.
        scale: Factor of floating values.

    Raises:
        RuntimeCheckError: Values of such a type cannot be made up.
    """
    import numpy as np  # noqa: PLC0415 - a static lint does without

    rng = np.random.default_rng(seed)
    given: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for feed in feeds:
        value = sample(feed.shape, feed.dtype, rng)
        if value.dtype.kind == "f":
            value = (value * scale).astype(value.dtype)
        for side, port, axes in zip(given, feed.ports, feed.axes, strict=True):
            ordered = value.transpose(axes) if len(axes) == value.ndim else value
            side[port.name] = np.ascontiguousarray(ordered.astype(port.dtype))
    return given


def pair_ports(left: Sequence[Port], right: Sequence[Port]) -> list[tuple[Port, Port]] | None:
    """Return inputs or outputs two by two: by name, else by place; None if there are not as many."""
    if len(left) != len(right):
        return None
    named = {port.name: port for port in right}
    if all(port.name in named for port in left):
        return [(port, named[port.name]) for port in left]
    return list(zip(left, right, strict=True))


def _known(port: Port) -> Shape:
    return port.canonical if port.canonical is not None else port.shape or ()


def _common(left: Port, right: Port, batch: int) -> tuple[int, ...] | None:
    one, other = _known(left), _known(right)
    if not one or not other:
        one, other = one or other, other or one
    if len(one) != len(other):
        return None
    shape = list[int]()
    for axis, (dim, again) in enumerate(zip(one, other, strict=True)):
        extents: list[Dim] = [extent for extent in (dim, again) if isinstance(extent, int)]
        if len(set(extents)) > 1:
            return None
        usual = batch if axis == 0 else EXTENTS[0] if axis > 1 and len(one) == 4 else LENGTH
        extent = extents[0] if extents else usual
        shape.append(extent if isinstance(extent, int) else usual)
    return tuple(shape)


def _names(ports: Sequence[Port]) -> str:
    return ", ".join(port.name for port in ports) or "none"

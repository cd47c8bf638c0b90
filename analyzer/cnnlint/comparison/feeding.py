"""The same seeded inputs for two models, each in its own order of axes and type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.comparison.layout import stored_axes
from cnnlint.runtime.inputs import BATCH, EXTENTS, LENGTH, distribution, sample, worded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnnlint.graph.tensor import Shape
    from cnnlint.runtime.runner import Port, Runner

    Array = NDArray[Any]


class Feed(Struct, frozen=True):
    """An input of both models.

    Attributes:
        ports: The input of the first and of the second.
        axes: Which axes of the common array make what each is fed.
        shape: Of the common array.
        dtype: Whose values are drawn.
    """

    ports: tuple[Port, Port]
    axes: tuple[tuple[int, ...], tuple[int, ...]]
    shape: tuple[int, ...]
    dtype: str

    @property
    def words(self) -> str:
        """What is fed: "image 2×3×224×224 standard normal"."""
        return f"{self.ports[0].name} {worded(self.shape)} {distribution(self.dtype)}"


def agree(before: Runner, after: Runner, *, batch: int = BATCH) -> tuple[tuple[Feed, ...], tuple[str, ...]]:
    """Return what both models can be fed; or why they cannot be fed alike, a sentence each."""
    pairs = pair_ports(before.inputs, after.inputs)
    if pairs is None:
        counts = f"{_names(before.inputs)} in the first model and {_names(after.inputs)} in the second"
        return (), (f"the inputs are {counts}",)
    feeds, problems = list[Feed](), list[str]()
    layouts = before.graph.source.layout, after.graph.source.layout
    for left, right in pairs:
        for known in (_known(left), _known(right)):
            axes = stored_axes(left, known, layouts[0]), stored_axes(right, known, layouts[1])
            if axes[0] is not None and axes[1] is not None:
                feeds.append(_feed(left, right, (axes[0], axes[1]), known, batch))
                break
        else:
            shapes = worded(left.shape or ()), worded(right.shape or ())
            problems.append(f"input {left.name} is {shapes[0]} in the first model and {shapes[1]} in the second")
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
    import numpy as np

    rng = np.random.default_rng(seed)
    given: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for feed in feeds:
        value = sample(feed.shape, feed.dtype, rng)
        if value.dtype.kind == "f":
            value = (value * scale).astype(value.dtype)
        for side, port, axes in zip(given, feed.ports, feed.axes, strict=True):
            side[port.name] = np.ascontiguousarray(value.transpose(axes).astype(port.dtype))
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


def _feed(left: Port, right: Port, axes: tuple[tuple[int, ...], tuple[int, ...]], shape: Shape, batch: int) -> Feed:
    """Return what both are fed: what is open in `shape` is as either file declares it, or is chosen."""
    extents = list[int]()
    for axis, dim in enumerate(shape):
        said = [dim]
        for port, order in zip((left, right), axes, strict=True):
            if port.shape is not None:
                said.append(port.shape[order.index(axis)])
        usual = batch if axis == 0 else EXTENTS[0] if axis > 1 and len(shape) == 4 else LENGTH
        extents.append(next((extent for extent in said if isinstance(extent, int)), usual))
    dtype = right.dtype if "int" in right.dtype and "int" not in left.dtype else left.dtype
    return Feed((left, right), axes, tuple(extents), dtype)


def _names(ports: Sequence[Port]) -> str:
    return ", ".join(port.name for port in ports) or "none"

"""Generate the same seeded inputs for two models, each in its own layout and type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from cnnlint.graph.layers import Rescale
from cnnlint.runtime.inputs import (
    BATCH,
    EXTENTS,
    KINDS,
    LENGTH,
    MOST_CHANNELS,
    distribution,
    image,
    sample,
    shown_shape,
)
from cnnlint.verification.error import fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape
    from cnnlint.runtime.runner import Port, Runner

    Array = NDArray[Any]


class Feed(Struct, frozen=True):
    """An input of both models.

    Attributes:
        ports: The input of the first and of the second model.
        axes: For each model, the permutation from the common array to its own layout.
        shape: Shape of the common array.
        dtype: Type that values are drawn in.
        is_image: Whether samples are drawn as images, each of a different kind.
        pixels: Whether the network takes bytes and scales them itself.
    """

    ports: tuple[Port, Port]
    axes: tuple[tuple[int, ...], tuple[int, ...]]
    shape: tuple[int, ...]
    dtype: str
    is_image: bool = False
    pixels: bool = False

    def words(self, first: int = 0) -> str:
        """Describe the input: "image 2×3×224×224 standard normal".

        Args:
            first: Kind of the first image.
        """
        how = distribution(self.dtype)
        if self.is_image:
            kinds = (KINDS * 2)[first : first + min(self.shape[0], len(KINDS))]
            how = f"of {', '.join(kinds)}{' in 0..255' if self.pixels else ''}"
        return f"{self.ports[0].name} {shown_shape(self.shape)} {how}"


def agree(
    before: Runner, after: Runner, *, batch: int = BATCH, extent: int = EXTENTS[0]
) -> tuple[tuple[Feed, ...], tuple[str, ...]]:
    """Return inputs that both models accept, or why there are none, a sentence each; open heights are `extent`."""
    pairs = pair_ports(before.inputs, after.inputs)
    if pairs is None:
        counts = f"{_names(before.inputs)} in the first model and {_names(after.inputs)} in the second"
        return (), (f"the inputs are {counts}",)
    feeds, problems = list[Feed](), list[str]()
    layouts = before.graph.source.layout, after.graph.source.layout
    scaled = {name for side in (before, after) for name in _scaled(side.graph)}
    for left, right in pairs:
        for known in (_known(left), _known(right)):
            axes = stored_axes(left, known, layouts[0]), stored_axes(right, known, layouts[1])
            if axes[0] is not None and axes[1] is not None:
                order, pixels = (axes[0], axes[1]), left.name in scaled
                feeds.append(_feed(left, right, order, known, batch, extent=extent, pixels=pixels))
                break
        else:
            shapes = shown_shape(left.shape or ()), shown_shape(right.shape or ())
            problems.append(f"input {left.name} is {shapes[0]} in the first model and {shapes[1]} in the second")
    return (() if problems else tuple(feeds)), tuple(problems)


def draw(
    feeds: Sequence[Feed], seed: int, *, first: int = 0, scale: float = 1
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the inputs of the first and of the second model, drawn from one generator.

    Args:
        feeds: What both are fed.
        seed: Of the generator.
        first: Kind of the first image.
        scale: Factor for floating values.

    Raises:
        RuntimeCheckError: Values of such a type cannot be generated.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    given: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for feed in feeds:
        if feed.is_image:
            value = image(feed.shape, feed.dtype, rng, first=first, pixels=feed.pixels)
        else:
            value = sample(feed.shape, feed.dtype, rng)
        if value.dtype.kind == "f":
            value = (value * scale).astype(value.dtype)
        for side, port, axes in zip(given, feed.ports, feed.axes, strict=True):
            side[port.name] = np.ascontiguousarray(value.transpose(axes).astype(port.dtype))
    return given


def pair_ports(left: Sequence[Port], right: Sequence[Port]) -> list[tuple[Port, Port]] | None:
    """Pair inputs or outputs by name, else by position; return None if their numbers differ."""
    if len(left) != len(right):
        return None
    named = {port.name: port for port in right}
    if all(port.name in named for port in left):
        return [(port, named[port.name]) for port in left]
    return list(zip(left, right, strict=True))


def stored_axes(port: Port, shape: Shape, layout: Literal["channels_first", "channels_last"]) -> tuple[int, ...] | None:
    """Return the permutation from an array of `shape`, channels first, to the layout of `port`.

    Args:
        port: An input.
        shape: Its shape in the graph, or that of its counterpart in another model.
        layout: The usual layout of its model, which decides if both orders fit.

    Returns:
        None if neither order fits the input.
    """
    plain = tuple(range(len(shape)))
    if port.shape is None:
        return plain
    last = (0, *plain[2:], 1) if len(plain) > 2 else plain
    fitting = [axes for axes in (plain, last) if fits(port.shape, tuple(shape[axis] for axis in axes), batch=True)]
    wanted = last if layout == "channels_last" else plain
    return wanted if wanted in fitting else fitting[0] if fitting else None


def _known(port: Port) -> Shape:
    return port.canonical if port.canonical is not None else port.shape or ()


def _feed(
    left: Port,
    right: Port,
    axes: tuple[tuple[int, ...], tuple[int, ...]],
    shape: Shape,
    batch: int,
    *,
    extent: int,
    pixels: bool,
) -> Feed:
    """Return the common input; open extents of `shape` are taken from either file's declaration, or chosen."""
    extents = list[int]()
    for axis, dim in enumerate(shape):
        said = [dim]
        for port, order in zip((left, right), axes, strict=True):
            if port.shape is not None:
                said.append(port.shape[order.index(axis)])
        usual = batch if axis == 0 else extent if axis > 1 and len(shape) == 4 else LENGTH
        extents.append(next((extent for extent in said if isinstance(extent, int)), usual))
    dtype = right.dtype if "int" in right.dtype and "int" not in left.dtype else left.dtype
    is_image = len(extents) == 4 and extents[1] <= MOST_CHANNELS and dtype in _IMAGES
    return Feed((left, right), axes, tuple(extents), dtype, is_image, is_image and (pixels or dtype == "uint8"))


_IMAGES = frozenset({"float16", "float32", "float64", "uint8", "int8"})
"""Types that images may have."""


def _scaled(graph: Graph) -> Iterator[str]:
    """Yield the inputs that the network rescales first, and so takes as bytes."""
    for tensor in graph.inputs:
        first = graph.consumers(tensor)
        if first and all(isinstance(layer, Rescale) for layer in first):
            yield tensor.name


def _names(ports: Sequence[Port]) -> str:
    return ", ".join(port.name for port in ports) or "none"

"""Generate seeded inputs for runs, and describe them for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.errors import RuntimeCheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import GraphRecord, ValueRecord
    from cnnlint.graph.tensor import Dim

BATCH = 2
"""Samples in a batch whose size is dynamic: the fewest in which one sample can depend on another."""

EXTENTS = (224, 256, 64)
"""Sizes to try for a dynamic height or width: the usual crop, then powers of two for nets that halve often."""

LENGTH = 16
"""Size of a dynamic axis that is neither batch nor spatial."""

MOST_CHANNELS = 4
"""A fixed first or last extent of a sample up to this is taken for image channels."""

DISTRIBUTIONS = {
    "float": "standard normal",
    "uint8": "uniform in 0..255",
    "int8": "uniform in -128..127",
    "int": "all 1",
    "bool": "false or true",
}
"""Integers wider than a byte are indices, sizes or flags, and 1 is valid for each."""


KINDS = ("normal values", "a constant", "one hot pixel", "1/f noise")
"""Kinds of images: noise, no structure except at the border, a point, and the spectrum of photographs."""


class Extents(Struct, frozen=True):
    """The shapes of the inputs of a run.

    Attributes:
        shapes: By the input's name.
        batched: Inputs whose first axis is the batch, with its extent in `batch`.
        batch: Number of samples; None if no input has a batch axis.
        dynamic: Whether the batch dimension is dynamic.
        guessed: Extents that were chosen for open dims other than the batch, such as "x.height=224"; () if none.
    """

    shapes: dict[str, tuple[int, ...]]
    batched: frozenset[str]
    batch: int | None
    dynamic: bool
    guessed: tuple[str, ...]


def fed_inputs(graph: GraphRecord) -> tuple[ValueRecord, ...]:
    """Return the inputs that have no initializer and so must be fed."""
    return tuple(value for value in graph.inputs if value.name not in graph.initializers)


def choose_extents(
    inputs: Sequence[ValueRecord], given: Mapping[str, tuple[int, ...]], *, batch: int = BATCH, extent: int = EXTENTS[0]
) -> Extents:
    """Return a shape for each input: as declared, as given by the user, or with default extents.

    Args:
        inputs: The file's declarations.
        given: The user's shapes, by name.
        batch: For an open first axis.
        extent: For other open axes of an image.

    Raises:
        RuntimeCheckError: An input is not a tensor or has an unknown rank, or a given shape does not fit it.
    """
    known = dict[str, int]()
    for value in inputs:
        for dim, size in zip(value.shape or (), given.get(value.name, ()), strict=False):
            if isinstance(dim, str):
                known[dim] = size
    shapes, batched, guessed = dict[str, tuple[int, ...]](), set[str](), list[str]()
    size: int | None = None
    dynamic = False
    for value in inputs:
        if value.name in given:
            shape = _given(value, given[value.name])
        elif value.shape is None:
            raise RuntimeCheckError(
                f"the shape of input {value.name} is not declared", remedy=f"give it with --input {value.name}=..."
            )
        else:
            shape = _chosen(value.name, value.shape, known, guessed, batch=batch, extent=extent)
        shapes[value.name] = shape
        if len(shape) > 1 and (size is None or shape[0] == size):
            size = shape[0]
            batched.add(value.name)
            dynamic = dynamic or (value.shape is not None and not isinstance(value.shape[0], int))
    return Extents(shapes, frozenset(batched), size, dynamic, tuple(guessed))


def _given(value: ValueRecord, shape: tuple[int, ...]) -> tuple[int, ...]:
    declared = value.shape
    fits = declared is None or (
        len(declared) == len(shape)
        and all(not isinstance(dim, int) or dim == size for dim, size in zip(declared, shape, strict=True))
    )
    if not fits:
        raise RuntimeCheckError(
            f"input {value.name} is declared as {shown_shape(declared or ())}, not {shown_shape(shape)}"
        )
    return shape


def _chosen(
    name: str, shape: tuple[Dim, ...], known: dict[str, int], guessed: list[str], *, batch: int, extent: int
) -> tuple[int, ...]:
    spatial = _spatial_axes(shape)
    result = list[int]()
    for axis, dim in enumerate(shape):
        if isinstance(dim, int):
            result.append(dim)
            continue
        if isinstance(dim, str) and dim in known:
            size = known[dim]
        elif axis == 0:
            size = batch
        else:
            size = extent if axis in spatial else LENGTH
            guessed.append(f"{name}.{dim or f'axis {axis}'}={size}")
        if isinstance(dim, str):
            known[dim] = size
        result.append(size)
    return tuple(result)


def _spatial_axes(shape: tuple[Dim, ...]) -> frozenset[int]:
    """Return the height and width axes of a 2-D image, in either layout."""
    if len(shape) != 4:
        return frozenset()
    last, first = shape[-1], shape[1]
    channels_last = isinstance(last, int) and last <= MOST_CHANNELS
    channels_first = isinstance(first, int) and first <= MOST_CHANNELS
    return frozenset({1, 2} if channels_last and not channels_first else {2, 3})


def distribution(dtype: str) -> str:
    """Return the name of the distribution of an input of type `dtype`.

    Raises:
        RuntimeCheckError: Such inputs cannot be generated.
    """
    if dtype in DISTRIBUTIONS:
        return DISTRIBUTIONS[dtype]
    if dtype in {"float16", "float32", "float64", "bfloat16"}:
        return DISTRIBUTIONS["float"]
    if dtype.startswith(("int", "uint")) and dtype[-2:] in {"16", "32", "64"}:
        return DISTRIBUTIONS["int"]
    raise RuntimeCheckError(f"inputs of type {dtype or 'unknown'} cannot be generated")


def sample(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> NDArray[Any]:
    """Return random values of `shape` and `dtype`, distributed as `distribution` says."""
    import numpy as np

    kind = distribution(dtype)
    if kind == DISTRIBUTIONS["float"]:
        if dtype == "bfloat16":
            raise RuntimeCheckError("inputs of type bfloat16 cannot be passed from Python")
        return rng.standard_normal(shape, dtype=np.float32).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if dtype in {"uint8", "int8"}:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    return np.ones(shape, dtype)


def image(
    shape: tuple[int, ...], dtype: str, rng: np.random.Generator, *, first: int = 0, pixels: bool = False
) -> NDArray[Any]:
    """Return images of `shape`, channels first, cycling through `KINDS`, with mean 0 and deviation 1.

    Args:
        shape: Samples, channels, then spatial extents.
        dtype: Element type.
        rng: Source of randomness.
        first: Index in `KINDS` of the first one.
        pixels: Scale them to 0 to 255, as bytes.
    """
    import numpy as np

    values = np.stack([_KINDS[(first + index) % len(KINDS)](shape[1:], rng) for index in range(shape[0])])
    if pixels or dtype == "uint8":
        values = np.clip(values * 64 + 127.5, 0, 255)
    elif dtype == "int8":
        values = np.clip(values * 64, -128, 127)
    return values.astype(dtype)


def _constant(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    import numpy as np

    return np.broadcast_to(rng.standard_normal((shape[0], *(1,) * (len(shape) - 1))), shape)


def _hot_pixel(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    import numpy as np

    values = np.zeros(shape)
    values[(slice(None), *(int(rng.integers(extent)) for extent in shape[1:]))] = rng.standard_normal(shape[0]) + 4
    return values


def _natural(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return noise with amplitude inverse to frequency, as in photographs (Field 1987)."""
    import numpy as np

    frequencies = np.meshgrid(*(np.fft.fftfreq(extent) for extent in shape[1:]), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in frequencies))
    radius[(0,) * radius.ndim] = np.inf  # no mean
    axes = tuple(range(1, len(shape)))
    spectrum = np.fft.fftn(rng.standard_normal(shape), axes=axes) / radius
    values = np.fft.ifftn(spectrum, axes=axes).real
    return values / (values.std() or 1)


_KINDS: tuple[Callable[[tuple[int, ...], np.random.Generator], NDArray[Any]], ...] = (
    lambda shape, rng: rng.standard_normal(shape),
    _constant,
    _hot_pixel,
    _natural,
)


def shown_shape(shape: Sequence[Dim]) -> str:
    """Format a shape for reports: "2×3×224×224"."""
    return "×".join("?" if dim is None else str(dim) for dim in shape) or "scalar"

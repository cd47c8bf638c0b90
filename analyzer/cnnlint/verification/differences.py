"""What differs between two networks: settings of matching layers, and the layers where values first differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import isclose
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from cnnlint.errors import CnnlintError
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import BatchNorm
from cnnlint.graph.quantity import count, extent
from cnnlint.graph.tensor import Tensor
from cnnlint.verification.matching import LayerPair
from cnnlint.verification.records import Origin, ValueRow
from cnnlint.verification.rounding import LARGEST_WEIGHT, arranged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnlint.graph.tensor import Weight

    Array = NDArray[Any]

FOLDED = frozenset({"use_bias", "parameters"})
"""Settings of a layer that change when a norm is folded into it."""

EXTENTS = frozenset({"shape", "shapes", "sizes", "steps", "target", "tokens"})
"""Settings that are extents of tensors, which a file may leave open, by names that its exporter made up."""

SINGLE = 1e-6
"""Relative difference of a setting that storing it as float32 can cause."""


class Change(Struct, frozen=True):
    """A setting that differs between two matching layers.

    Attributes:
        field: The setting: "padding", "use_bias", "output_shape", "parameters", ...
        before: Its value in the first network, as text.
        after: Its value in the second.
    """

    field: str
    before: str
    after: str


def changes(before: Layer, after: Layer) -> tuple[Change, ...]:
    """Return how `before` and `after` differ, apart from names, neighbors and values of weights."""
    if before.kind != after.kind:
        return (Change("kind", before.kind, after.kind), *_sizes(before, after))
    return (*_settings(before, after), *_sizes(before, after))


def _settings(before: Layer, after: Layer) -> Iterator[Change]:
    others = after.settings()
    for field, left in before.settings().items():
        right = others.get(field)
        if left == right or _rounded(left, right) or _folded(before, after, field):
            continue
        if field not in EXTENTS:
            yield Change(field, worded(left), worded(right))
        elif not _as_open(left, right):
            yield Change(field, *("?" if each is None else worded(each) for each in (left, right)))


def _as_open(left: object, right: object) -> bool:
    """Return whether the same extents are open on both sides, whatever they are called, and the others agree."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        ones, others = cast("tuple[object, ...]", left), cast("tuple[object, ...]", right)
        return len(ones) == len(others) and all(map(_as_open, ones, others))
    return left == right or (not isinstance(left, int | tuple) and not isinstance(right, int | tuple))


def _folded(before: Layer, after: Layer, field: str) -> bool:
    """Return whether folding explains this difference: a conversion precomputes a norm's scale and shift."""
    either = isinstance(before, BatchNorm) and isinstance(after, BatchNorm) and before.folded != after.folded
    return either and field in ("epsilon", "folded")


def _rounded(left: object, right: object) -> bool:
    return isinstance(left, float) and isinstance(right, float) and isclose(left, right, rel_tol=SINGLE)


def _sizes(before: Layer, after: Layer) -> Iterator[Change]:
    for one, other in zip(before.outputs, after.outputs, strict=False):
        if not _same_extents(one, other):
            yield Change("output_shape", worded(one.sample_shape), worded(other.sample_shape))
    held = before.parameters, after.parameters
    if None not in held and held[0] != held[1]:
        yield Change("parameters", count(held[0]), count(held[1]))
    types = [",".join(dict.fromkeys(weight.dtype for weight in layer.weights)) for layer in (before, after)]
    if all(types) and types[0] != types[1]:
        yield Change("dtype", *types)


def _same_extents(one: Tensor, other: Tensor) -> bool:
    """Return whether the known extents of both shapes agree."""
    left, right = one.sample_shape, other.sample_shape
    if left is None or right is None:
        return True
    known = (pair for pair in zip(left, right, strict=False) if all(isinstance(dim, int) for dim in pair))
    return len(left) == len(right) and all(a == b for a, b in known)


def worded(value: object) -> str:
    """Format a setting for reports: "3×3", "(0, 1) (0, 1)", "yes"."""
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
    return "×".join("?" if item is None else worded(item) for item in items) or "()"


def origins(
    before: Graph, after: Graph, pairs: Sequence[LayerPair], rows: Mapping[str, ValueRow], failed: Sequence[str]
) -> Iterator[Origin]:
    """Yield the layers that differ when given the first model's values, or that differ while no layer before them does.

    Args:
        before: The first network.
        after: The second.
        pairs: Their layers, two by two.
        rows: What was compared, by layer of the first network.
        failed: The layers that differ given equal inputs.
    """
    tainted = set[str]()
    partners = {pair.left.name: pair for pair in pairs}
    through = {name for pair in pairs for name in pair.looked_through}
    known = {pair.left.name for pair in pairs} | through, {pair.right.name for pair in pairs} | through
    for layer in before.layers:
        inherited = any(source.name in tainted for source in before.predecessors(layer))
        row = rows.get(layer.name)
        differs = row is not None and row.verdict == "differs"
        if inherited or differs:
            tainted.add(layer.name)
        if row is None or not differs or (inherited and layer.name not in failed):
            continue
        pair = partners[layer.name]
        alone = tuple(_alone(after, pair.right, known[1], "second"))
        if alone and any(source.name in failed for source in before.predecessors(layer)):
            continue  # the second model may have split the layer before in two
        said = chain(
            causes(before, after, pair.left, pair.right, alike=pair.is_alike),
            _alone(before, pair.left, known[0], "first"),
            alone,
            ()
            if pair.is_alike
            else (f"{', '.join(pair.looked_through)} is in only one model, or folded in the other",),
        )
        yield Origin(before=layer.name, after=row.after, max_rel_error=row.max_rel_error, causes=tuple(said))


def _alone(graph: Graph, layer: Layer, matched: set[str], which: str) -> Iterator[str]:
    """Yield the layers between `layer` and the closest layers before it that both networks have."""
    seen, waiting = set[str](), [*graph.predecessors(layer)]
    while waiting:
        source = waiting.pop()
        if source.name in seen or source.name in matched:
            continue
        seen.add(source.name)
        waiting += graph.predecessors(source)
        if not source.is_view:
            yield f"only the {which} model has {source.name} ({source.kind}) before it"


def causes(before: Graph, after: Graph, left: Layer, right: Layer, *, alike: bool) -> Iterator[str]:
    """Yield the differences between the layers `left` of `before` and `right` of `after`, a clause each.

    Args:
        before: The first network.
        after: The second.
        left: A layer of the first.
        right: Its counterpart.
        alike: Whether neither has a norm folded into its weights that the other keeps separate.
    """
    for change in changes(left, right):
        if not alike and change.field in FOLDED:
            continue
        yield f"{change.field.replace('_', ' ')} {change.before} vs. {change.after}"
    if not alike:
        return
    keras = [graph.source.format in ("keras", "h5") for graph in (before, after)]
    for weight in left.weights:
        other = next((held for held in right.weights if _role(held) == _role(weight)), None)
        if (
            other is None
            or weight.size is None
            or weight.size != other.size
            or max(weight.nbytes or 0, other.nbytes or 0) > LARGEST_WEIGHT
        ):
            continue
        try:
            forms, again = _forms(left, weight, keras=keras[0]), _forms(right, other, keras=keras[1])
        except CnnlintError:
            continue
        if said := _against(forms, again):
            yield f"{_role(weight).replace('_', ' ')} {said}"


def _role(weight: Weight) -> str:
    """Return the role of a weight, "kernel" for every kernel: Keras adds the kind of some layers to the name."""
    return "kernel" if weight.role.endswith("kernel") else weight.role


def _against(forms: list[Array], again: list[Array]) -> str:
    """Return how two weights differ; "" if they are equal in one of their forms."""
    import numpy as np

    apart = [
        float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
        for one in forms
        for other in again
        if one.shape == other.shape
    ]
    if not apart or min(apart) <= 1e-6 * float(np.abs(forms[0]).max()):
        return ""
    if np.allclose(np.sort(forms[0], axis=None), np.sort(again[0], axis=None), rtol=1e-6, atol=0):
        return "has the same values in a different order"
    return f"values differ by up to {min(apart):.3g}"


def _forms(layer: Layer, weight: Weight, *, keras: bool) -> list[Array]:
    """Return the values as ONNX arranges them; both ways if the file does not say which one it uses."""
    values: Array = weight.values()
    if _role(weight) != "kernel" or values.ndim < 2:
        return [values.reshape(-1)]
    return arranged(layer, values, keras=keras)

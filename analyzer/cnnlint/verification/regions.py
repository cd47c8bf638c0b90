"""Verification region by region: each layer that both models have, compared on the first model's own values.

The second model is run again, with the output of each matched layer replaced by the first model's value. A difference
then comes from one layer, or from the few between two matched ones, and not from rounding further up. At sampled
elements, a convolution or dense layer is compared with its exact sum, within a computed bound; for other layers the
bound follows from how much a perturbation of their input changes their output. No bound exceeds the cap, so a region of
many layers that amplifies rounding without limit is not accepted.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.errors import CnnlintError
from cnnlint.graph.layers import Activation, GlobalPool
from cnnlint.verification.error import Error, channels_first, channels_first_axes, error
from cnnlint.verification.rounding import OVERHEAD, RATIO, SAFETY, WeightedSum, cap, perturbed, unit, weighted_sum

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.runtime.runner import Runner, Values
    from cnnlint.verification.matching import LayerPair

    Array = NDArray[Any]
    Feeds = Mapping[str, Array]

WORST, RANDOM = 16, 32
"""Elements of an output that are computed exactly: those that differ most, and random ones."""

ROUNDS = 4
"""How often layers that differ are joined with the layers after them before the difference counts."""

NEAR = 0.05
"""Relative error up to which an order of axes is taken for the right one."""

SAMPLING = 7
"""Seed of the elements that are sampled."""


class Region(Struct, frozen=True, eq=False):
    """One layer of both models, or several up to a matched one, on the first model's own values.

    Attributes:
        name: Its last layer, as the first model names it, or the output.
        error: Difference of the two outputs.
        share: Error of the worst element, as a share of its rounding bound.
        is_output: Whether it ends in an output of the model.
    """

    name: str
    error: Error
    share: float
    is_output: bool = False

    @property
    def holds(self) -> bool:
        """Whether rounding explains the difference."""
        return self.share <= 1


class AxisOrder(Struct, frozen=True):
    """The permutation of axes from the first model's value to the second's, ignoring extents of 1."""

    axes: tuple[int, ...]

    def forth(self, value: Array, like: Array) -> Array:
        """Convert a value of the first model to the layout of the second."""
        import numpy as np

        return np.ascontiguousarray(value.transpose(self.axes)).reshape(like.shape)

    def back(self, value: Array, like: Array) -> Array:
        """Convert a value of the second model to the layout of the first."""
        turned = [like.shape[axis] for axis in self.axes]
        return value.reshape(turned).transpose([self.axes.index(axis) for axis in range(like.ndim)])


class Regions:
    """The matched layers whose values are known in both models, in the order of the first.

    Args:
        models: The reference's network, and the model to verify.
        pairs: Its layers, matched with those of the reference.
        ports: The paired outputs: index in the first model, index in the second, and name.
        runs: A run of each model on the same inputs, with the values of the paired layers and of their inputs.
        sums: The layers of the first model whose exact sums can be computed, by name.
    """

    def __init__(
        self,
        models: tuple[Graph, Runner],
        pairs: Iterable[LayerPair],
        ports: Sequence[tuple[int, int, str]],
        runs: tuple[Values, Values],
        sums: Mapping[str, Sum],
    ) -> None:
        self._before, self._after = models
        self._ports = ports
        self._left, self._right = left, right = runs
        self._sums = sums
        mine, others = left.single(), right.single()
        known = [pair for pair in pairs if pair.left_end.name in mine and pair.right_end.name in others]
        self._values = {pair.right_end.name: mine[pair.left_end.name] for pair in known}
        self._orders = _orders({name: (value, others[name]) for name, value in self._values.items()})
        self._given = {name: order.forth(self._values[name], others[name]) for name, order in self._orders.items()}
        self.pairs = [pair for pair in known if pair.right_end.name in self._orders]
        self._ends = {pair.left_end.name for pair in self.pairs}

    def judged(self, feeds: Feeds) -> list[Region]:
        """Return each region with its error as a share of its rounding bound.

        Two layers that differ may be correct together: a scale may have moved from one to the other. So the second
        model's own value is passed on there, and the layers after it are compared again. A layer that is the only one
        to differ is wrong, even if later layers hide it on these inputs.

        Args:
            feeds: Inputs of the second model.

        Raises:
            RuntimeCheckError: The second model does not run.
        """
        joined = set[str]()
        first: list[Region] | None = None
        for _ in range(ROUNDS):
            found = list(self._round(feeds, joined))
            first = first or found
            wrong = [region for region in found if not region.holds]
            if not wrong:
                return found
            names = {region.name for region in wrong if not region.is_output}
            more = {pair.right_end.name for pair in self.pairs if pair.left.name in names} - joined
            if not more or len(wrong) == 1:  # no other layer could compensate
                break
            joined |= more
        return first or []

    def saturated(self, before: Runner, feeds: tuple[Feeds, Feeds], sound: Container[str]) -> Iterator[Region]:
        """Yield the activations that differ on very large values, where only one of the two clips.

        Args:
            before: The first model.
            feeds: Inputs far larger than usual, for the first model and the second.
            sound: The layers that are equal on usual inputs; others may not be counterparts at all.

        Raises:
            RuntimeCheckError: One of the models does not run on them.
        """
        import numpy as np

        equal = [pair for pair in self.pairs if pair.left.name in sound]
        # The output of a layer that differs is not replaced, so the layers that read it would differ too.
        not_replaced = {pair.left_end.output.name for pair in self.pairs if pair.left.name not in sound}
        pairs = [
            pair
            for pair in equal
            if isinstance(pair.left, Activation) and pair.left.axis is None and pair.left.input.name not in not_replaced
        ]
        if not pairs:
            return
        mine = before.run(feeds[0], {pair.left_end.name for pair in equal}).single()
        given = {
            pair.right_end.name: self._orders[pair.right_end.name].forth(
                mine[pair.left_end.name], self._given[pair.right_end.name]
            )
            for pair in equal
            if pair.left_end.name in mine
        }
        made = self._after.run(feeds[1], {pair.right_end.name for pair in pairs}, given).single()
        for pair in pairs:
            name = pair.right_end.name
            if name in made and pair.left_end.name in mine and np.isfinite(expected := mine[pair.left_end.name]).all():
                apart = error(expected, self._orders[name].back(made[name], expected))
                if apart.relative > cap(expected.dtype.name):
                    yield Region(pair.left.name, apart, apart.relative / cap(expected.dtype.name))

    def _round(self, feeds: Feeds, joined: set[str]) -> Iterator[Region]:
        given = {name: value for name, value in self._given.items() if name not in joined}
        watched = [pair for pair in self.pairs if pair.right_end.name in given]
        names = {pair.right_end.name for pair in watched}
        made = self._after.run(feeds, names, given)
        moved = self._after.run(perturbed(feeds, 0), names, perturbed(given, 1))
        once, again = made.single(), moved.single()
        for pair in watched:
            name = pair.right_end.name
            if name in once and name in again:
                mine, order = self._values[name], self._orders[name]
                yield self._region(pair, mine, *(order.back(values[name], mine) for values in (once, again)))
        for place, other, name in self._ports:
            mine, value, response = self._left.outputs[place], made.outputs[other], moved.outputs[other]
            order = _orders({"": (mine, self._right.outputs[other])}).get("")
            if order is None:
                yield Region(name, error(mine, value), float("inf"), is_output=True)
            else:
                value, response = order.back(value, mine), order.back(response, mine)
                yield _measured(name, mine, value, response, terms=1, is_output=True)

    def _fed(self, pair: LayerPair) -> int:
        """Return how many elements a region is fed: those of the matched layers that its layers read, or the inputs."""
        graph, total = self._before, 0
        waiting, seen = list(pair.left.inputs), set[str]()
        while waiting:
            tensor = waiting.pop()
            if tensor.name in seen:
                continue
            seen.add(tensor.name)
            source = graph.producer(tensor)
            if source is None or not source.inputs or source.name in self._ends:
                total += tensor.sample_elements or 1
            else:
                waiting.extend(source.inputs)
        return total

    def _region(self, pair: LayerPair, mine: Array, value: Array, response: Array) -> Region:
        found = self._sums.get(pair.left.name)
        if found is not None and value.shape == mine.shape and (share := found.share(mine, value)) is not None:
            return Region(pair.left.name, error(mine, value), share)
        terms = max(self._fed(pair) / (pair.left.output.sample_elements or 1), _products(pair.left))
        if isinstance(pair.left, GlobalPool) or any(weight.storage is None for weight in pair.left.weights):
            # Nothing cancels in the mean of a constant map, and Keras sums its elements one by one. Weights without
            # stored values are all the same, and so are the roundings of their sums.
            apart, allowed = error(mine, value), min((OVERHEAD + terms) * unit(mine.dtype.name), cap(mine.dtype.name))
            return Region(pair.left.name, apart, apart.relative / allowed)
        return _measured(pair.left.name, mine, value, response, terms=terms)


def _products(layer: Layer) -> float:
    """Return how many products a layer adds up for an element of its output; 1 if that is not known."""
    formula = layer.mac_formula()
    return 1 if formula is None else max(formula.value / (layer.output.sample_elements or formula.value or 1), 1)


class Sum(Struct, frozen=True, eq=False):
    """A layer of the first model that is a sum of products, and its input.

    Attributes:
        forms: Its weights; in both arrangements if the file does not say which it uses.
        given: Its input, channels first; in both orders of axes if the shape fits both.
    """

    forms: tuple[WeightedSum, ...]
    given: tuple[Array, ...]

    def share(self, mine: Array, value: Array) -> float | None:
        """Return the error of the worst sampled element as a share of its bound.

        Args:
            mine: The first model's output for `given`, in its own layout.
            value: The second model's output, in the same layout.

        Returns:
            None if the first model itself does not match the sum, so the layer is not understood.
        """
        import numpy as np

        apart = np.abs(mine.astype(np.float64) - value.astype(np.float64)).reshape(-1)
        if not apart.size or not np.isfinite(apart).all():
            return None
        rng = np.random.default_rng(SAMPLING)
        worst = np.argpartition(apart, -min(WORST, apart.size))[-WORST:]
        flat = np.unique(np.concatenate([worst, rng.integers(0, apart.size, RANDOM)]))
        places = np.unravel_index(flat, mine.shape)
        for form, given, first in product(self.forms, self.given, channels_first_axes(mine.ndim)):
            if not form.fits(given.shape, tuple(mine.shape[axis] for axis in first)):
                continue
            reference = form.at(given, [places[axis] for axis in first], mine.dtype.name)
            if (np.abs(mine.reshape(-1)[flat] - reference.exact) <= reference.bound).all():
                off = np.abs(value.reshape(-1)[flat] - reference.exact)
                return float((off / np.maximum(reference.bound, np.finfo(np.float64).tiny)).max())
        return None


def sums(before: Runner, pairs: Iterable[LayerPair], run: Values, feeds: Feeds) -> dict[str, Sum]:
    """Return the layers of the first model that can be computed exactly, by name.

    Args:
        before: The model.
        pairs: Its matched layers, with the norms that belong to them.
        run: A run of it with the values of the layers' inputs.
        feeds: The inputs of that run.
    """
    graph, known = before.graph, run.single()
    keras = graph.source.format in ("keras", "h5")
    pairs = tuple(pairs)
    given = {pair.left_end.name for pair in pairs}
    found = dict[str, Sum]()
    for pair in pairs:
        layer = pair.left
        if not layer.inputs:  # made of weights alone
            continue
        source = graph.producer(layer.input)
        fed = source
        while fed is not None and fed.is_view and fed.inputs:
            fed = graph.producer(fed.input)
        if fed is not None and fed.name not in given:  # the other model's layer reads what it computes by itself
            continue
        value = feeds.get(layer.input.name) if source is None else known.get(source.name)
        if value is None or value.dtype.kind != "f":
            continue
        try:
            forms = weighted_sum(layer, pair.norms, keras=keras)
        except CnnlintError:  # unreadable weights: runs alone must do
            continue
        if forms:
            found[layer.name] = Sum(forms, tuple(channels_first(value, layer.input.shape)))
    return found


def _orders(values: Mapping[str, tuple[Array, Array]]) -> dict[str, AxisOrder]:
    """Return the order of axes for each pair of values: the closest one, or the most common if none is close.

    Values without a common shape are left out.
    """
    found = dict[str, list[tuple[float, AxisOrder]]]()
    for name, (mine, other) in values.items():
        axes = tuple(range(mine.ndim))
        choices = {axes, (0, *axes[-1:], *axes[1:-1]), (0, *axes[2:], 1)} if mine.ndim > 2 else {axes}
        fitting = [
            AxisOrder(order) for order in sorted(choices) if _plain(mine.transpose(order).shape) == _plain(other.shape)
        ]
        # a single candidate needs no error to choose by
        errors = [error(order.forth(mine, other), other).relative for order in fitting] if fitting[1:] else [0.0]
        if fitting:
            found[name] = sorted(zip(errors, fitting, strict=True), key=lambda entry: entry[0])
    votes = Counter(choices[0][1] for choices in found.values() if len(choices) == 1 or choices[0][0] < NEAR)
    chosen = dict[str, AxisOrder]()
    for name, choices in found.items():
        usual = max((order for _, order in choices), key=lambda order: votes[order])
        chosen[name] = choices[0][1] if choices[0][0] < NEAR else usual
    return chosen


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:1] + tuple(extent for extent in shape[1:] if extent != 1)


def _measured(
    name: str, mine: Array, value: Array, response: Array, *, terms: float, is_output: bool = False
) -> Region:
    """Return a region whose bound follows from the response of its output to a perturbed input."""
    apart, moved = error(mine, value), error(value, response)
    return Region(name, apart, apart.relative / bound(moved.relative, mine.dtype.name, terms), is_output)


def bound(response: float, dtype: str, terms: float) -> float:
    """Return the relative error that rounding can explain in a part of a network; never more than the cap.

    Args:
        response: Relative change of the output when the input is perturbed by one rounding.
        dtype: Type that it computes in.
        terms: Products per sum or, if these are not known, input elements per output element, which is a lower limit.
    """
    step = unit(dtype)
    rounding = max(response, step) if isfinite(response) else step
    return min(RATIO * rounding + SAFETY * sqrt(terms) * step, cap(dtype))

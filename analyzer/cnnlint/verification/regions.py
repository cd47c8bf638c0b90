"""The first judge: each layer that two models have, held against the other's on the first model's own values.

The second model is run once more, and goes on after each layer from what the first model made there: whatever it makes
then comes from one layer, or from the few between two that both have, and no rounding before it has any part in it.
A convolution or a dense layer is held against its exact sum at sampled elements, with a bound that is computed; other
layers against how far a perturbation of what they are given moves what they make. No such bound is above the cap, so
that a region of many layers, which may turn rounding into anything, does not pass for that.
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

    from cnnlint.runtime.runner import Runner, Values
    from cnnlint.verification.matching import LayerPair

    Array = NDArray[Any]
    Feeds = Mapping[str, Array]

WORST, RANDOM = 16, 32
"""Elements of an output that are computed exactly: those that differ most, and others at random."""

ROUNDS = 4
"""How often layers that differ are taken together with what follows them, before the difference is believed."""

NEAR = 0.05
"""Relative error up to which two tensors of the whole networks are the same one, in the order of axes that gives it."""

SAMPLING = 7
"""Seed of the elements that are sampled."""


class Region(Struct, frozen=True, eq=False):
    """A layer of both models, or several that end in one, on the first model's own values.

    Attributes:
        name: The layer of the first model that it ends in, or the output.
        error: How far the two outputs are apart.
        share: The error of the worst element as a share of what rounding may come to.
        is_output: Whether it ends in an output of the model, which nothing follows.
    """

    name: str
    error: Error
    share: float
    is_output: bool = False

    @property
    def holds(self) -> bool:
        """Whether rounding explains the difference."""
        return self.share <= 1


class Order(Struct, frozen=True):
    """How the first model's value becomes the second's: its axes in another order, extents of 1 aside."""

    axes: tuple[int, ...]

    def forth(self, value: Array, like: Array) -> Array:
        """Return a value of the first model as the second has it."""
        import numpy as np

        return np.ascontiguousarray(value.transpose(self.axes)).reshape(like.shape)

    def back(self, value: Array, like: Array) -> Array:
        """Return a value of the second model as the first has it."""
        turned = [like.shape[axis] for axis in self.axes]
        return value.reshape(turned).transpose([self.axes.index(axis) for axis in range(like.ndim)])


class Regions:
    """The layers of two models whose values are known in both, in the order of the first.

    Args:
        after: The model that is judged.
        pairs: Its layers and those of the model that is taken for right.
        ports: The outputs two by two: the place of each among the first model's and among the second's, and its name.
        runs: A run of each model on the same inputs, the layers of the pairs and what feeds them watched.
        sums: The layers of the first model that are sums of products, by name, ready to be computed.
    """

    def __init__(
        self,
        after: Runner,
        pairs: Iterable[LayerPair],
        ports: Sequence[tuple[int, int, str]],
        runs: tuple[Values, Values],
        sums: Mapping[str, Sum],
    ) -> None:
        self._after = after
        self._ports = ports
        self._left, self._right = left, right = runs
        self._sums = sums
        mine, others = left.single(), right.single()
        known = [pair for pair in pairs if pair.ahead.name in mine and pair.behind.name in others]
        self._values = {pair.behind.name: mine[pair.ahead.name] for pair in known}
        self._orders = _orders({name: (value, others[name]) for name, value in self._values.items()})
        self._given = {name: order.forth(self._values[name], others[name]) for name, order in self._orders.items()}
        self.pairs = [pair for pair in known if pair.behind.name in self._orders]

    def judged(self, feeds: Feeds) -> list[Region]:
        """Return each region with its error as a share of what rounding may come to in it.

        A layer that differs may be right together with another that does: a scale may have gone from one into the
        other. So what the second model makes there is handed on, and what follows is looked at again. A layer that
        differs alone is wrong, though what follows may not show it on these inputs.

        Args:
            feeds: What the second model is fed.

        Raises:
            RuntimeCheckError: The second model does not run so.
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
            more = {pair.behind.name for pair in self.pairs if pair.left.name in names} - joined
            if not more or len(wrong) == 1:  # nothing is left that could make up for it
                break
            joined |= more
        return first or []

    def saturated(self, before: Runner, feeds: tuple[Feeds, Feeds], sound: Container[str]) -> Iterator[Region]:
        """Yield the activations that differ on values as large as these inputs make them: only one of two clips them.

        Args:
            before: The first model.
            feeds: Far larger inputs than usual, for the first model and for the second.
            sound: The layers that are equal on usual inputs; others may be no counterparts at all.

        Raises:
            RuntimeCheckError: One of the models does not run so.
        """
        import numpy as np

        equal = [pair for pair in self.pairs if pair.left.name in sound]
        # What a layer that differs makes is not replaced, so that what it feeds would differ with it.
        handed_on = {pair.ahead.output.name for pair in self.pairs if pair.left.name not in sound}
        pairs = [
            pair
            for pair in equal
            if isinstance(pair.left, Activation) and pair.left.axis is None and pair.left.input.name not in handed_on
        ]
        if not pairs:
            return
        mine = before.run(feeds[0], {pair.ahead.name for pair in equal}).single()
        given = {
            pair.behind.name: self._orders[pair.behind.name].forth(mine[pair.ahead.name], self._given[pair.behind.name])
            for pair in equal
            if pair.ahead.name in mine
        }
        made = self._after.run(feeds[1], {pair.behind.name for pair in pairs}, given).single()
        for pair in pairs:
            name = pair.behind.name
            if name in made and pair.ahead.name in mine and np.isfinite(expected := mine[pair.ahead.name]).all():
                apart = error(expected, self._orders[name].back(made[name], expected))
                if apart.relative > cap(expected.dtype.name):
                    yield Region(pair.left.name, apart, apart.relative / cap(expected.dtype.name))

    def _round(self, feeds: Feeds, joined: set[str]) -> Iterator[Region]:
        given = {name: value for name, value in self._given.items() if name not in joined}
        watched = [pair for pair in self.pairs if pair.behind.name in given]
        names = {pair.behind.name for pair in watched}
        made = self._after.run(feeds, names, given)
        moved = self._after.run(perturbed(feeds, 0), names, perturbed(given, 1))
        once, again = made.single(), moved.single()
        for pair in watched:
            name = pair.behind.name
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

    def _region(self, pair: LayerPair, mine: Array, value: Array, response: Array) -> Region:
        found = self._sums.get(pair.left.name)
        if found is not None and value.shape == mine.shape and (share := found.share(mine, value)) is not None:
            return Region(pair.left.name, error(mine, value), share)
        sources, made = pair.left.input.sample_elements or 1, pair.left.output.sample_elements or 1
        terms = max(sources / made, 1)
        if isinstance(pair.left, GlobalPool):
            # Nothing cancels in the mean of a constant map, and Keras sums it one element after the other.
            apart, allowed = error(mine, value), (OVERHEAD + terms) * unit(mine.dtype.name)
            return Region(pair.left.name, apart, apart.relative / allowed)
        return _measured(pair.left.name, mine, value, response, terms=terms)


class Sum(Struct, frozen=True, eq=False):
    """A layer of the first model that is a sum of products, and what it was given.

    Attributes:
        forms: Its weights; in both ways where the file does not say how they lie.
        given: Its input with the channels first; in both orders where the shape does not say which it is.
    """

    forms: tuple[WeightedSum, ...]
    given: tuple[Array, ...]

    def share(self, mine: Array, value: Array) -> float | None:
        """Return the error of the worst sampled element as a share of its bound.

        Args:
            mine: What the first model makes of `given`, in its own order of axes.
            value: What the second one makes of the same, in the same order.

        Returns:
            None where the first model does not keep to the sum itself, so that it is not understood.
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
        pairs: Its layers, with the norms that are taken together with them.
        run: A run of it in which what feeds them was watched.
        feeds: What it was fed.
    """
    graph, known = before.graph, run.single()
    keras = graph.source.format in ("keras", "h5")
    found = dict[str, Sum]()
    for pair in pairs:
        layer = pair.left
        source = graph.producer(layer.input) if layer.inputs else None
        value = feeds.get(layer.input.name) if source is None else known.get(source.name)
        if value is None or value.dtype.kind != "f":
            continue
        try:
            forms = weighted_sum(layer, pair.norms, keras=keras)
        except CnnlintError:  # weights that cannot be read: what follows from runs is all there is
            continue
        if forms:
            found[layer.name] = Sum(forms, tuple(channels_first(value, layer.input.shape)))
    return found


def _orders(values: Mapping[str, tuple[Array, Array]]) -> dict[str, Order]:
    """Return how each first value becomes the second: nearest to it, or as most do where neither is near.

    None for values that have no common shape.
    """
    found = dict[str, list[tuple[float, Order]]]()
    for name, (mine, other) in values.items():
        axes = tuple(range(mine.ndim))
        choices = {axes, (0, *axes[-1:], *axes[1:-1]), (0, *axes[2:], 1)} if mine.ndim > 2 else {axes}
        fitting = [
            Order(order) for order in sorted(choices) if _plain(mine.transpose(order).shape) == _plain(other.shape)
        ]
        # where one order fits alone, there is nothing to choose by how near it comes
        errors = [error(order.forth(mine, other), other).relative for order in fitting] if fitting[1:] else [0.0]
        if fitting:
            found[name] = sorted(zip(errors, fitting, strict=True), key=lambda entry: entry[0])
    votes = Counter(choices[0][1] for choices in found.values() if len(choices) == 1 or choices[0][0] < NEAR)
    chosen = dict[str, Order]()
    for name, choices in found.items():
        usual = max((order for _, order in choices), key=lambda order: votes[order])
        chosen[name] = choices[0][1] if choices[0][0] < NEAR else usual
    return chosen


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:1] + tuple(extent for extent in shape[1:] if extent != 1)


def _measured(
    name: str, mine: Array, value: Array, response: Array, *, terms: float, is_output: bool = False
) -> Region:
    """Return a region whose bound follows from how far a perturbation of what it is given moves what it makes."""
    apart, moved = error(mine, value), error(value, response)
    return Region(name, apart, apart.relative / bound(moved.relative, mine.dtype.name, terms), is_output)


def bound(response: float, dtype: str, terms: float) -> float:
    """Return the relative error that rounding may come to in a part of a network; never more than the cap.

    Args:
        response: How far a perturbation by one rounding of what it is given moves what it makes, relatively.
        dtype: What it computes in.
        terms: Elements that it is given for one that it makes: how long its sums are, at least.
    """
    step = unit(dtype)
    rounding = max(response, step) if isfinite(response) else step
    return min(RATIO * rounding + SAFETY * sqrt(terms) * step, cap(dtype))

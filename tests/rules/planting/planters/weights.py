"""Faults of the values of weights (WT)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from drafts import Draft, Place
from rules.planting import Planted, plants


def kernels(net: Draft, *kinds: str, filters: int = 2) -> list[Place]:
    """Return layers with a kernel and at least so many filters."""
    places = net.places(*(kinds or ("CONV", "DWCONV", "FC")))
    return [place for place in places if place.made[0] >= filters]


def edited(net: Draft, place: Place, edit: Callable[[np.ndarray], None], *roles: str) -> None:
    """Have `edit` change a copy of the weights of `roles`; the first axis of a kernel runs over the filters."""

    def change(values: np.ndarray) -> np.ndarray:
        made = values.copy()
        edit(made)
        return made

    for role in roles or ("kernel",):
        net.weights[place.item.name, role] = change


@plants("WT001")
def a_weight_that_is_not_finite(net: Draft, chance: Random) -> Planted:
    place, value, seed = (
        chance.choice(kernels(net, filters=1)),
        chance.choice((np.nan, np.inf, -np.inf)),
        chance.random(),
    )

    def edit(kernel: np.ndarray) -> None:
        kernel[np.unravel_index(int(seed * kernel.size), kernel.shape)] = value

    edited(net, place, edit)
    return Planted(place.item.name)


@plants("WT001", kinds=("normalized",))
def a_statistic_that_is_not_a_number(net: Draft, chance: Random) -> Planted:
    place = chance.choice(net.places("BN"))
    channel = chance.randrange(place.made[0])

    def edit(values: np.ndarray) -> None:
        values[channel] = np.nan

    edited(net, place, edit, chance.choice(("gamma", "beta", "mean", "variance")))
    return Planted(place.item.name)


@plants("WT002")
def filters_of_zeros(net: Draft, chance: Random) -> Planted:
    place = chance.choice(kernels(net))
    dead = chance.sample(range(place.made[0]), chance.randint(1, place.made[0] - 1))

    def edit(kernel: np.ndarray) -> None:
        kernel[dead] = 0

    edited(net, place, edit)
    return Planted(place.item.name)


@plants("WT002")
def filters_that_decay_has_shrunk(net: Draft, chance: Random) -> Planted | None:
    # a normalization after it would enlarge them again
    places = [place for place in kernels(net) if place.after is None or place.after.kind not in ("BN", "GN", "LN")]
    if not places:
        return None
    place = chance.choice(places)
    dead = chance.sample(range(place.made[0]), chance.randint(1, place.made[0] - 1))

    def edit(kernel: np.ndarray) -> None:
        kernel[dead] *= 1e-12

    edited(net, place, edit)
    return Planted(place.item.name)


@plants("WT002", kinds=("normalized", "residual", "separable"))
def channels_that_a_relu_lets_nothing_through_of(net: Draft, chance: Random) -> Planted | None:
    places = [
        place
        for place in net.places("BN")
        if place.after is not None and place.after.kind == "RELU" and place.before is not None
    ]
    places = [place for place in places if place.before is not None and place.before.kind in ("CONV", "DWCONV")]
    if not places:
        return None
    place = chance.choice(places)
    channel = chance.randrange(place.made[0])

    def shrink(gamma: np.ndarray) -> None:
        gamma[channel] = 1e-3

    def lower(beta: np.ndarray) -> None:
        beta[channel] = -0.5

    edited(net, place, shrink, "gamma")
    edited(net, place, lower, "beta")
    assert place.before is not None
    return Planted(place.before.name)


@plants("WT003")
def filters_that_repeat_another(net: Draft, chance: Random) -> Planted:
    place = chance.choice(kernels(net, "CONV", "FC"))
    first, *others = chance.sample(range(place.made[0]), chance.randint(2, min(place.made[0], 5)))

    def edit(values: np.ndarray) -> None:
        values[others] = values[first]

    edited(net, place, edit, "kernel", "bias")
    return Planted(place.item.name)


@plants("WT004")
def a_variance_that_no_channel_has(net: Draft, chance: Random) -> Planted | None:
    if not (places := net.places("BN")):
        return None
    place, value = chance.choice(places), chance.choice((0.0, 1e-40, -1e-4, -2.0))
    channel = chance.randrange(place.made[0])

    def edit(variance: np.ndarray) -> None:
        variance[channel] = value

    edited(net, place, edit, "variance")
    return Planted(place.item.name)


@plants("WT005")
def a_weight_that_half_precision_makes_infinite(net: Draft, chance: Random) -> Planted:
    place, value, seed = chance.choice(kernels(net, filters=1)), chance.choice((65_536.0, -1e9)), chance.random()

    def edit(kernel: np.ndarray) -> None:
        kernel[np.unravel_index(int(seed * kernel.size), kernel.shape)] = value

    edited(net, place, edit)
    return Planted(place.item.name)


@plants("WT005")
def a_kernel_that_half_precision_makes_zero(net: Draft, chance: Random) -> Planted:
    place = chance.choice(kernels(net))

    def edit(kernel: np.ndarray) -> None:
        kernel *= 1e-12

    edited(net, place, edit)
    return Planted(place.item.name)


@plants("WT006")
def a_filter_a_thousand_times_as_large_as_the_others(net: Draft, chance: Random) -> Planted | None:
    if not (places := kernels(net, filters=8)):
        return None
    place = chance.choice(places)
    channel = chance.randrange(place.made[0])

    def edit(kernel: np.ndarray) -> None:
        kernel[channel] *= 1000

    edited(net, place, edit)
    return Planted(place.item.name)


@plants("WT007")
def a_kernel_of_one_value(net: Draft, chance: Random) -> Planted:
    place, value = chance.choice(kernels(net, "CONV", "FC")), chance.choice((0.0, 0.01, 1.0))

    def edit(kernel: np.ndarray) -> None:
        kernel[...] = value

    edited(net, place, edit)
    return Planted(place.item.name)


@plants("WT008")
def two_kernels_of_one_seed(net: Draft, chance: Random) -> Planted | None:
    alike = dict[tuple[object, ...], list[Place]]()
    for place in net.places("CONV"):
        key = place.given[0], *place.step.numbers, place.step.options.get("groups")
        alike.setdefault(key, []).append(place)
    pairs = [places for places in alike.values() if len(places) > 1 and places[0].made[0] * places[0].given[0] >= 16]
    if not pairs:
        return None
    first, other = chance.sample(chance.choice(pairs), 2)
    seed = chance.randrange(1000)

    def edit(kernel: np.ndarray) -> None:
        kernel[...] = np.random.default_rng(seed).normal(0, 0.1, kernel.shape)

    edited(net, first, edit)
    edited(net, other, edit)
    return Planted(other.item.name)

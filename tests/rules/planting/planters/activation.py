"""Faults of hidden activations (AC)."""

from __future__ import annotations

from random import Random

from drafts import ACTIVATIONS, Draft, Place, Step
from rules.planting import Planted, plants


def between_kernels(net: Draft) -> list[Place]:
    """Return where activations stand right after a kernel or a normalization, with a kernel on the way after them."""
    hidden = [place for place in net.main(*ACTIVATIONS) if any(step.kind in ("CONV", "FC") for step in place.rest)]
    return [place for place in hidden if place.before is not None and place.before.kind in ("CONV", "BN", "FC")]


def _replaced(net: Draft, chance: Random, kind: str, *, among: list[Place]) -> Planted | None:
    if not among:
        return None
    step = chance.choice(among).step
    step.kind, step.numbers = kind, []
    return Planted(step.name)


@plants("AC001", kinds=("plain", "normalized"))
def a_hidden_sigmoid(net: Draft, chance: Random) -> Planted | None:
    return _replaced(net, chance, chance.choice(("SIGMOID", "HSIGMOID", "TANH")), among=between_kernels(net))


@plants("AC002", heads=("softmax", "one_hot", "binary", "labels"))
def an_output_that_passes_through_its_function_twice(net: Draft, chance: Random) -> Planted | None:
    last = net.main()[-1]
    (again,) = net.insert_after(last, last.item.kind)
    return Planted(again.name)


@plants("AC003", kinds=("plain", "normalized"), heads=("softmax", "one_hot", "logits", "labels"))
def a_hidden_softmax(net: Draft, chance: Random) -> Planted | None:
    return _replaced(net, chance, "SOFTMAX", among=between_kernels(net))


@plants("AC005", kinds=("plain", "normalized"))
def no_activation_ahead_of_a_pooling(net: Draft, chance: Random) -> Planted | None:
    kinds = ("POOL", "AVGPOOL", "GAP")
    places = [
        place for place in net.main(*kinds) if isinstance(place.before, Step) and place.before.kind in ACTIVATIONS
    ]
    if not places:
        return None
    place = chance.choice(places)
    kernel = next(item for item in reversed(place.row[: place.index]) if item.kind == "CONV")
    del place.row[place.index - 1]
    return Planted(kernel.name)


@plants("AC005")
def no_activation_ahead_of_a_flattened_map(net: Draft, chance: Random) -> Planted | None:
    place = net.main("GAP")[0]
    place.row[place.index :] = [*net.steps("CONV 24 3x3 -> DROPOUT 0.2 -> FLATTEN"), *place.rest]
    return Planted(next(item for item in reversed(net.body) if item.kind == "CONV").name)


@plants("AC004", kinds=("plain", "normalized"))
def two_functions_in_a_row(net: Draft, chance: Random) -> Planted | None:
    places = between_kernels(net)
    if not places:
        return None
    (second,) = net.insert_after(chance.choice(places), chance.choice(("TANH", "SIGMOID", "GELU")))
    return Planted(second.name)


@plants("AC002", kinds=("plain", "normalized"))
def a_slope_that_no_value_reaches(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in between_kernels(net) if place.item.kind == "RELU"]
    if not places:
        return None
    (second,) = net.insert_after(chance.choice(places), chance.choice(("LEAKYRELU 0.1", "RELU")))
    return Planted(second.name)

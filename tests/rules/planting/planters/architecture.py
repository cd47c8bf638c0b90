"""Faults of the structure, and design smells (AR)."""

from __future__ import annotations

from random import Random

from drafts import Draft, Place
from rules.planting import Planted, plants
from rules.planting.clean import hidden_kernel

PLAIN = ("plain", "normalized")


def hidden(net: Draft) -> list[Place]:
    """Return the convolutions of more than one tap."""
    return [place for place in net.main("CONV") if hidden_kernel(place.step)]


@plants("AR002", kinds=("plain",))
def no_pooling_at_all(net: Draft, chance: Random) -> Planted | None:
    if net.shape[1] < 28 or len(hidden(net)) < 2:
        return None
    net.body[:] = [item for item in net.body if item.kind != "POOL"]
    return Planted(hidden(net)[-1].item.name)


@plants("AR003", kinds=PLAIN)
def a_larger_kernel_ahead(net: Draft, chance: Random) -> Planted | None:
    places = hidden(net)
    if len(places) < 2:
        return None
    number = chance.randrange(len(places) - 1)
    places[number].step.numbers[1] = "5x5"
    return Planted(places[number + 1].item.name)


@plants("AR004", kinds=PLAIN)
def fewer_filters_than_ahead(net: Draft, chance: Random) -> Planted | None:
    places = hidden(net)
    if len(places) < 2:
        return None
    number = chance.randrange(1, len(places))
    places[number].step.filters = places[number - 1].step.filters // 2
    return Planted(places[number].item.name)


@plants("AR005", kinds=PLAIN, min_layers=2)
def another_kernel_in_a_block(net: Draft, chance: Random) -> Planted | None:
    place = chance.choice(hidden(net))
    has_norm = place.after is not None and place.after.kind == "BN"
    after = net.main()[net.body.index(place.item) + (2 if has_norm else 1)]
    made = net.insert_after(after, "CONV 5x5 -> RELU")
    return Planted(made[0].name)


@plants("AR006", kinds=("plain",), min_layers=10)
def a_pooling_after_each_convolution(net: Draft, chance: Random) -> Planted | None:
    stages = chance.choice((5, 6))
    first = net.main("GAP")[0]
    made = net.steps(" -> ".join(["CONV 16 3x3 -> RELU -> POOL 2"] * stages))
    net.shape = (net.shape[0], 2**stages * 2, 2**stages * 2)
    net.body[: first.index] = made
    return Planted(chance.choice([step.name for step in made if step.kind == "POOL"][:-1]))


@plants("AR007", kinds=("plain",), min_layers=2)
def averages_in_place_of_maxima(net: Draft, chance: Random) -> Planted:
    pools = net.main("POOL")
    for place in pools:
        place.step.kind = "AVGPOOL"
    return Planted(chance.choice(pools).item.name)


@plants("AR008")
def a_hidden_layer_wider_than_the_one_ahead(net: Draft, chance: Random) -> Planted:
    place = net.main("GAP")[0]
    units = chance.choice((32, 64))
    made = net.insert_after(place, f"FC {units} -> RELU -> FC {units * chance.choice((2, 4))} -> RELU")
    return Planted(made[2].name)


@plants("AR009", kinds=("plain",))
def one_convolution(net: Draft, chance: Random) -> Planted | None:
    places = hidden(net)
    if len(places) < 3:
        return None
    kept = places[0].item
    first = net.main("GAP")[0]
    net.body[: first.index] = [kept, *net.steps("RELU -> POOL 2")]
    return Planted(kept.name)

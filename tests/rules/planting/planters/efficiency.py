"""Faults of efficiency (EF), which are matters of opinion."""

from __future__ import annotations

from random import Random

from drafts import Draft
from rules.planting import Planted, plants


@plants("EF001", kinds=("plain", "normalized"), align=4)
def a_width_that_is_no_multiple(net: Draft, chance: Random) -> Planted:
    place = chance.choice(net.main("CONV"))
    place.step.filters += chance.randint(1, 3)
    return Planted(place.item.name)


@plants("EF002", kinds=("plain",), min_channels=512)
def a_wide_convolution_that_is_not_separated(net: Draft, chance: Random) -> Planted:
    place = chance.choice(net.main("CONV"))
    *_, conv = net.insert_after(place, "RELU -> CONV 512 1x1 -> RELU -> CONV 512 3x3")
    return Planted(conv.name)


@plants("EF003", kinds=("plain",))
def a_pointwise_convolution_to_many_more_channels(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.main("CONV") if place.made[1] > 1]
    if not places:
        return None
    place = chance.choice(places)
    filters = chance.choice((5, 8)) * place.step.filters
    *_, conv = net.insert_after(place, f"RELU -> CONV {filters} 1x1 -> RELU -> CONV {place.step.filters} 3x3")[:2]
    return Planted(conv.name)


@plants("EF004", kinds=("plain", "normalized", "residual"))
def a_convolution_in_many_groups(net: Draft, chance: Random) -> Planted | None:
    places = [
        place
        for place in net.places("CONV")
        if place.given[0] >= 16 and place.given[0] % 8 == 0 and place.step.filters % 8 == 0
    ]
    if not places:
        return None
    place = chance.choice(places)
    place.step.options["groups"] = "8"
    return Planted(place.item.name)


@plants("EF005")
def a_block_of_many_branches(net: Draft, chance: Random) -> Planted:
    place = chance.choice(net.main("CONV"))
    branches = " | ".join(f"CONV 8 {chance.choice((1, 3))}x3" for _ in range(chance.randint(5, 7)))
    _, join = net.insert_after(place, f"RELU -> CAT[{branches}]")
    return Planted(join.name)


@plants("EF006", kinds=("plain",), max_share=0.5)
def shortcuts_around_every_layer(net: Draft, chance: Random) -> Planted:
    place = net.main("CONV")[0]
    net.insert_after(place, f"RELU -> [RES[CONV {place.step.filters} 1x1 nobias] -> RELU]*{chance.randint(10, 14)}")
    return Planted()

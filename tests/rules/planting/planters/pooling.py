"""Faults of poolings and windows (PL)."""

from __future__ import annotations

from random import Random

from drafts import Draft
from rules.planting import Planted, plants


@plants("PL001", kinds=("plain", "normalized", "branches"))
def a_pooling_that_leaves_out_the_border(net: Draft, chance: Random) -> Planted | None:
    place = chance.choice(net.main("POOL", "AVGPOOL"))
    # one element less on each axis than before: an odd number, of which a window of 2 leaves out the last
    if place.given[1] % 2 or place.given[1] > 16:
        return None
    conv = next(step for step in reversed(place.row[: place.index]) if step.kind == "CONV")
    side = conv.size(2)[0]
    if side != 3:
        return None
    conv.numbers[1] = "2x2"
    conv.options["valid"] = ""
    return Planted(place.item.name)


@plants("PL002", kinds=("plain", "normalized", "branches"))
def a_window_larger_than_its_map(net: Draft, chance: Random) -> Planted | None:
    place = net.main("CONV")[-1]
    side = place.given[1] + chance.randint(1, 3)
    place.step.numbers[1] = f"{side}x{side}"
    return Planted(place.item.name)


@plants("PL003", kinds=("plain", "normalized", "branches"))
def a_pooling_of_a_large_window(net: Draft, chance: Random) -> Planted | None:
    side = chance.choice((4, 5))
    pools = net.main("POOL")
    places = [
        place
        for number, place in enumerate(pools)
        # what is left of the map must be enough for the windows after it
        if place.given[1] >= 2 * side and all(later.given[1] >= side for later in pools[number + 1 :])
    ]
    if not places:
        return None
    place = chance.choice(places)
    place.step.numbers[:] = [str(side)]
    return Planted(place.item.name)

"""Faults of convolutions (CV)."""

from __future__ import annotations

from random import Random

from drafts import Draft
from rules.planting import Planted, plants
from rules.planting.clean import hidden_kernel


@plants("CV001", kinds=("plain", "normalized", "branches"))
def a_large_kernel(net: Draft, chance: Random) -> Planted | None:
    side = chance.choice((9, 11))
    inner = [place for place in net.main("CONV")[1:] if hidden_kernel(place.step) and place.given[1] >= side]
    if not inner:
        return None
    step = chance.choice(inner).step
    step.numbers[1] = f"{side}x{side}"
    return Planted(step.name)


@plants("CV002", kinds=("plain", "normalized"))
def two_convolutions_without_an_activation_between(net: Draft, chance: Random) -> Planted | None:
    place = chance.choice(net.main("CONV"))
    has_norm = place.after is not None and place.after.kind == "BN"
    made = net.insert_after(place, "BN -> CONV 3x3 nobias" if has_norm else "CONV 3x3")
    return Planted(made[-1].name)


@plants("CV003")
def many_channels_and_no_bottleneck(net: Draft, chance: Random) -> Planted | None:
    place = net.main("GAP")[0]
    if place.given[1] < 4:  # there a kernel of 3 × 3 would be a dense layer by another name
        return None
    wide = chance.choice((512, 768))
    place.row[place.index : place.index] = made = net.steps(f"CONV {wide} 1x1 -> RELU -> CONV {wide} 3x3 -> RELU")
    return Planted(made[2].name)

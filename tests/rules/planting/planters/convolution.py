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


@plants("CV004", kinds=("plain", "normalized", "branches"))
def an_even_kernel(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.main("CONV") if hidden_kernel(place.step) and place.given[1] >= 4]
    if not places:
        return None
    place = chance.choice(places)
    side = chance.choice((2, 4))
    place.step.numbers[1] = f"{side}x{side}"
    return Planted(place.item.name)


@plants("CV005", kinds=("plain", "normalized", "branches"))
def a_stride_larger_than_its_kernel(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.main("POOL", "AVGPOOL") if place.given[1] % 2 == 0]
    if not places:
        return None
    place = chance.choice(places)
    made = net.steps(f"CONV {place.given[0]} 1x1 stride 2 -> RELU")
    place.row[place.index : place.index + 1] = made
    return Planted(made[0].name)


@plants("CV006")
def a_checkerboard(net: Draft, chance: Random) -> Planted:
    place = net.main("GAP")[0]
    side = chance.choice((3, 5))
    made = net.steps(f"DECONV 16 {side}x{side} stride 2 -> RELU -> CONV 16 3x3 -> RELU")
    place.row[place.index : place.index] = made
    return Planted(made[0].name)


@plants("CV007", kinds=("plain", "normalized"))
def dilated_convolutions_that_leave_a_grid(net: Draft, chance: Random) -> Planted:
    place = net.main("GAP")[0]
    rates = chance.choice(((2, 2), (2, 2, 2), (2, 4), (3, 3)))
    made = net.steps("POOL 2 -> " + " -> ".join(f"CONV 16 3x3 dilation {rate} -> RELU" for rate in rates))
    place.row[place.index : place.index] = made
    net.shape = (net.shape[0], *(4 * extent for extent in net.shape[1:]))
    return Planted(made[-2].name)


@plants("CV008", kinds=("plain", "normalized", "branches"))
def more_padding_than_a_kernel_can_use(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.main("CONV") if hidden_kernel(place.step)]
    place = chance.choice(places)
    place.step.options = {**place.step.options, "pad": str(chance.choice((2, 3)))}
    return Planted(place.item.name)

"""Images that do not fit the network (RF)."""

from __future__ import annotations

from random import Random

from drafts import Draft, Item
from rules.planting import Planted, plants


def beyond(net: Draft, further: int) -> list[Item] | None:
    """Insert convolutions ahead of the pooling until one sees beyond the image, and `further` ones; return them.

    None if one sees the image to the pixel: then nobody begins to see beyond it.
    """
    place = net.main("GAP")[0]
    if place.given[1] < 4:
        return None
    field, jump = 1, 1
    for each in net.main("CONV", "POOL", "AVGPOOL"):
        field += (each.step.size(2)[0] - 1) * jump
        jump *= 1 if each.step.kind == "CONV" else 2
    missing = net.shape[1] - field
    if missing < 0 or missing % (2 * jump) == 0:
        return None
    made = net.steps(" -> ".join(["CONV 3x3 -> RELU"] * (missing // (2 * jump) + 1 + further)))
    place.row[place.index : place.index] = made
    net.places()
    return made


@plants("RF001", kinds=("plain", "normalized"))
def convolutions_beyond_the_image(net: Draft, chance: Random) -> Planted | None:
    made = beyond(net, chance.choice((1, 2, 3)))
    return None if made is None else Planted(made[-2].name)


@plants("RF002", kinds=("plain", "normalized"))
def a_convolution_at_the_border(net: Draft, chance: Random) -> Planted | None:
    made = beyond(net, 0)
    return None if made is None else Planted(made[-2].name)


@plants("RF003", kinds=("plain", "normalized"))
def an_image_much_larger_than_the_field(net: Draft, chance: Random) -> Planted:
    times = chance.choice((4, 5, 8))
    net.shape = (net.shape[0], *(extent * times for extent in net.shape[1:]))
    return Planted(net.main("GAP")[0].item.name)

"""Faults of shapes (SH)."""

from __future__ import annotations

from random import Random

from drafts import Draft
from rules.planting import Planted, plants

CLASSIFIERS = ("softmax", "one_hot", "binary", "labels")


@plants("SH001", heads=CLASSIFIERS)
def a_dense_layer_on_a_map(net: Draft, chance: Random) -> Planted | None:
    place = net.main("GAP")[0]
    if net.shape[1:] == place.given[1:]:
        return None
    first = next(step for step in place.rest if step.kind == "FC")
    del place.row[place.index]
    return Planted(first.name, onnx=False)  # the notation flattens a map ahead of a dense layer


@plants("SH002", kinds=("plain", "normalized", "branches"))
def channels_where_rows_are_expected(net: Draft, chance: Random) -> Planted | None:
    channels, rows, columns = net.shape
    stride = rows // net.main("GAP")[0].given[1]
    if stride > 1:
        for place in net.main("POOL", "AVGPOOL"):
            place.step.numbers[:] = ["1"]
    net.shape = chance.choice(((columns, channels, rows), (rows, columns, channels)))
    return Planted(net.main("CONV")[0].item.name)


@plants("SH003", kinds=("plain", "normalized", "branches"))
def patches_that_leave_out_the_end(net: Draft, chance: Random) -> Planted | None:
    side = chance.choice((3, 4))
    net.shape = (net.shape[0], *(extent * side + side - 1 for extent in net.shape[1:]))
    net.body[:0] = made = net.steps(f"CONV 16 {side}x{side} stride {side} valid -> RELU")
    lost = (side - 1) / net.shape[1]
    return Planted(made[0].name) if lost > 0.02 else None

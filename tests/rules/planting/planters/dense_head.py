"""Faults of dense heads (FC)."""

from __future__ import annotations

from random import Random

from drafts import Draft
from rules.planting import Planted, plants


@plants("FC001", heads=("softmax", "one_hot", "logits", "binary", "labels"))
def a_wide_dense_layer_on_a_flattened_map(net: Draft, chance: Random) -> Planted | None:
    place = net.main("GAP")[0]
    place.step.kind = "FLATTEN"
    _, dense, _ = [place.item, *net.insert_after(place, f"FC {chance.choice((512, 1024))} -> RELU")]
    return Planted(dense.name)


@plants("FC002")
def a_flattened_map(net: Draft, chance: Random) -> Planted | None:
    place = net.main("GAP")[0]
    place.step.kind = "FLATTEN"
    return Planted(net.main("FC")[0].item.name)


@plants("FC003")
def two_dense_layers_without_an_activation_between(net: Draft, chance: Random) -> Planted | None:
    last = net.main("FC")[-1]
    dropout = " -> DROPOUT 0.3" if chance.random() < 0.5 else ""
    last.row[last.index : last.index] = net.steps(f"FC {chance.choice((64, 128, 256))}{dropout}")
    return Planted(last.item.name)


@plants("FC005")
def many_hidden_dense_layers(net: Draft, chance: Random) -> Planted | None:
    last = net.main("FC")[-1]
    hidden = net.steps(f"[FC {chance.choice((64, 128))} -> RELU]*{chance.randint(3, 5)}")
    last.row[last.index : last.index] = hidden
    return Planted(hidden[0].name)

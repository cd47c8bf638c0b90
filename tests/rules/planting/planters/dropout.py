"""Faults of dropout (DO)."""

from __future__ import annotations

from random import Random

from drafts import ACTIVATIONS, Draft
from rules.planting import Planted, plants
from rules.planting.planters.head import scorer


@plants("DO001", kinds=("normalized",))
def a_dropout_ahead_of_a_normalization(net: Draft, chance: Random) -> Planted:
    place = chance.choice([place for place in net.main("BN") if place.before is not None])
    (before,) = (each for each in net.main() if each.item is place.before)
    steps = chance.choice(("DROPOUT 0.3", "DROPOUT 0.5", "DROPOUT 0.5 -> RELU"))
    dropout, *_ = net.insert_after(before, steps)
    return Planted(dropout.name)


@plants("DO002", kinds=("plain", "normalized"))
def a_dropout_ahead_of_a_maximum(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.main(*ACTIVATIONS) if place.after is not None and place.after.kind == "POOL"]
    if not places:
        return None
    (dropout,) = net.insert_after(chance.choice(places), f"DROPOUT {chance.choice((0.25, 0.5))}")
    return Planted(dropout.name)


@plants("DO003")
def a_share_to_keep_given_for_one_to_drop(net: Draft, chance: Random) -> Planted | None:
    places = net.main("DROPOUT")
    if not places:
        return None
    places[0].step.numbers = [str(chance.choice((0.6, 0.8, 0.9, 0.95)))]
    return Planted(places[0].item.name)


@plants("DO004", heads=("softmax", "one_hot", "binary", "labels"))
def a_dropout_of_the_answers(net: Draft, chance: Random) -> Planted:
    place = chance.choice([place for place in net.main() if place.item is scorer(net) or place.item is net.body[-1]])
    (dropout,) = net.insert_after(place, "DROPOUT 0.5")
    return Planted(dropout.name)

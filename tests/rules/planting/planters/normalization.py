"""Faults of normalization (BN)."""

from __future__ import annotations

from random import Random

from drafts import Draft, Step
from rules.planting import Planted, plants


@plants("BN001", kinds=("normalized",))
def a_normalization_after_the_activation(net: Draft, chance: Random) -> Planted | None:
    # ahead of a padded convolution, into which the normalization cannot be folded
    places = [place for place in net.main("BN") if any(step.kind == "CONV" for step in place.rest)]
    if not places:
        return None
    place = chance.choice(places)
    row, index = place.row, place.index
    if row[index + 2].kind != "CONV":
        return None
    row[index], row[index + 1] = row[index + 1], row[index]
    return Planted(place.item.name)


@plants("BN002")
def a_bias_ahead_of_a_normalization(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.places("CONV", "DWCONV") if place.after is not None and place.after.kind == "BN"]
    if not places:
        return None
    place = chance.choice(places)
    del place.step.options["nobias"]
    return Planted(place.item.name)


@plants("BN003")
def a_normalization_left_in_training_mode(net: Draft, chance: Random) -> Planted | None:
    if not (places := net.places("BN")):
        return None
    place = chance.choice(places)
    place.step.options["training"] = ""
    return Planted(place.item.name, keras=False)  # there it is the caller who says so


@plants("BN004", kinds=("plain",))
def many_layers_and_no_normalization(net: Draft, chance: Random) -> Planted | None:
    place = chance.choice(net.main("CONV"))
    net.insert_after(place, f"[RELU -> CONV {place.step.filters} 3x3]*{chance.randint(12, 16)}")
    return Planted(onnx=False)  # there it may have been folded away


@plants("BN005", kinds=("plain",))
def a_normalization_that_is_left_for_inference(net: Draft, chance: Random) -> Planted | None:
    place = chance.choice(net.main("CONV"))
    (norm,) = net.insert_after(place, "BN")
    return Planted(norm.name, keras=False)  # a Keras file can go on training


@plants("BN006")
def a_normalization_of_rows(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.places("BN") if len(place.made) == 3 and place.made[0] != place.made[1]]
    if not places:
        return None
    step = chance.choice(places).item
    assert isinstance(step, Step)
    step.keras["axis"] = 1
    return Planted(step.name, onnx=False)  # whose operator knows one axis only


@plants("BN007", heads=("softmax", "one_hot", "binary", "labels"))
def a_normalization_of_the_answers(net: Draft, chance: Random) -> Planted:
    last = [place for place in net.main() if place.item is net.main("FC")[-1].item or place.item is net.body[-1]]
    (norm,) = net.insert_after(chance.choice(last), "BN")
    return Planted(norm.name)


@plants("BN008")
def statistics_that_do_not_move(net: Draft, chance: Random) -> Planted | None:
    if not (places := net.places("BN")):
        return None
    step, momentum = chance.choice(places).step, chance.choice((0, 0.1, 1))
    step.options["momentum"] = str(momentum)
    step.keras["momentum"] = float(momentum)
    return Planted(step.name)

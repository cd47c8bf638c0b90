"""Work that changes nothing (WA)."""

from __future__ import annotations

from random import Random

import numpy as np
import onnx
from onnx import helper

from drafts import Draft, Step
from rules.planting import Planted, plants
from rules.planting.planters.export import TO_FIRST, TO_LAST, constant, node_of, on_a_map, splice


@plants("WA001", kinds=("residual", "separable"))
def a_rectifier_ahead_of_a_pooling(net: Draft, chance: Random) -> Planted | None:
    place = net.main("GAP")[0]
    if place.before is None or place.before.kind != "RELU" or place.given[1] < 4:
        return None
    place.row[place.index : place.index] = net.steps("POOL 2")
    return Planted(place.row[place.index - 1].name)


@plants("WA002")
def windows_of_one_element(net: Draft, chance: Random) -> Planted | None:
    place = on_a_map(net, chance)
    if place is None or net.places("DROPOUT"):
        return None
    (pool,) = net.insert_after(place, "AVGPOOL 1")
    return Planted(pool.name, keras=False)


@plants("WA003")
def a_convolution_done_twice(net: Draft, chance: Random) -> Planted | None:
    if (place := on_a_map(net, chance)) is None:
        return None
    (join,) = net.insert_after(place, "ADD[CONV 3x3 -> SIGMOID | CONV 3x3 -> TANH]")
    first, second = (branch[0].name for branch in join.branches)

    def share(model: onnx.ModelProto) -> None:
        node_of(model, second).input[1:] = node_of(model, first).input[1:]

    net.edits.append(share)
    return Planted(second, keras=False)


@plants("WA004")
def layers_that_nothing_reads(net: Draft, chance: Random) -> Planted | None:
    if (place := on_a_map(net, chance)) is None:
        return None

    def grow(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Sigmoid", [place.item.name], ["dead"], name="dead"))

    net.edits.append(grow)
    return Planted("dead", keras=False)


@plants("WA005")
def two_transposes_that_undo_each_other(net: Draft, chance: Random) -> Planted | None:
    if (place := on_a_map(net, chance)) is None:
        return None
    name = place.item.name

    def turn(model: onnx.ModelProto) -> None:
        splice(
            model,
            name,
            helper.make_node("Transpose", [name], ["there"], perm=TO_LAST),
            helper.make_node("Transpose", ["there"], ["back"], perm=TO_FIRST),
        )

    net.edits.append(turn)
    return Planted(keras=False)


@plants("WA006")
def branches_that_are_one_convolution(net: Draft, chance: Random) -> Planted | None:
    if (place := on_a_map(net, chance)) is None:
        return None
    join, _ = net.insert_after(place, "RES[CONV 3x3 nobias -> BN | CONV 1x1 nobias -> BN] -> RELU")
    return Planted(join.name, keras=False)


@plants("WA007")
def a_kernel_that_is_scaled_at_each_run(net: Draft, chance: Random) -> Planted:
    name = chance.choice(net.places("CONV")).item.name

    def scale(model: onnx.ModelProto) -> None:
        node = node_of(model, name)
        squared = helper.make_node("Mul", [node.input[1], node.input[1]], [f"{name}.squared"])
        root = helper.make_node("Sqrt", [f"{name}.squared"], [f"{name}.size"])
        made = helper.make_node("Mul", [node.input[1], f"{name}.size"], [f"{name}.scaled"])
        at = list(model.graph.node).index(node)
        for each in (made, root, squared):
            model.graph.node.insert(at, each)
        node.input[1] = f"{name}.scaled"

    net.edits.append(scale)
    return Planted(name, keras=False)


@plants("WA008", kinds=("plain",))
def a_factor_after_a_convolution(net: Draft, chance: Random) -> Planted:
    name = chance.choice(net.main("CONV")).item.name

    def scale(model: onnx.ModelProto) -> None:
        factor = constant(model, "factor", chance.choice((0.5, 2.0)), np.float32)
        splice(model, name, helper.make_node("Mul", [name, factor], ["scaled"], name="scaled"))

    net.edits.append(scale)
    return Planted("scaled", keras=False)


@plants("WA009")
def channels_multiplied_by_zero(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.places("CONV") if isinstance(place.after, Step) and place.after.kind == "BN"]
    if not places:
        return None
    place = chance.choice(places)
    assert place.after is not None
    channels = chance.sample(range(place.made[0]), chance.randint(1, place.made[0] - 1))

    def zeroed(values: np.ndarray) -> np.ndarray:
        made = values.copy()
        made[channels] = 0
        return made

    net.weights[place.after.name, "gamma"] = zeroed
    net.weights[place.after.name, "beta"] = np.ones_like  # which a ReLU lets through
    return Planted(place.item.name)

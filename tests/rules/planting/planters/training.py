"""Faults of the optimizer (TR) and of how weights begin (IN)."""

from __future__ import annotations

from random import Random

from drafts import Draft
from rules.planting import Planted, plants

ONES = {"class_name": "Ones", "config": {}}
TENTH = {"class_name": "Constant", "config": {"value": 0.1}}


@plants("TR001")
def a_learning_rate_that_learns_nothing(net: Draft, chance: Random) -> Planted:
    net.compiled.settings["learning_rate"] = chance.choice((0.0, -0.001, 1e-12))
    return Planted(onnx=False)


@plants("TR001")
def a_learning_rate_of_the_wrong_optimizer(net: Draft, chance: Random) -> Planted:
    net.compiled.optimizer = chance.choice(("Adam", "RMSprop", "Nadam"))
    net.compiled.settings = {"learning_rate": chance.choice((0.05, 0.1, 1.0))}
    return Planted(onnx=False)


@plants("IN001")
def a_kernel_that_begins_as_one_value(net: Draft, chance: Random) -> Planted:
    step = chance.choice(net.main("CONV") or net.places("CONV")).step
    step.keras["kernel_initializer"] = chance.choice((ONES, TENTH))
    return Planted(step.name, onnx=False)


@plants("IN001", kinds=("plain", "normalized"))
def a_kernel_that_never_learns(net: Draft, chance: Random) -> Planted | None:
    places = [place for place in net.main("CONV") if any(step.kind == "RELU" for step in place.rest[:2])]
    if not places:
        return None
    step = chance.choice(places).step
    step.keras["kernel_initializer"] = {"class_name": "Zeros", "config": {}}
    return Planted(step.name, onnx=False)


@plants("IN002")
def a_bias_that_begins_as_something_else(net: Draft, chance: Random) -> Planted:
    step = chance.choice([place.step for place in net.places("CONV", "FC") if "nobias" not in place.step.options])
    step.keras["bias_initializer"] = chance.choice((ONES, TENTH))
    return Planted(step.name, onnx=False)

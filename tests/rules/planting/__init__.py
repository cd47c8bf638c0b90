"""Faults planted in sound networks: a rule must find each at its place, and must be silent before it was planted.

A planter is a function that edits a draft (`drafts.Draft`) at a random place and says which layers must be named:

    @plants("BN002")
    def a_bias_ahead_of_a_normalization(net: Draft, chance: Random) -> Planted | None:
        places = [place for place in net.places("CONV") if place.after is not None and place.after.kind == "BN"]
        if not places:
            return None                                    # another network is drawn
        place = chance.choice(places)
        del place.step.options["nobias"]
        return Planted(place.step.name)

It stands in a module of `rules.planting.planters`, one for each family of rules, and is found there by itself. It may
edit the steps, their Keras arguments (`step.keras`), `net.compiled` (loss, optimizer, metrics), values of weights
(`net.weights`) and the nodes of the ONNX model (`net.edits`). What a format cannot show is said by `onnx=False` or
`keras=False`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from random import Random
from typing import Any

from drafts import Draft
from rules.planting import planters
from rules.planting.clean import network


@dataclass(frozen=True)
class Planted:
    """What a planter did.

    Attributes:
        at: A layer that the finding must name; "" if it is about the whole network.
        onnx: Whether an ONNX model shows the fault.
        keras: Whether a Keras archive does.
    """

    at: str = ""
    onnx: bool = True
    keras: bool = True


@dataclass(frozen=True)
class Planter:
    """A function that plants a fault.

    Attributes:
        code: The rule that must find it.
        plant: The function.
        kinds: The kinds of network that it is planted in; any if empty.
        heads: The endings of the network; any if empty.
        options: Of the rule, in Python's spelling.
    """

    code: str
    plant: Callable[[Draft, Random], Planted | None]
    kinds: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What is planted, for the name of a test."""
        return f"{self.code}-{self.plant.__name__}"

    def draw(self, seed: int) -> tuple[Draft, Draft, Planted]:
        """Return a sound network, the same with the fault, and what was planted."""
        chance = Random(seed)
        for _ in range(200):
            given = {"heads": self.heads} if self.heads else {}
            sound = network(chance, *self.kinds, **given)
            faulty = deepcopy(sound)
            if (planted := self.plant(faulty, chance)) is not None:
                return sound, faulty, planted
        raise AssertionError(f"{self.name} finds no place in 200 networks")


def plants(
    code: str, *, kinds: tuple[str, ...] = (), heads: tuple[str, ...] = (), **options: Any
) -> Callable[[Callable[[Draft, Random], Planted | None]], Planter]:
    """Return the decorator that makes a planter for the rule `code` of a function."""
    return lambda plant: Planter(code, plant, kinds, heads, options)


def load_planters() -> tuple[Planter, ...]:
    """Return all planters of the package `rules.planting.planters`."""
    modules = [import_module(f"{planters.__name__}.{found.name}") for found in pkgutil.iter_modules(planters.__path__)]
    return tuple(each for module in modules for each in vars(module).values() if isinstance(each, Planter))

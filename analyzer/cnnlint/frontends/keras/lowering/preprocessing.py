"""What prepares an input: scaling, and what turns values into categories."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.operators import add_declared, add_operator
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Rescale

KEEPS_SHAPE = frozenset({None, "int"})
"""Modes in which a category takes the place of each value."""


def _rescale(call: Call) -> View:
    view = call.view
    layer = Rescale(inputs=(view.tensor,), weights=call.weights("mean", "variance", "count"), **call.identity())
    return call.add(layer, like=view)


def _categories(call: Call) -> View:
    if call.config.get("output_mode") in KEEPS_SHAPE:
        return add_operator(call, call.view.tensor.shape, like=call.view, dtype="int64")
    return add_declared(call)[0]


LAYERS: dict[str, Callable[[Call], View]] = {
    "Rescaling": _rescale, "Normalization": _rescale, "Discretization": _categories, "Hashing": _categories,
    "IntegerLookup": _categories, "StringLookup": _categories,
}  # fmt: skip
"""Layers of one output."""

DECLARED = ("CategoryEncoding", "HashedCrossing", "TextVectorization", "MelSpectrogram", "STFTSpectrogram")
"""Layers whose output shape only the file says."""

"""What each Keras layer becomes in the graph: a module for each family, each with its `LAYERS`."""

from __future__ import annotations

from functools import cache

from cnnlint.frontends.keras.layers import (
    functions,
    pointwise,
    products,
    sequences,
    shaping,
    windows,
)
from cnnlint.frontends.keras.layers.call import Call, Handler, add_opaque
from cnnlint.frontends.raising.view import TensorView

FAMILIES = (functions, pointwise, products, sequences, shaping, windows)
"""Where classes of layers are looked up; each stands in one family."""


@cache
def handlers() -> dict[str, Handler]:
    """Return what adds each class of layer."""
    return {name: handler for family in FAMILIES for name, handler in family.LAYERS.items()}


def raise_call(call: Call) -> list[TensorView]:
    """Add what a call of a layer becomes, and return its outputs.

    Raises:
        ValueError, TypeError, KeyError: The layer's configuration lacks what the layer must have.
    """
    made = _handler(call)(call)
    return made if isinstance(made, list) else [made]


def _handler(call: Call) -> Handler:
    layer = call.layer
    if layer.is_operation:
        return functions.raise_function
    if layer.class_name == "Lambda":
        return _opaque("a Lambda layer, whose code is not run")
    if layer.is_custom:
        return _opaque(f"a layer of the user's own, from {layer.module}")
    found = handlers().get(layer.class_name) if call.views else None
    return found or _opaque("a layer that is not known")


def _opaque(reason: str) -> Handler:
    return lambda call: add_opaque(call, reason)

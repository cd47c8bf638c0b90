"""The conversion of each Keras layer to layers of the graph; each module has a family of layers in its `LAYERS`."""

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
from cnnlint.frontends.keras.layers.call import Handler, KerasCall, add_opaque
from cnnlint.frontends.raising.view import TensorView

FAMILIES = (functions, pointwise, products, sequences, shaping, windows)
"""Modules with handlers; each layer class is in one of them."""


@cache
def handlers() -> dict[str, Handler]:
    """Return the handlers by layer class."""
    return {name: handler for family in FAMILIES for name, handler in family.LAYERS.items()}


def raise_call(call: KerasCall) -> list[TensorView]:
    """Add the layers for a call of a Keras layer, and return its outputs.

    Raises:
        ValueError, TypeError, KeyError: The layer's configuration lacks what the layer must have.
    """
    made = _handler(call)(call)
    return made if isinstance(made, list) else [made]


def _handler(call: KerasCall) -> Handler:
    layer = call.layer
    if layer.is_operation:
        return functions.raise_function
    if layer.class_name == "Lambda":
        return _opaque("a Lambda layer, whose code is not run")
    if layer.is_custom:
        return _opaque(f"a custom layer, from {layer.module}")
    found = handlers().get(layer.class_name) if call.views else None
    return found or _opaque("an unknown layer")


def _opaque(reason: str) -> Handler:
    return lambda call: add_opaque(call, reason)

"""What each Keras layer becomes in the graph: one module per family."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cnnlint.frontends.keras.lowering import (
    activation,
    applications,
    attention,
    convolution,
    dense,
    functions,
    merge,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    regularization,
    shaping,
    tf_functions,
    time_distributed,
)
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.operators import add_declared, add_opaques
from cnnlint.frontends.keras.records import TF_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnnlint.frontends.raising.view import View


@cache
def _single() -> dict[str, Callable[[Call], View]]:
    families = (applications, convolution, dense, merge, normalization, pooling, preprocessing, regularization, shaping)
    return {
        **{name: raiser for family in families for name, raiser in family.LAYERS.items()},
        **activation.LAYERS,
        **time_distributed.LAYERS,
    }


@cache
def _several() -> dict[str, Callable[[Call], list[View]]]:
    return {
        **recurrent.LAYERS,
        **attention.LAYERS,
        **dict.fromkeys(preprocessing.DECLARED, add_declared),
        **dict.fromkeys(TF_FUNCTIONS, tf_functions.lower_tf_function),
    }


def lower(call: Call) -> list[View]:
    """Add what a call of a layer becomes, and return its outputs.

    Raises:
        ValueError, TypeError, KeyError: The layer's configuration lacks what the layer must have.
    """
    layer = call.layer
    if layer.is_operation:
        return functions.lower_function(call)
    if layer.class_name == "Lambda":
        return add_opaques(call, "a Lambda layer, whose code is not run")
    if layer.is_custom:
        return add_opaques(call, f"a layer of the user's own, from {layer.module}")
    if (single := _single().get(layer.class_name)) is not None and call.views:
        return [single(call)]
    if (several := _several().get(layer.class_name)) is not None and call.views:
        return several(call)
    return add_opaques(call, "a layer that is not known")

"""Layers that `keras.applications` brings with it: those of ConvNeXt and InceptionResNetV2."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.merge import aligned
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Add, Dropout, Elementwise
from cnnlint.graph.tensor import Dim


def _layer_scale(call: Call) -> View:
    """Raise a product with one learned factor per channel."""
    view = call.view
    shape: list[Dim] = [1] * (view.rank or 1)
    shape[view.axis(-1)] = call.whole("projection_dim")
    layer = Elementwise(
        inputs=(view.tensor,),
        function="mul",
        constant_shape=tuple(shape),
        weights=call.weights("gamma"),
        **call.identity(),
    )
    return call.add(layer, like=view)


def _stochastic_depth(call: Call) -> View:
    """Raise what leaves out whole samples in training, and does nothing at inference."""
    rate = call.number("drop_path_rate", 0.0)
    layer = Dropout(inputs=(call.view.tensor,), rate=rate, training=call.in_training_mode, **call.identity())
    return call.add(layer, like=call.view)


def _scaled_sum(call: Call) -> View:
    """Raise first + scale × second."""
    (first, second), like = aligned(call, call.views[:2])
    scale = call.number("scale", 1.0)
    scaled = call.draft.add(
        Elementwise(inputs=(second,), function="mul", constant_shape=(), constant=scale, **call.identity("scaled"))
    )[0]
    return call.add(Add(inputs=(first, scaled), **call.identity()), like=like)


LAYERS: dict[str, Callable[[Call], View]] = {
    "LayerScale": _layer_scale, "StochasticDepth": _stochastic_depth, "CustomScaleLayer": _scaled_sum,
}  # fmt: skip

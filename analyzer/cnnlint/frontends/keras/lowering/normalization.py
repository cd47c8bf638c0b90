"""Normalisations: batch, layer, group, RMS, unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.operators import add_same
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm

STATISTICS = ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")
"""What a batch normalisation keeps of its batches; the last three only with `renorm`."""


def _batch(call: Call) -> View:
    view = call.view
    layer = BatchNorm(
        inputs=(view.tensor,),
        epsilon=call.number("epsilon", 1e-3),
        axis=view.axis(_axes(call)[0]),
        training=call.in_training_mode,
        weights=call.weights(*_scale_and_shift(call), *STATISTICS),
        **call.identity(),
    )
    return call.add(layer, like=view)


def _layer(call: Call) -> View:
    roles = ("gamma", "beta") if call.config.get("rms_scaling") else _scale_and_shift(call)
    return _over_axes(call, centered=not call.config.get("rms_scaling"), roles=roles)


def _rms(call: Call) -> View:
    return _over_axes(call, centered=False, roles=("scale",))


def _over_axes(call: Call, *, centered: bool, roles: tuple[str, ...]) -> View:
    view = call.view
    layer = LayerNorm(
        inputs=(view.tensor,),
        axes=tuple(sorted(view.axis(axis) for axis in _axes(call))),
        epsilon=call.number("epsilon", 1e-3),
        centered=centered,
        weights=call.weights(*roles),
        **call.identity(),
    )
    return call.add(layer, like=view)


def _group(call: Call) -> View:
    view = call.view
    groups = call.integer("groups", 32)
    fields: dict[str, Any] = {
        "inputs": (view.tensor,),
        "epsilon": call.number("epsilon", 1e-3),
        "weights": call.weights(*_scale_and_shift(call)),
        **call.identity(),
    }
    channels = view.tensor.shape[view.axis(_axes(call)[0])] if view.tensor.shape else None
    layer = InstanceNorm(**fields) if groups in (-1, channels) else GroupNorm(groups=groups, **fields)
    return call.add(layer, like=view)


def _scale_and_shift(call: Call) -> tuple[str, ...]:
    return tuple(
        role
        for role, setting in (("gamma", "scale"), ("beta", "center"))
        if call.config.get(setting, True) is not False
    )


def _axes(call: Call) -> tuple[int, ...]:
    value = call.config.get("axis", -1)
    found = settings.items(value)
    axes = [value] if found is None else found
    return tuple(axis for axis in axes if isinstance(axis, int)) or (-1,)


LAYERS: dict[str, Callable[[Call], View]] = {
    "BatchNormalization": _batch, "BatchNormalizationV1": _batch, "BatchNormalizationV2": _batch,
    "SyncBatchNormalization": _batch, "LayerNormalization": _layer, "RMSNormalization": _rms,
    "GroupNormalization": _group, "UnitNormalization": add_same,
}  # fmt: skip

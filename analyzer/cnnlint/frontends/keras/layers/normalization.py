"""Normalizations, and what does nothing at inference or prepares an input: dropout, augmentation, categories."""

from __future__ import annotations

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.layers.call import Call, Handler, Raised, add_declared, add_operator, add_same
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.layers import Dropout

STATISTICS = ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")
"""What a batch normalization keeps of its batches; the last three only with `renorm`."""

AUGMENTATIONS = (
    "AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "Equalization", "MixUp",
    "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization",
)  # fmt: skip

DECLARED = ("CategoryEncoding", "HashedCrossing", "TextVectorization", "MelSpectrogram", "STFTSpectrogram")
"""Layers whose output shape only the file says."""

KEEPS_SHAPE = frozenset({None, "int"})
"""Modes in which a category takes the place of each value."""


def _batch(call: Call) -> TensorView:
    return ops.batch_norm(
        call,
        call.view,
        _axes(call)[0],
        epsilon=call.number("epsilon", 1e-3),
        training=call.in_training_mode,
        weights=call.weights(*_scale_and_shift(call), *STATISTICS),
    )


def _layer(call: Call) -> TensorView:
    roles = ("gamma", "beta") if call.config.get("rms_scaling") else _scale_and_shift(call)
    return _over_axes(call, centered=not call.config.get("rms_scaling"), roles=roles)


def _rms(call: Call) -> TensorView:
    return _over_axes(call, centered=False, roles=("scale",))


def _over_axes(call: Call, *, centered: bool, roles: tuple[str, ...]) -> TensorView:
    epsilon, weights = call.number("epsilon", 1e-3), call.weights(*roles)
    return ops.layer_norm(call, call.view, _axes(call), epsilon=epsilon, centered=centered, weights=weights)


def _group(call: Call) -> TensorView:
    groups = call.integer("groups", 32)
    return ops.group_norm(
        call,
        call.view,
        None if groups == -1 else groups,
        axis=_axes(call)[0],
        epsilon=call.number("epsilon", 1e-3),
        weights=call.weights(*_scale_and_shift(call)),
    )


def _scale_and_shift(call: Call) -> tuple[str, ...]:
    settings_of = (("gamma", "scale"), ("beta", "center"))
    return tuple(role for role, setting in settings_of if call.config.get(setting, True) is not False)


def _axes(call: Call) -> tuple[int, ...]:
    value = call.config.get("axis", -1)
    found = settings.items(value)
    axes = [value] if found is None else found
    return tuple(axis for axis in axes if isinstance(axis, int)) or (-1,)


def _dropout(call: Call) -> TensorView:
    rate = call.config.get("rate")
    layer = Dropout(
        inputs=(call.view.tensor,),
        rate=float(rate) if isinstance(rate, int | float) else None,
        spatial=call.layer.class_name.startswith("Spatial"),
        training=call.in_training_mode,
        **call.identity,
    )
    return call.add(layer, like=call.view)


def _categories(call: Call) -> Raised:
    if call.config.get("output_mode") in KEEPS_SHAPE:
        return add_operator(call, call.view.tensor.shape, like=call.view, dtype="int64")
    return add_declared(call)


NORMS: dict[str, Handler] = {
    "BatchNormalization": _batch, "BatchNormalizationV1": _batch, "BatchNormalizationV2": _batch,
    "SyncBatchNormalization": _batch, "LayerNormalization": _layer, "RMSNormalization": _rms,
    "GroupNormalization": _group, "UnitNormalization": add_same,
}  # fmt: skip

TRAINING_ONLY: dict[str, Handler] = {
    "Dropout": _dropout, "AlphaDropout": _dropout, "GaussianDropout": _dropout, "SpatialDropout1D": _dropout,
    "SpatialDropout2D": _dropout, "SpatialDropout3D": _dropout, "GaussianNoise": add_same,
    **dict.fromkeys(AUGMENTATIONS, add_same),
}  # fmt: skip

LAYERS: dict[str, Handler] = {
    **NORMS, **TRAINING_ONLY, **dict.fromkeys(DECLARED, add_declared),
    **dict.fromkeys(("Discretization", "Hashing", "IntegerLookup", "StringLookup"), _categories),
}  # fmt: skip

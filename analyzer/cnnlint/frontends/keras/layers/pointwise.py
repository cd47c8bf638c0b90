"""Elementwise layers and normalizations: activations, sums, norms, and layers for training only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.layers.call import Handler, KerasCall, Raised, add_declared, add_operator, add_same
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.layers import Add, Dropout, Opaque, Operator, Rescale
from cnnlint.graph.tensor import Dim

FUNCTIONS = frozenset(
    ["relu", "relu6", "leaky_relu", "celu", "elu", "selu", "gelu", "sigmoid", "hard_sigmoid", "log_sigmoid",
     "sparse_sigmoid", "tanh", "hard_tanh", "tanh_shrink", "swish", "hard_swish", "mish", "softplus", "softsign",
     "squareplus", "sparse_plus", "soft_shrink", "hard_shrink", "exponential", "threshold", "linear"]
)  # fmt: skip
"""Elementwise functions of keras.activations."""

ALONG_AN_AXIS = frozenset({"softmax", "log_softmax", "sparsemax"})


def activate(
    call: KerasCall, view: TensorView, function: object, suffix: str | None = None, **fields: Any
) -> TensorView:
    """Add an activation layer for the serialized `function`, if there is one.

    Args:
        call: The layer with the activation.
        view: Its input.
        function: As Keras writes it: a name, or a serialized function or layer.
        suffix: Suffix of the layer's name; None for the function's name.
        fields: Further fields of the Activation.
    """
    name = settings.function_name(function)
    if name is None or (name == "linear" and suffix is None):
        return view
    call = call.of(suffix=name if suffix is None else suffix)
    record = settings.mapping(function)
    if record is not None and record.get("class_name") in ACTIVATIONS and name not in FUNCTIONS:
        config = settings.mapping(record.get("config")) or {}
        inner = replace(call.layer, class_name=str(record["class_name"]), config=config)
        return ACTIVATIONS[inner.class_name](call.of(inner, view=view))
    known = not settings.is_custom(function)
    if name in ALONG_AN_AXIS and known:
        return ops.activation(call, view, name, axis=fields.pop("axis", -1), **fields)
    if name in FUNCTIONS and known:
        return ops.activation(call, view, name, **fields)
    if name == "glu":
        axis, shape = view.axis(-1), list(view.tensor.shape or ())
        if shape and isinstance(extent := shape[axis], int):
            shape[axis] = extent // 2
        layer = Operator(inputs=(view.tensor,), op=name, shapes=(tuple(shape) if shape else None,), **call.identity)
        return call.add(layer, like=view)
    reason = f"the custom activation function {name}"
    layer = Opaque(inputs=(view.tensor,), op=name, reason=reason, shapes=(view.tensor.shape,), **call.identity)
    return call.add(layer, like=view)


def _by_name(call: KerasCall, name: object, **fields: Any) -> TensorView:
    return activate(call, call.view, name, call.suffix, **fields)


def _activation(call: KerasCall) -> TensorView:
    return _by_name(call, call.config.get("activation"))


def _relu(call: KerasCall) -> TensorView:
    slope, limit = call.number("negative_slope", 0.0), call.config.get("max_value")
    if slope:
        return _by_name(call, "leaky_relu", alpha=slope)
    if call.number("threshold", 0.0):
        return _by_name(call, "threshold")
    if limit is None or call.number("max_value", 0.0) == 6:
        return _by_name(call, "relu" if limit is None else "relu6")
    # A limit other than 6, like ONNX's Clip.
    return ops.elementwise(call, "clip", [call.view])


def _leaky_relu(call: KerasCall) -> TensorView:
    return _by_name(call, "leaky_relu", alpha=call.number("negative_slope", call.number("alpha", 0.3)))


def _elu(call: KerasCall) -> TensorView:
    return _by_name(call, "elu", alpha=call.number("alpha", 1.0))


def _thresholded(call: KerasCall) -> TensorView:
    return _by_name(call, "threshold", alpha=call.number("theta", 1.0))


def _prelu(call: KerasCall) -> TensorView:
    return ops.activation(call, call.view, "prelu", weights=call.weights("alpha"))


def _softmax(call: KerasCall) -> TensorView:
    axes = settings.items(call.config.get("axis", -1))
    if axes is not None and len(axes) != 1:
        view = call.view
        layer = Operator(inputs=(view.tensor,), op="softmax", shapes=(view.tensor.shape,), **call.identity)
        return call.add(layer, like=view)
    return _by_name(call, "softmax", axis=axes[0] if axes else call.integer("axis", -1))


def _identity(call: KerasCall) -> TensorView:
    return _by_name(call, "linear")


ACTIVATIONS: dict[str, Callable[[KerasCall], TensorView]] = {
    "Activation": _activation, "ReLU": _relu, "LeakyReLU": _leaky_relu, "ELU": _elu, "PReLU": _prelu,
    "Softmax": _softmax, "ThresholdedReLU": _thresholded, "Identity": _identity, "Masking": _identity,
    "ActivityRegularization": _identity,
}  # fmt: skip


def _merge(call: KerasCall, function: str) -> TensorView:
    return ops.elementwise(call, function, call.views, after_batch=True)


def _concatenate(call: KerasCall) -> TensorView:
    return ops.concat(call, call.views, call.integer("axis", call.integer("concat_axis", -1)))


MERGING: dict[str, Handler] = {
    "Add": partial(_merge, function="add"),
    "Subtract": partial(_merge, function="sub"),
    "Multiply": partial(_merge, function="mul"),
    "Average": partial(_merge, function="mean"),
    "Maximum": partial(_merge, function="maximum"),
    "Minimum": partial(_merge, function="minimum"),
    "Concatenate": _concatenate,
}


def _rescale(call: KerasCall) -> TensorView:
    view = call.view
    layer = Rescale(inputs=(view.tensor,), weights=call.weights("mean", "variance", "count"), **call.identity)
    return call.add(layer, like=view)


def _layer_scale(call: KerasCall) -> TensorView:
    """Handle ConvNeXt's product with one learned factor per channel."""
    shape: list[Dim] = [1] * (call.view.rank or 1)
    shape[-1] = call.whole("projection_dim")
    return ops.elementwise(call, "mul", [call.view], constants=tuple(shape), weights=call.weights("gamma"))


def _stochastic_depth(call: KerasCall) -> TensorView:
    """Handle dropout of whole samples, which does nothing at inference."""
    rate = call.number("drop_path_rate", 0.0)
    layer = Dropout(
        inputs=(call.view.tensor,), rate=rate, per_sample=True, training=call.in_training_mode, **call.identity
    )
    return call.add(layer, like=call.view)


def _scaled_sum(call: KerasCall) -> TensorView:
    """Handle InceptionResNetV2's first + scale × second."""
    first, second = call.views[:2]
    scaled = ops.elementwise(
        call.of(suffix="scaled"), "mul", [second], constants=(), constant=call.number("scale", 1.0)
    )
    tensors, like = ops.aligned(call, [first, scaled], max(first.rank or 0, second.rank or 0))
    return call.add(Add(inputs=tensors, **call.identity), like=like)


STATISTICS = ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")
"""Statistics of a batch normalization; the last three only with `renorm`."""

AUGMENTATIONS = (
    "AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "Equalization", "MixUp",
    "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization",
)  # fmt: skip

DECLARED = ("CategoryEncoding", "HashedCrossing", "TextVectorization", "MelSpectrogram", "STFTSpectrogram")
"""Layers whose output shape is only in the file."""

KEEPS_SHAPE = frozenset({None, "int"})
"""Output modes that replace each value by a category."""


def _batch(call: KerasCall) -> TensorView:
    return ops.batch_norm(
        call,
        call.view,
        _axes(call)[0],
        epsilon=call.number("epsilon", 1e-3),
        training=call.in_training_mode,
        momentum=call.number("momentum", 0.99),
        weights=call.weights(*_scale_and_shift(call), *STATISTICS),
    )


def _layer(call: KerasCall) -> TensorView:
    roles = ("gamma", "beta") if call.config.get("rms_scaling") else _scale_and_shift(call)
    return _over_axes(call, centered=not call.config.get("rms_scaling"), roles=roles)


def _rms(call: KerasCall) -> TensorView:
    return _over_axes(call, centered=False, roles=("scale",))


def _over_axes(call: KerasCall, *, centered: bool, roles: tuple[str, ...]) -> TensorView:
    epsilon, weights = call.number("epsilon", 1e-3), call.weights(*roles)
    return ops.layer_norm(call, call.view, _axes(call), epsilon=epsilon, centered=centered, weights=weights)


def _group(call: KerasCall) -> TensorView:
    groups = call.integer("groups", 32)
    return ops.group_norm(
        call,
        call.view,
        None if groups == -1 else groups,
        axis=_axes(call)[0],
        epsilon=call.number("epsilon", 1e-3),
        weights=call.weights(*_scale_and_shift(call)),
    )


def _scale_and_shift(call: KerasCall) -> tuple[str, ...]:
    settings_of = (("gamma", "scale"), ("beta", "center"))
    return tuple(role for role, setting in settings_of if call.config.get(setting, True) is not False)


def _axes(call: KerasCall) -> tuple[int, ...]:
    value = call.config.get("axis", -1)
    found = settings.items(value)
    axes = [value] if found is None else found
    return tuple(axis for axis in axes if isinstance(axis, int)) or (-1,)


def _dropout(call: KerasCall) -> TensorView:
    rate = call.config.get("rate")
    shared = (settings.items(call.config.get("noise_shape")) or [])[1:]  # 1 where values are dropped together
    ones = [1] * len(shared)
    layer = Dropout(
        inputs=(call.view.tensor,),
        rate=float(rate) if isinstance(rate, int | float) else None,
        spatial=call.layer.class_name.startswith("Spatial") or (len(shared) > 1 and shared == [*ones[1:], None]),
        per_sample=bool(shared) and shared == ones,
        training=call.in_training_mode,
        **call.identity,
    )
    return call.add(layer, like=call.view)


def _categories(call: KerasCall) -> Raised:
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
    **ACTIVATIONS, **MERGING, "Rescaling": _rescale, "Normalization": _rescale, "LayerScale": _layer_scale,
    "StochasticDepth": _stochastic_depth, "CustomScaleLayer": _scaled_sum,
    **NORMS, **TRAINING_ONLY, **dict.fromkeys(DECLARED, add_declared),
    **dict.fromkeys(("Discretization", "Hashing", "IntegerLookup", "StringLookup"), _categories),
}  # fmt: skip

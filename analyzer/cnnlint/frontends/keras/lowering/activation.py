"""Activations: as layers, and as the argument of another layer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Activation, Elementwise, Opaque, Operator

FUNCTIONS = frozenset(
    ["relu", "relu6", "leaky_relu", "celu", "elu", "selu", "gelu", "sigmoid", "hard_sigmoid", "log_sigmoid",
     "sparse_sigmoid", "tanh", "hard_tanh", "tanh_shrink", "swish", "hard_swish", "mish", "softplus", "softsign",
     "squareplus", "sparse_plus", "soft_shrink", "hard_shrink", "exponential", "threshold", "linear"]
)  # fmt: skip
"""Functions of keras.activations that work element by element."""

ALONG_AN_AXIS = frozenset({"softmax", "log_softmax", "sparsemax"})


def activate(call: Call, view: View, function: object, suffix: str | None = None, **fields: Any) -> View:
    """Return `view` behind the serialised `function`, which may be none at all.

    Args:
        call: The layer that has it.
        view: What it works on.
        function: As Keras writes it: a name, or a serialised function or layer.
        suffix: Put behind the layer's name; None for the function's own name.
        fields: Of the Activation.
    """
    name = settings.function_name(function)
    if name is None or (name == "linear" and suffix is None):
        return view
    record = settings.mapping(function)
    if record is not None and record.get("class_name") in LAYERS and name not in FUNCTIONS:
        config = settings.mapping(record.get("config")) or {}
        inner = replace(call.layer, class_name=str(record["class_name"]), config=config)
        return LAYERS[inner.class_name](call.on(view, inner), name if suffix is None else suffix)
    identity = call.identity(name if suffix is None else suffix)
    if name in ALONG_AN_AXIS and not settings.is_custom(function):
        axis = view.axis(fields.pop("axis", -1))
        return call.add(Activation(inputs=(view.tensor,), function=name, axis=axis, **identity, **fields), like=view)
    if name in FUNCTIONS and not settings.is_custom(function):
        return call.add(Activation(inputs=(view.tensor,), function=name, **identity, **fields), like=view)
    if name == "glu":
        axis, shape = view.axis(-1), list(view.tensor.shape or ())
        if shape and isinstance(extent := shape[axis], int):
            shape[axis] = extent // 2
        layer = Operator(inputs=(view.tensor,), op=name, shapes=(tuple(shape) if shape else None,), **identity)
        return call.add(layer, like=view)
    reason = f"the custom activation function {name}"
    layer = Opaque(inputs=(view.tensor,), op=name, reason=reason, shapes=(view.tensor.shape,), **identity)
    return call.add(layer, like=view)


def _activation(call: Call, suffix: str = "") -> View:
    return activate(call, call.view, call.config.get("activation"), suffix)


def _relu(call: Call, suffix: str = "") -> View:
    slope, limit = call.number("negative_slope", 0.0), call.config.get("max_value")
    if slope:
        return activate(call, call.view, "leaky_relu", suffix, alpha=slope)
    if call.number("threshold", 0.0):
        return activate(call, call.view, "threshold", suffix)
    if limit is None or call.number("max_value", 0.0) == 6:
        return activate(call, call.view, "relu" if limit is None else "relu6", suffix)
    # Cut off at another height than 6, as ONNX's Clip is.
    layer = Elementwise(inputs=(call.view.tensor,), function="clip", **call.identity(suffix))
    return call.add(layer, like=call.view)


def _leaky_relu(call: Call, suffix: str = "") -> View:
    slope = call.number("negative_slope", call.number("alpha", 0.3))
    return activate(call, call.view, "leaky_relu", suffix, alpha=slope)


def _elu(call: Call, suffix: str = "") -> View:
    return activate(call, call.view, "elu", suffix, alpha=call.number("alpha", 1.0))


def _thresholded(call: Call, suffix: str = "") -> View:
    return activate(call, call.view, "threshold", suffix, alpha=call.number("theta", 1.0))


def _prelu(call: Call, suffix: str = "") -> View:
    view = call.view
    layer = Activation(inputs=(view.tensor,), function="prelu", weights=call.weights("alpha"), **call.identity(suffix))
    return call.add(layer, like=view)


def _softmax(call: Call, suffix: str = "") -> View:
    axes = settings.items(call.config.get("axis", -1))
    if axes is not None and len(axes) != 1:
        view = call.view
        layer = Operator(inputs=(view.tensor,), op="softmax", shapes=(view.tensor.shape,), **call.identity(suffix))
        return call.add(layer, like=view)
    axis = axes[0] if axes else call.integer("axis", -1)
    return activate(call, call.view, "softmax", suffix, axis=axis)


def _identity(call: Call, suffix: str = "") -> View:
    return activate(call, call.view, "linear", suffix)


LAYERS = {
    "Activation": _activation, "ReLU": _relu, "LeakyReLU": _leaky_relu, "ELU": _elu, "PReLU": _prelu,
    "Softmax": _softmax, "ThresholdedReLU": _thresholded, "Identity": _identity, "Masking": _identity,
    "ActivityRegularization": _identity,
}  # fmt: skip

"""Steps that keep the shape: activations, normalisations, dropout, scaling; and the dense layer."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from cnnlint.frontends.notation.arguments import Arguments
from cnnlint.frontends.notation.emitter import Emitter, Value, known, mapped, shape_error
from cnnlint.graph.dims import product

Emit = Callable[[Emitter, str, Value, Arguments], Value]


def operator(op: str, **attributes: Any) -> Emit:
    """Return the step that is one ONNX operator without arguments."""

    def emit_operator(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
        arguments.finish()
        return Value(emit.node(op, [value.name], name, **attributes), value.shape)

    return emit_operator


def sloped(op: str, default: float) -> Emit:
    """Return the activation that takes its slope below zero, alpha, as a number."""

    def emit_sloped(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
        alpha = arguments.decimal("alpha", default)
        arguments.finish()
        return Value(emit.node(op, [value.name], name, alpha=alpha), value.shape)

    return emit_sloped


def relu6(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """RELU6: min(max(x, 0), 6)."""
    arguments.finish()
    low = emit.constant(f"{name}.min", 0, np.float32)
    high = emit.constant(f"{name}.max", 6, np.float32)
    return Value(emit.node("Clip", [value.name, low, high], name), value.shape)


def swish(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """SWISH: x × sigmoid(x), also called SiLU."""
    arguments.finish()
    gate = emit.node("Sigmoid", [value.name], f"{name}.sigmoid")
    return Value(emit.node("Mul", [value.name, gate], name), value.shape)


def prelu(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """PRELU: a rectifier with a learnt slope for every channel."""
    arguments.finish()
    channels = known(value.shape[0], "channel", arguments)
    slope = emit.vector(f"{name}.slope", (channels, *(1,) * value.rank), arguments, low=0.1, high=0.4)
    return Value(emit.node("PRelu", [value.name, slope], name), value.shape)


def softmax(op: str) -> Emit:
    """Return the softmax, or its logarithm, over the channels."""
    return operator(op, axis=1)


def batch_norm(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """BN: a batch normalisation with moving statistics; `BN training` uses those of the batch at hand."""
    training = arguments.flag("training")
    arguments.finish()
    shape = (known(value.shape[0], "channel", arguments),)
    inputs = [value.name]
    for role, low, high in (("gamma", 0.5, 1.5), ("beta", -0.1, 0.1), ("mean", -0.1, 0.1), ("variance", 0.5, 1.5)):
        inputs.append(emit.vector(f"{name}.{role}", shape, arguments, low=low, high=high))
    if not training:
        return Value(emit.node("BatchNormalization", inputs, name, epsilon=1e-3), value.shape)
    outputs = [name, f"{name}.new_mean", f"{name}.new_variance"]
    return Value(
        emit.node("BatchNormalization", inputs, name, outputs=outputs, epsilon=1e-3, training_mode=1), value.shape
    )


def layer_norm(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """LN: a normalisation over all values of a sample."""
    arguments.finish()
    shape = tuple(known(dim, "value", arguments) for dim in value.shape)
    scale = emit.vector(f"{name}.gamma", shape, arguments, low=0.5, high=1.5)
    shift = emit.vector(f"{name}.beta", shape, arguments)
    return Value(emit.node("LayerNormalization", [value.name, scale, shift], name, axis=1), value.shape)


def group_norm(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """GN groups: a normalisation over groups of channels of a sample."""
    mapped(value, arguments)
    channels = known(value.shape[0], "channel", arguments)
    groups = arguments.required("groups", "GN 32")[0]
    arguments.finish()
    if channels % groups:
        raise arguments.error(f"{channels} channels do not fall into {groups} groups")
    scale = emit.vector(f"{name}.gamma", (channels,), arguments, low=0.5, high=1.5)
    shift = emit.vector(f"{name}.beta", (channels,), arguments)
    return Value(emit.node("GroupNormalization", [value.name, scale, shift], name, num_groups=groups), value.shape)


def instance_norm(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """IN: a normalisation of every channel of a sample."""
    mapped(value, arguments)
    arguments.finish()
    channels = known(value.shape[0], "channel", arguments)
    scale = emit.vector(f"{name}.gamma", (channels,), arguments, low=0.5, high=1.5)
    shift = emit.vector(f"{name}.beta", (channels,), arguments)
    return Value(emit.node("InstanceNormalization", [value.name, scale, shift], name), value.shape)


def local_response_norm(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """LRN size: AlexNet's normalisation across 5 neighbouring channels, or `size`."""
    size = (arguments.positional("size") or (5,))[0]
    arguments.finish()
    if value.rank != 2:
        raise shape_error(value, "works on maps of two axes", arguments)
    return Value(emit.node("LRN", [value.name], name, size=size), value.shape)


def dropout(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """DROPOUT rate: the identity, as in a trained network."""
    rate = arguments.decimal("rate", 0.5)
    arguments.finish()
    if rate >= 1:
        raise arguments.error("the rate of DROPOUT is below 1", remedy="DROPOUT 0.5")
    ratio = emit.constant(f"{name}.ratio", rate, np.float32)
    return Value(emit.node("Dropout", [value.name, ratio], name), value.shape)


def rescale(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """RESCALE factor: the input brought to another range, by 1/255 unless told otherwise."""
    factor = arguments.decimal("factor", 1 / 255)
    arguments.finish()
    scale = emit.constant(f"{name}.scale", factor, np.float32)
    return Value(emit.node("Mul", [value.name, scale], name), value.shape)


def flatten(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """FLATTEN: a map made a vector."""
    arguments.finish()
    return Value(emit.node("Flatten", [value.name], name, axis=1), (product(value.shape),))


def dense(emit: Emitter, name: str, value: Value, arguments: Arguments) -> Value:
    """FC units: a dense layer on a vector."""
    features = known(value.shape[0], "input feature", arguments)
    units = arguments.required("units", "FC 10")[0]
    bias = not arguments.flag("nobias")
    arguments.finish()
    inputs = [value.name, emit.kernel(f"{name}.kernel", (units, features), prod((features,)), arguments)]
    if bias:
        inputs.append(emit.vector(f"{name}.bias", (units,), arguments))
    return Value(emit.node("Gemm", inputs, name, transB=1), (units,))

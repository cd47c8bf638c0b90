"""The ONNX nodes of each step of the notation."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from cnnlint.frontends.notation.emitter import Emitter, StepArgs, Value, known, mapped, shape_error
from cnnlint.graph.dims import product
from cnnlint.graph.tensor import Dim, Shape
from cnnlint.graph.window import Window, resolve_pads

Emit = Callable[[Emitter, str, Value, StepArgs], Value]


def operator(op: str, **attributes: Any) -> Emit:
    """Return the step that is one ONNX operator without arguments."""

    def emit_operator(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
        arguments.finish()
        return Value(emit.node(op, [value.name], name, **attributes), value.shape)

    return emit_operator


def sloped(op: str, default: float) -> Emit:
    """Return the activation that takes its slope below zero, alpha, as a number."""

    def emit_sloped(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
        alpha = arguments.decimal("alpha", default)
        arguments.finish()
        return Value(emit.node(op, [value.name], name, alpha=alpha), value.shape)

    return emit_sloped


def relu6(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """RELU6: min(max(x, 0), 6)."""
    arguments.finish()
    low = emit.constant(f"{name}.min", 0, np.float32)
    high = emit.constant(f"{name}.max", 6, np.float32)
    return Value(emit.node("Clip", [value.name, low, high], name), value.shape)


def swish(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """SWISH: x × sigmoid(x), also called SiLU."""
    arguments.finish()
    gate = emit.node("Sigmoid", [value.name], f"{name}.sigmoid")
    return Value(emit.node("Mul", [value.name, gate], name), value.shape)


def prelu(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """PRELU: a rectifier with a learned slope for every channel."""
    arguments.finish()
    channels = known(value.shape[0], "channel", arguments)
    slope = emit.vector(f"{name}.slope", (channels, *(1,) * value.rank), arguments, low=0.1, high=0.4)
    return Value(emit.node("PRelu", [value.name, slope], name), value.shape)


def softmax(op: str) -> Emit:
    """Return the softmax, or its logarithm, over the channels."""
    return operator(op, axis=1)


def batch_norm(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """BN: a batch normalization with moving statistics; `BN training` uses those of the current batch."""
    training = arguments.flag("training")
    momentum = arguments.share("momentum")
    arguments.finish()
    shape = (known(value.shape[0], "channel", arguments),)
    inputs = [value.name]
    for role, low, high in (("gamma", 0.5, 1.5), ("beta", -0.1, 0.1), ("mean", -0.1, 0.1), ("variance", 0.5, 1.5)):
        inputs.append(emit.vector(f"{name}.{role}", shape, arguments, low=low, high=high))
    attributes: dict[str, Any] = {"epsilon": 1e-3} | ({} if momentum is None else {"momentum": momentum})
    if not training:
        return Value(emit.node("BatchNormalization", inputs, name, **attributes), value.shape)
    outputs = [name, f"{name}.new_mean", f"{name}.new_variance"]
    made = emit.node("BatchNormalization", inputs, name, outputs=outputs, training_mode=1, **attributes)
    return Value(made, value.shape)


def layer_norm(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """LN: a normalization over all values of a sample."""
    arguments.finish()
    shape = tuple(known(dim, "value", arguments) for dim in value.shape)
    scale = emit.vector(f"{name}.gamma", shape, arguments, low=0.5, high=1.5)
    shift = emit.vector(f"{name}.beta", shape, arguments)
    return Value(emit.node("LayerNormalization", [value.name, scale, shift], name, axis=1), value.shape)


def group_norm(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """GN groups: a normalization over groups of channels of a sample."""
    mapped(value, arguments)
    channels = known(value.shape[0], "channel", arguments)
    groups = arguments.required("groups", "GN 32")[0]
    arguments.finish()
    if channels % groups:
        raise arguments.error(f"{channels} channels cannot be split into {groups} groups")
    scale = emit.vector(f"{name}.gamma", (channels,), arguments, low=0.5, high=1.5)
    shift = emit.vector(f"{name}.beta", (channels,), arguments)
    return Value(emit.node("GroupNormalization", [value.name, scale, shift], name, num_groups=groups), value.shape)


def instance_norm(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """IN: a normalization of every channel of a sample."""
    mapped(value, arguments)
    arguments.finish()
    channels = known(value.shape[0], "channel", arguments)
    scale = emit.vector(f"{name}.gamma", (channels,), arguments, low=0.5, high=1.5)
    shift = emit.vector(f"{name}.beta", (channels,), arguments)
    return Value(emit.node("InstanceNormalization", [value.name, scale, shift], name), value.shape)


def local_response_norm(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """LRN size: AlexNet's normalization across 5 neighboring channels, or `size`."""
    size = (arguments.positional("size") or (5,))[0]
    arguments.finish()
    if value.rank != 2:
        raise shape_error(value, "works on maps of two axes", arguments)
    return Value(emit.node("LRN", [value.name], name, size=size), value.shape)


def dropout(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """DROPOUT rate: the identity, as in a trained network."""
    rate = arguments.decimal("rate", 0.5)
    arguments.finish()
    if rate >= 1:
        raise arguments.error("the rate of DROPOUT is below 1", remedy="DROPOUT 0.5")
    ratio = emit.constant(f"{name}.ratio", rate, np.float32)
    return Value(emit.node("Dropout", [value.name, ratio], name), value.shape)


def rescale(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """RESCALE factor: the input scaled by a constant, 1/255 by default."""
    factor = arguments.decimal("factor", 1 / 255)
    arguments.finish()
    scale = emit.constant(f"{name}.scale", factor, np.float32)
    return Value(emit.node("Mul", [value.name, scale], name), value.shape)


def flatten(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """FLATTEN: a map flattened to a vector."""
    arguments.finish()
    return Value(emit.node("Flatten", [value.name], name, axis=1), (product(value.shape),))


def dense(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """FC units: a dense layer on a vector."""
    features = known(value.shape[0], "input feature", arguments)
    units = arguments.required("units", "FC 10")[0]
    bias = not arguments.flag("nobias")
    arguments.finish()
    inputs = [value.name, emit.kernel(f"{name}.kernel", (units, features), prod((features,)), arguments)]
    if bias:
        inputs.append(emit.vector(f"{name}.bias", (units,), arguments))
    return Value(emit.node("Gemm", inputs, name, transB=1), (units,))


def conv(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """CONV filters kernel: a convolution, "same" by default."""
    mapped(value, arguments)
    channels = known(value.shape[0], "input channel", arguments)
    filters, kernel = arguments.filters_and_kernel(channels, value.rank)
    groups = arguments.number("groups", 1)
    if channels % groups or filters % groups:
        raise arguments.error(f"{groups} groups do not divide {channels} channels and {filters} filters")
    return _convolve(emit, name, value, arguments, filters=filters, kernel=kernel, groups=groups)


def depthwise(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """DWCONV kernel: a depthwise convolution."""
    mapped(value, arguments)
    channels = known(value.shape[0], "input channel", arguments)
    kernel = arguments.required("kernel size", "DWCONV 3x3", value.rank)
    filters = channels * arguments.number("multiplier", 1)
    return _convolve(emit, name, value, arguments, filters=filters, kernel=kernel, groups=channels)


def _convolve(
    emit: Emitter, name: str, value: Value, arguments: StepArgs, *, filters: int, kernel: tuple[int, ...], groups: int
) -> Value:
    channels = known(value.shape[0], "input channel", arguments)
    attributes, spatial = _slide(value, arguments, kernel, (1,) * value.rank, same=True)
    bias = not arguments.flag("nobias")
    arguments.finish()
    shape = (filters, channels // groups, *kernel)
    inputs = [value.name, emit.kernel(f"{name}.kernel", shape, prod(shape[1:]), arguments)]
    if bias:
        inputs.append(emit.vector(f"{name}.bias", (filters,), arguments))
    output = emit.node("Conv", inputs, name, kernel_shape=kernel, group=groups, **attributes)
    return Value(output, (filters, *spatial))


def deconv(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """DECONV filters kernel: a transposed convolution, whose output is input × stride by default."""
    mapped(value, arguments)
    channels = known(value.shape[0], "input channel", arguments)
    filters, kernel = arguments.filters_and_kernel(channels, value.rank)
    strides = arguments.option("stride", value.rank) or (1,) * value.rank
    valid = arguments.choice("same", "valid") == "valid"
    bias = not arguments.flag("nobias")
    arguments.finish()
    before, after, extra = list[int](), list[int](), list[int]()
    spatial = list[Dim]()
    for extent, taps, stride in zip(value.spatial, kernel, strides, strict=True):
        cut = 0 if valid else max(taps - stride, 0)
        more = 0 if valid else max(stride - taps, 0)
        before.append(cut // 2)
        after.append(cut - cut // 2)
        extra.append(more)
        full = stride * (extent - 1) + taps if isinstance(extent, int) else None
        spatial.append(full - cut + more if full is not None else extent if stride == 1 and not valid else None)
    shape = (channels, filters, *kernel)
    inputs = [value.name, emit.kernel(f"{name}.kernel", shape, channels * prod(kernel), arguments)]
    if bias:
        inputs.append(emit.vector(f"{name}.bias", (filters,), arguments))
    output = emit.node(
        "ConvTranspose", inputs, name, kernel_shape=kernel, strides=strides, pads=before + after, output_padding=extra
    )
    return Value(output, (filters, *spatial))


def pool(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """POOL size: the maximum of windows that do not overlap, "valid" by default."""
    return _pool(emit, name, value, arguments, "MaxPool")


def average_pool(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """AVGPOOL size: the mean of windows that do not overlap, "valid" by default."""
    return _pool(emit, name, value, arguments, "AveragePool")


def _pool(emit: Emitter, name: str, value: Value, arguments: StepArgs, op: str) -> Value:
    mapped(value, arguments)
    size = arguments.positional("pool size", value.rank) or (2,) * value.rank
    ceil = arguments.flag("ceil")
    attributes, spatial = _slide(value, arguments, size, size, same=False, ceil=ceil)
    arguments.finish()
    if ceil:
        attributes["ceil_mode"] = 1
    output = emit.node(op, [value.name], name, kernel_shape=size, **attributes)
    return Value(output, (value.shape[0], *spatial))


def _slide(
    value: Value,
    arguments: StepArgs,
    kernel: tuple[int, ...],
    default_strides: tuple[int, ...],
    *,
    same: bool,
    ceil: bool = False,
) -> tuple[dict[str, Any], Shape]:
    rank = value.rank
    strides = arguments.option("stride", rank) or default_strides
    dilation = arguments.option("dilation", rank) or (1,) * rank
    amounts = arguments.option("pad", rank, least=0)
    chosen = arguments.choice("same", "valid")
    if amounts is not None and chosen is not None:
        raise arguments.error(f"{arguments.step.kind} cannot be both {chosen} and padded by a number")
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilation}
    if amounts is None and (same if chosen is None else chosen == "same"):
        pads = resolve_pads("same_upper", value.spatial, kernel, strides, dilation)
    else:
        pads = tuple((amount, amount) for amount in amounts or (0,) * rank)
    if pads is None:
        # the amounts depend on extents that are only known at run time
        return {**attributes, "auto_pad": "SAME_UPPER"}, (None,) * rank
    windows = [
        Window(taps, stride, gap, before, after, ceil)
        for taps, stride, gap, (before, after) in zip(kernel, strides, dilation, pads, strict=True)
    ]
    spatial = tuple(window.output(extent) for window, extent in zip(windows, value.spatial, strict=True))
    if 0 in spatial:
        raise shape_error(value, f"has a window of {'x'.join(map(str, kernel))} that does not fit", arguments)
    attributes["pads"] = [before for before, _ in pads] + [after for _, after in pads]
    return attributes, spatial


def pad(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """PAD amount: zeros on both sides of every spatial axis; two numbers are before and after."""
    mapped(value, arguments)
    rank = value.rank
    before = arguments.positional("amount", rank, least=0)
    if before is None:
        raise arguments.error("PAD needs its amount", remedy="PAD 1")
    after = arguments.positional("amount after", rank, least=0) or before
    mode = arguments.choice("reflect", "edge") or "constant"
    arguments.finish()
    amounts = emit.constant(f"{name}.pads", [0, 0, *before, 0, 0, *after], np.int64)
    output = emit.node("Pad", [value.name, amounts], name, mode=mode)
    grown = zip(value.spatial, before, after, strict=True)
    spatial = tuple(
        extent + left + right if isinstance(extent, int) else extent if left == right == 0 else None
        for extent, left, right in grown
    )
    return Value(output, (value.shape[0], *spatial))


def upsample(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """UPSAMPLE factor: a map scaled up, nearest by default."""
    mapped(value, arguments)
    factors = arguments.positional("factor", value.rank) or (2,) * value.rank
    mode = arguments.choice("nearest", "linear", "cubic") or "nearest"
    arguments.finish()
    scales = emit.constant(f"{name}.scales", [1, 1, *factors], np.float32)
    output = emit.node("Resize", [value.name, "", scales], name, mode=mode, **_sampling(mode))
    return Value(
        output, (value.shape[0], *(product((extent, by)) for extent, by in zip(value.spatial, factors, strict=True)))
    )


def resize(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """RESIZE extents: a map resized to the given extents."""
    mapped(value, arguments)
    extents = arguments.required("extents", "RESIZE 64x64", value.rank)
    mode = arguments.choice("nearest", "linear", "cubic") or "nearest"
    arguments.finish()
    sizes = emit.constant(f"{name}.sizes", extents, np.int64)
    axes = list(range(2, 2 + value.rank))
    output = emit.node("Resize", [value.name, "", "", sizes], name, mode=mode, axes=axes, **_sampling(mode))
    return Value(output, (value.shape[0], *extents))


def _sampling(mode: str) -> dict[str, Any]:
    if mode == "nearest":
        return {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return {"coordinate_transformation_mode": "half_pixel"}


def global_average(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """GAP: the mean of every map, a vector unless `keep` is given."""
    return _global(emit, name, value, arguments, "ReduceMean")


def global_maximum(emit: Emitter, name: str, value: Value, arguments: StepArgs) -> Value:
    """GMP: the maximum of every map, a vector unless `keep` is given."""
    return _global(emit, name, value, arguments, "ReduceMax")


def _global(emit: Emitter, name: str, value: Value, arguments: StepArgs, op: str) -> Value:
    mapped(value, arguments)
    keep = arguments.flag("keep")
    arguments.finish()
    axes = emit.constant(f"{name}.axes", list(range(2, 2 + value.rank)), np.int64)
    output = emit.node(op, [value.name, axes], name, keepdims=int(keep))
    return Value(output, (value.shape[0], *((1,) * value.rank if keep else ())))

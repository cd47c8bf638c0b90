"""Layers that slide a window over a map: convolutions, pooling and global pooling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from cnnlint.errors import ContradictionError
from cnnlint.frontends.keras.layers.call import Handler, KerasCall, with_channels
from cnnlint.frontends.keras.layers.pointwise import activate
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.layers import ConvTranspose, Operator
from cnnlint.graph.tensor import Weight
from cnnlint.graph.window import Padding

Mode = Literal["avg", "max"]


def _activated(call: KerasCall, made: TensorView) -> TensorView:
    return activate(call, call.in_layer_order(made), call.config.get("activation"))


def _conv(call: KerasCall, rank: int) -> TensorView:
    made = ops.conv(
        call,
        call.map,
        filters=call.whole("filters"),
        groups=call.whole("groups", 1),
        use_bias=_has_bias(call),
        weights=call.kernel("kernel", "bias"),
        **_window(call, rank),
    )
    return _activated(call, made)


def _depthwise(call: KerasCall, rank: int) -> TensorView:
    weights = call.kernel("depthwise_kernel", "bias", axes=(-2, -1))
    return _activated(call, _by_channel(call, rank, weights, use_bias=_has_bias(call)))


def _separable(call: KerasCall, rank: int) -> TensorView:
    weights = call.kernel("depthwise_kernel", "pointwise_kernel", "bias", axes=(-2, -1))
    depthwise, others = weights[0], with_channels(weights[1:], (-1,))
    if depthwise.shape is None:  # it represents all of them
        others = weights
    spread = _by_channel(call.of(suffix="depthwise"), rank, (depthwise,), use_bias=False)
    ones = (1,) * rank
    made = ops.conv(
        call.of(suffix="pointwise"),
        spread,
        filters=call.whole("filters"),
        kernel_size=ones,
        strides=ones,
        padding=((0, 0),) * rank,
        dilation=ones,
        use_bias=_has_bias(call),
        weights=others,
    )
    return _activated(call, made)


def _by_channel(call: KerasCall, rank: int, weights: tuple[Weight, ...], *, use_bias: bool) -> TensorView:
    multiplier = call.whole("depth_multiplier", 1)
    # The kernel is taps × input channels × multiplier.
    held, shape = weights[0].shape, call.map.shape
    channels = shape[1] if shape is not None and len(shape) > 1 else None
    if not isinstance(channels, int):
        channels = held[-2] if held is not None else None
    if channels is None:
        raise ContradictionError("neither its input nor a kernel shows how many channels it has")
    return ops.conv(
        call,
        call.map,
        filters=channels * multiplier,
        groups=channels,
        use_bias=use_bias,
        weights=weights,
        **_window(call, rank),
    )


def _transposed(call: KerasCall, rank: int) -> TensorView:
    kernel, strides = _kernel_size(call, rank), call.integers("strides", rank)
    dilation = call.integers("dilation_rate", rank)
    given = call.config.get("output_padding")
    padding, extra = _transposed_padding(
        call, kernel, strides, dilation, None if given is None else call.integers("output_padding", rank, least=0)
    )
    layer = ConvTranspose(
        inputs=(call.builder.tensor(call.map),),
        filters=call.whole("filters"),
        kernel_size=kernel,
        strides=strides,
        padding=padding,
        dilation=dilation,
        output_padding=extra,
        groups=call.whole("groups", 1),
        use_bias=_has_bias(call),
        weights=call.kernel("kernel", "bias", axes=(-2,)),
        **call.identity,
    )
    return _activated(call, call.add(layer))


def _transposed_padding(
    call: KerasCall,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    given: tuple[int, ...] | None,
) -> tuple[Padding, tuple[int, ...]]:
    """Return the padding to cut off and the output padding that give the output extents of Keras."""
    effective = [gap * (taps - 1) + 1 for taps, gap in zip(kernel, dilation, strict=True)]
    none = ((0, 0),) * len(kernel)
    if call.config.get("padding") == "same":
        if given is None:
            return "same_upper", (0,) * len(kernel)
        cuts = [extent - extent % 2 for extent in effective]
        return tuple((cut // 2, cut - cut // 2) for cut in cuts), given
    if given is None:
        return none, tuple(max(step - extent, 0) for step, extent in zip(strides, effective, strict=True))
    return none, given


def _window(call: KerasCall, rank: int) -> dict[str, Any]:
    kernel, dilation = _kernel_size(call, rank), call.integers("dilation_rate", rank)
    return {
        "kernel_size": kernel,
        "strides": call.integers("strides", rank),
        "padding": padding_of(call, kernel, dilation),
        "dilation": dilation,
    }


def padding_of(call: KerasCall, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Padding:
    """Return the padding of a window by its Keras name: "valid", "same" or "causal".

    Raises:
        ValueError: It has another name.
    """
    match str(call.config.get("padding", "valid")).lower():
        case "valid":
            return ((0, 0),) * len(kernel)
        case "same":
            return "same_upper"
        case "causal":
            return tuple((gap * (taps - 1), 0) for taps, gap in zip(kernel, dilation, strict=True))
        case other:
            raise ValueError(f"its padding {other!r} is not known")


def _kernel_size(call: KerasCall, rank: int) -> tuple[int, ...]:
    if "kernel_size" not in call.config:
        raise ValueError("its configuration has no kernel_size")
    return call.integers("kernel_size", rank)


def _has_bias(call: KerasCall) -> bool:
    return call.config.get("use_bias", True) is not False


def pool(call: KerasCall, rank: int, mode: Mode) -> TensorView:
    """Add a pooling over windows of a map of `rank` spatial axes."""
    size = call.integers("pool_size", rank, 2)
    strides = size if call.config.get("strides") is None else call.integers("strides", rank)
    ones = (1,) * rank
    padding = padding_of(call, size, ones)
    made = ops.pool(call, call.map, mode, pool_size=size, strides=strides, padding=padding, dilation=ones)
    return call.in_layer_order(made)


def _global(call: KerasCall, mode: Mode) -> TensorView:
    return call.in_layer_order(ops.global_pool(call, call.map, mode, keepdims=bool(call.config.get("keepdims"))))


def _adaptive(call: KerasCall, rank: int, mode: Mode) -> TensorView:
    """Add a pooling if the map divides into equal windows, else an operator."""
    source = call.builder.tensor(call.map)
    wanted = call.integers("output_size", rank)
    sizes = tuple(
        extent // want if isinstance(extent, int) and extent % want == 0 else 0
        for extent, want in zip(source.spatial or (None,) * rank, wanted, strict=True)
    )
    if not all(sizes):
        shape = None if source.shape is None else (*source.shape[:2], *wanted)
        layer = Operator(inputs=(source,), op=call.layer.class_name, shapes=(shape,), **call.identity)
        return call.in_layer_order(call.add(layer))
    none, ones = ((0, 0),) * rank, (1,) * rank
    made = ops.pool(call, call.map, mode, pool_size=sizes, strides=sizes, padding=none, dilation=ones)
    return call.in_layer_order(made)


def _ranked(raiser: Callable[[KerasCall, int], TensorView], rank: int) -> Handler:
    return lambda call: raiser(call, rank)


CONVOLUTIONS: dict[str, Handler] = {
    form.format(rank): _ranked(raiser, rank)
    for raiser, forms in (
        (_conv, ("Conv{}D", "Convolution{}D")),
        (_transposed, ("Conv{}DTranspose", "Convolution{}DTranspose", "Deconvolution{}D")),
        (_depthwise, ("DepthwiseConv{}D", "DepthwiseConvolution{}D")),
        (_separable, ("SeparableConv{}D", "SeparableConvolution{}D")),
    )
    for rank in (1, 2, 3)
    for form in forms
}


def _poolings() -> dict[str, Handler]:
    layers = dict[str, Handler]()
    modes: tuple[tuple[Mode, tuple[str, ...]], ...] = (("avg", ("Average", "Avg")), ("max", ("Max",)))
    for mode, words in modes:
        for word in words:
            for rank in (1, 2, 3):
                for pooling in (f"Pooling{rank}D", f"Pool{rank}D"):
                    layers[f"{word}{pooling}"] = partial(pool, rank=rank, mode=mode)
                    layers[f"Global{word}{pooling}"] = partial(_global, mode=mode)
                    layers[f"Adaptive{word}{pooling}"] = partial(_adaptive, rank=rank, mode=mode)
    return layers


LAYERS: dict[str, Handler] = {**CONVOLUTIONS, **_poolings()}

"""Convolutions of one to three axes: plain, depthwise, separable, transposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlint.errors import ContradictionError
from cnnlint.frontends.keras.lowering.activation import activate
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Conv, ConvTranspose
from cnnlint.graph.tensor import Tensor, Weight
from cnnlint.graph.window import Padding, resolve_pads


def _conv(call: Call, rank: int) -> View:
    source = call.map()
    made = call.add_map(
        Conv(
            inputs=(source,),
            filters=call.whole("filters"),
            groups=call.whole("groups", 1),
            use_bias=_has_bias(call),
            weights=call.weights("kernel", "bias"),
            **_window(call, source, rank),
            **call.identity(),
        )
    )
    return activate(call, made, call.config.get("activation"))


def _depthwise(call: Call, rank: int) -> View:
    source = call.map()
    weights = call.weights("depthwise_kernel", "bias")
    made = call.add_map(_depthwise_layer(call, source, rank, weights, use_bias=_has_bias(call)))
    return activate(call, made, call.config.get("activation"))


def _separable(call: Call, rank: int) -> View:
    source = call.map()
    weights = call.weights("depthwise_kernel", "pointwise_kernel", "bias")
    depthwise, others = weights[0], weights[1:]
    if depthwise.shape is None:  # it stands for all of them
        others = weights
    spread = call.draft.add(
        _depthwise_layer(call, source, rank, (depthwise,), use_bias=False, suffix="depthwise"), dtype=call.dtype
    )[0]
    ones = (1,) * rank
    made = call.add_map(
        Conv(
            inputs=(spread,),
            filters=call.whole("filters"),
            kernel_size=ones,
            strides=ones,
            padding=((0, 0),) * rank,
            dilation=ones,
            use_bias=_has_bias(call),
            weights=others,
            **call.identity("pointwise"),
        )
    )
    return activate(call, made, call.config.get("activation"))


def _depthwise_layer(
    call: Call, source: Tensor, rank: int, weights: tuple[Weight, ...], *, use_bias: bool, suffix: str = ""
) -> Conv:
    multiplier = call.whole("depth_multiplier", 1)
    # The kernel is taps × input channels × multiplier.
    held = weights[0].shape
    channels = source.channels if isinstance(source.channels, int) else held[-2] if held is not None else None
    if channels is None:
        raise ContradictionError("neither its input nor a kernel says how many channels it has")
    return Conv(
        inputs=(source,),
        filters=channels * multiplier,
        groups=channels,
        use_bias=use_bias,
        weights=weights,
        **_window(call, source, rank),
        **call.identity(suffix),
    )


def _transposed(call: Call, rank: int) -> View:
    source = call.map()
    kernel, strides = _kernel_size(call, rank), call.integers("strides", rank)
    dilation = call.integers("dilation_rate", rank)
    given = call.config.get("output_padding")
    padding, extra = _transposed_padding(
        call, kernel, strides, dilation, None if given is None else call.integers("output_padding", rank, least=0)
    )
    made = call.add_map(
        ConvTranspose(
            inputs=(source,),
            filters=call.whole("filters"),
            kernel_size=kernel,
            strides=strides,
            padding=padding,
            dilation=dilation,
            output_padding=extra,
            groups=call.whole("groups", 1),
            use_bias=_has_bias(call),
            weights=call.weights("kernel", "bias"),
            **call.identity(),
        )
    )
    return activate(call, made, call.config.get("activation"))


def _transposed_padding(
    call: Call,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    given: tuple[int, ...] | None,
) -> tuple[Padding, tuple[int, ...]]:
    """Return what is cut off and what is put on behind, so that the extents are those of Keras."""
    reaches = [gap * (taps - 1) + 1 for taps, gap in zip(kernel, dilation, strict=True)]
    none = ((0, 0),) * len(kernel)
    if call.config.get("padding") == "same":
        if given is None:
            return "same_upper", (0,) * len(kernel)
        cuts = [reach - reach % 2 for reach in reaches]
        return tuple((cut // 2, cut - cut // 2) for cut in cuts), given
    if given is None:
        return none, tuple(max(step - reach, 0) for step, reach in zip(strides, reaches, strict=True))
    return none, given


def _window(call: Call, source: Tensor, rank: int) -> dict[str, Any]:
    kernel, strides = _kernel_size(call, rank), call.integers("strides", rank)
    dilation = call.integers("dilation_rate", rank)
    padding = padding_of(call, kernel, dilation)
    return {
        "kernel_size": kernel,
        "strides": strides,
        "padding": resolve_pads(padding, source.spatial, kernel, strides, dilation) or padding,
        "dilation": dilation,
    }


def padding_of(call: Call, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Padding:
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


def _kernel_size(call: Call, rank: int) -> tuple[int, ...]:
    if "kernel_size" not in call.config:
        raise ValueError("its configuration has no kernel_size")
    return call.integers("kernel_size", rank)


def _has_bias(call: Call) -> bool:
    return call.config.get("use_bias", True) is not False


def _ranked(raiser: Callable[[Call, int], View], rank: int) -> Callable[[Call], View]:
    return lambda call: raiser(call, rank)


LAYERS: dict[str, Callable[[Call], View]] = {
    name: _ranked(raiser, rank)
    for raiser, pattern in (
        (_conv, ("Conv{}D", "Convolution{}D")),
        (_transposed, ("Conv{}DTranspose", "Convolution{}DTranspose", "Deconvolution{}D")),
        (_depthwise, ("DepthwiseConv{}D", "DepthwiseConvolution{}D")),
        (_separable, ("SeparableConv{}D", "SeparableConvolution{}D")),
    )
    for rank in (1, 2, 3)
    for name in (form.format(rank) for form in pattern)
}

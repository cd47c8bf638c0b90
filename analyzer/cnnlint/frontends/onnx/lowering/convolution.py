"""Conv, ConvTranspose, and their quantised forms."""

from __future__ import annotations

from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant
from cnnlint.graph.layers import Conv, ConvTranspose
from cnnlint.graph.tensor import Shape
from cnnlint.graph.window import Padding, resolve_pads


def lower_conv(state: Lowering) -> None:
    """Lower Conv: X, W, B."""
    _conv(state, kernel=1, bias=2)


def lower_conv_integer(state: Lowering) -> None:
    """Lower ConvInteger: x, w, zero points."""
    _conv(state, kernel=1, bias=None, dtype="int32")


def lower_qlinear_conv(state: Lowering) -> None:
    """Lower QLinearConv: x, its scale and zero point, w, its scale and zero point, y's, B."""
    _conv(state, kernel=3, bias=8)


def _conv(state: Lowering, *, kernel: int, bias: int | None, dtype: str | None = None) -> None:
    source = state.tensor(0)
    weight, shape = _kernel(state, kernel)
    filters, _, *taps = shape
    rank = len(taps)
    strides, dilation = state.steps("strides", rank), state.steps("dilations", rank)
    padding = window_padding(state, rank)
    biases = state.weights(state.constant(bias), "bias") if bias is not None else ()
    layer = Conv(
        name=state.label,
        inputs=(source,),
        filters=filters,
        kernel_size=tuple(taps),
        strides=strides,
        padding=resolve_pads(padding, source.spatial, tuple(taps), strides, dilation) or padding,
        dilation=dilation,
        groups=state.attribute_int("group", 1),
        use_bias=bool(biases),
        weights=(*state.weights(weight, "kernel"), *biases),
        origin=state.origin,
    )
    state.emit(layer, dtype=dtype)


def lower_conv_transpose(state: Lowering) -> None:
    """Lower ConvTranspose: X, W (input channels first), B."""
    source = state.tensor(0)
    weight, shape = _kernel(state, 1)
    groups = state.attribute_int("group", 1)
    taps = shape[2:]
    rank = len(taps)
    strides, dilation = state.steps("strides", rank), state.steps("dilations", rank)
    output_padding = state.attribute_ints("output_padding") or (0,) * rank
    padding = window_padding(state, rank)
    wanted = state.attribute_ints("output_shape")
    extents = source.spatial
    if wanted is not None and extents is not None:
        if not len(wanted[-rank:]) == len(output_padding) == len(extents) == rank:
            raise ContradictionError(f"its kernel has {rank} axes and its output_shape {len(wanted)}")
        total = [
            stride * (extent - 1) + extra + gap * (tap - 1) + 1 - want if isinstance(extent, int) else 0
            for stride, extent, extra, gap, tap, want in zip(
                strides, extents, output_padding, dilation, taps, wanted[-rank:], strict=True
            )
        ]
        padding = tuple((cut // 2, cut - cut // 2) for cut in total)
    biases = state.weights(state.constant(2), "bias")
    layer = ConvTranspose(
        name=state.label,
        inputs=(source,),
        filters=shape[1] * groups,
        kernel_size=taps,
        strides=strides,
        padding=padding,
        dilation=dilation,
        output_padding=output_padding,
        groups=groups,
        use_bias=bool(biases),
        weights=(*state.weights(weight, "kernel"), *biases),
        origin=state.origin,
    )
    state.emit(layer)


def window_padding(state: Lowering, rank: int) -> Padding:
    """Return the padding that `pads` and `auto_pad` of a node say."""
    auto = state.attribute_text("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return "same_upper"
    if auto == "SAME_LOWER":
        return "same_lower"
    pads = state.attribute_ints("pads")
    if auto == "VALID" or pads is None:
        return ((0, 0),) * rank
    if len(pads) != 2 * rank:
        raise ContradictionError(f"it has {len(pads)} pads for {rank} axes")
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def _kernel(state: Lowering, index: int) -> tuple[Constant | None, tuple[int, ...]]:
    """Return the kernel if it is constant, and its extents."""
    value = state.value(index)
    shape: Shape | None = value.shape
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        declared = state.declared(state.node.inputs[index])
        shape = None if declared is None else declared.shape
    extents = tuple(dim for dim in shape or () if isinstance(dim, int))
    if shape is None or len(extents) != len(shape) or len(shape) < 3:
        raise ContradictionError(f"its kernel has the shape {shape}, which is not filters × channels × taps")
    return (value if isinstance(value, Constant) else None), extents


HANDLERS: dict[str, Handler] = {
    "Conv": lower_conv,
    "ConvInteger": lower_conv_integer,
    "ConvTranspose": lower_conv_transpose,
}

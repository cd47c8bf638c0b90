"""WA009: channels that are computed and then multiplied by zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cnnlint import (
    KERNEL_LAYERS,
    Activation,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Elementwise,
    Finding,
    Good,
    Layer,
    ModelError,
    ModelRule,
    NearMiss,
    Savings,
    Severity,
    Weight,
    added_up,
    brief,
    shown_channels,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ZeroedChannels(
    ModelRule, code="WA009", severity=Severity.INFO, confidence=Confidence.EXACT, reads_values=True, since="0.1.0"
):
    """Channels of a convolution are multiplied by zero right after it.

    ## Why
    Whatever the filter computes, the channel is the constant that is added afterward: 0, or the β of a normalization
    whose γ is 0. Its part of the kernel and its multiply-accumulates are spent for nothing. It is what pruning by a
    mask leaves, which sets factors to zero and keeps the filters, and what network slimming does to γ before anybody
    removes the channels.

    ## Instead
    Remove these filters, their entries of the factor or normalization, and the slices of the next layer's kernel that
    read them; a constant that remains goes into the next layer's bias, exactly so where that layer does not pad with
    zeros.

    ## When not
    Where all channels are multiplied by zero: that is how a residual branch begins before its training. A channel of
    which a ReLU then leaves nothing is [dead-filter](WT002.md)'s.

    ## References
    - Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017.
    - PyTorch documentation, "Pruning Tutorial": masks stay until the channels are removed.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each layer of which channels are multiplied by zero, with what these cost."""
        graph = context.graph
        for layer in graph.of_kind(*KERNEL_LAYERS):
            after = graph.sole_successor(layer)
            zero = None if after is None else _zeroed(layer, after, context)
            if after is None or zero is None or not zero.any():
                continue
            count, channels = int(zero.sum()), layer.out_channels
            if count == channels:
                yield self.skip(layer, after, reason="all of its channels are, as a residual branch begins")
                continue
            held = sum(weight.size or 0 for weight in layer.weights)
            parameters = count * held // channels
            macs = count * (context.layer_macs(layer) or 0) // channels
            which = shown_channels([int(index) for index in zero.nonzero()[0]])
            yield self.finding(
                layer,
                after,
                message=f"{after.name} multiplies {count:,} of {channels:,} channels of {layer.name} by 0, at {which};"
                f" their filters hold {parameters:,} parameters and take {brief(macs)} multiply-accumulates.",
                evidence={"channels": count, "of": channels, "parameters": parameters, "macs": macs},
                advice=Advice(text=f"Remove these filters of {layer.name}, and what reads them in the next layer"),
                savings=Savings(parameters=parameters, macs=macs),
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up the channels and what they cost."""
        total = added_up(places)
        return self.finding(
            message=f"{total['channels']:,} of {total['of']:,} channels of {len(places):,} layers are multiplied by 0;"
            f" their filters hold {brief(total['parameters'])} parameters and take {brief(total['macs'])}"
            " multiply-accumulates.",
            evidence=total,
            advice=Advice(text="Remove these filters, and what reads them in the next layers"),
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            masked (float[N, 1, 8, 8] x) => (float[N, 3, 8, 8] y)
            <float[3, 1, 1, 1] kernel = {0.7, 0.2, -0.4}, float[1, 3, 1, 1] mask = {1, 0, 1}>
            {
                a = Conv (x, kernel)
                b = Mul (a, mask)
                y = Relu (b)
            }
            """,
            at=("a", "b"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


def _zeroed(layer: Conv | ConvTranspose | Dense, after: Layer, context: Context) -> NDArray[np.bool_] | None:
    """Return which channels `after` multiplies by zero, but for those of which a ReLU then leaves nothing."""
    if isinstance(after, Elementwise) and after.function == "mul" and len(after.inputs) == 1:
        shape, rank = after.constant_shape, after.output.rank
        if shape is None or rank is None or len(after.weights) != 1:
            return None
        wide = [axis - len(shape) + rank for axis, dim in enumerate(shape) if dim != 1]
        factor = _vector(after.weights[0], layer.out_channels) if wide == [layer.channel_axis % rank] else None
        return None if factor is None else factor == 0
    if not isinstance(after, BatchNorm) or after.training or after.channel_axis != layer.channel_axis:
        return None
    gamma, beta = (_vector(after.weight(role), layer.out_channels) for role in ("gamma", "beta"))
    if gamma is None:
        return None
    last = context.graph.sole_successor(after)
    rectified = isinstance(last, Activation) and last.function in ("relu", "relu6")
    return (gamma == 0) & (beta > 0) if rectified and beta is not None else gamma == 0


def _vector(weight: Weight | None, channels: int) -> NDArray[np.float64] | None:
    """Return the values of a vector of one number per channel; None if the file has none."""
    if weight is None or weight.storage is None or weight.size != channels:
        return None
    try:
        return weight.values().reshape(-1).astype("float64")
    except ModelError:  # the file is cut off, which is told elsewhere
        return None

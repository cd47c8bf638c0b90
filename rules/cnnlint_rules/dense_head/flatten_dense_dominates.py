"""FC001: a dense layer on a flattened map."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Activation,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    Dense,
    Diagnostic,
    Dropout,
    Flatten,
    Good,
    Layer,
    LayerRule,
    NearMiss,
    Savings,
    Severity,
    is_feature_map,
    is_regression,
    preceding,
)


class FlattenDenseDominates(
    LayerRule[Dense | Conv],
    code="FC001",
    severity=Severity.WARNING,
    confidence=Confidence.HEURISTIC,
    since="0.1.0",
    replaces=("flatten-before-dense",),
):
    """A dense layer on a flattened feature map holds a large share of the parameters.

    ## Why
    A dense layer of U units on a C × H × W map holds U × C × H × W weights: a weight of its own for every position,
    where a convolution shares one among all. In VGG16 the first dense layer on the 512 × 7 × 7 map holds
    4096 × 512 × 7 × 7 = 102,760,448 of 138,357,544 parameters, 74%, for 0.7% of the multiply-accumulates.
    A convolution whose window is the whole map, without padding, is such a layer under another name, and is told too.
    It also ties the network to a single image size, and it is where such networks overfit: AlexNet and VGG need
    dropout of 0.5 there.

    ## Instead
    Average each channel over the map (global average pooling) and put the dense layer on the C means:
    U × C weights, H × W times fewer, none at all in the pooling, and any image size is accepted. Network in Network
    introduced it; GoogLeNet, ResNet, DenseNet, MobileNet and EfficientNet end this way. Retrain afterward.

    ## When not
    Where the position of a feature is the answer, as in regression of coordinates, key points or poses, an average
    throws away what the dense layer needs: a regression loss in the file turns the finding into information, and
    networks that output maps (autoencoders, detectors) are left alone. On maps of 2 × 2 there is little to gain.
    A flattened sequence, as a recurrent cell or an attention makes it, is no map, and the rule leaves it alone.

    ## References
    - Lin, Chen and Yan, "Network In Network", ICLR 2014, section 3.2.
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
    - Szegedy et al., "Going Deeper with Convolutions", CVPR 2015: average pooling in place of dense layers raised
      top-1 accuracy by about 0.6%.
    - Stanford CS231n, "Convolutional Neural Networks", on the memory and parameters of VGGNet.
    """

    min_share: Annotated[
        float, Meta(description="The least share of the network's parameters, 0 to 1, that is reported.", ge=0, le=1)
    ] = 0.2

    def check(self, layer: Dense | Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the parameters now and on the channels' means."""
        dense = layer
        if isinstance(layer, Conv):
            if not _covers(layer):
                return
            taken, ahead = layer.input, layer.name
        else:
            flatten = preceding(context.graph, layer, _keeps_positions)
            if not isinstance(flatten, Flatten):
                return
            taken, ahead = flatten.input, flatten.name
        sizes = taken.sample_shape or ()
        extents = [size for size in sizes if isinstance(size, int)]
        if len(extents) < 2 or len(extents) != len(sizes):
            yield self.skip(dense, reason="what is flattened is not a feature map of known size")
            return
        if not is_feature_map(context.graph, taken):
            yield self.skip(dense, reason="what is flattened is a sequence or an image, no map that convolutions made")
            return
        channels, positions, rank = extents[0], prod(extents[1:]), len(extents) - 1
        if positions <= 1:
            kind = "a vector already" if positions else "it holds nothing"
            yield self.skip(dense, reason=f"the flattened map is {_by(extents)}: {kind}")
            return
        kernel, held, share = dense.weight("kernel"), dense.parameters, context.share(dense)
        if held is None or share is None:
            yield self.skip(dense, reason=context.unknown_weights)
            return
        size = None if kernel is None else kernel.size
        if kernel is None or size is None:
            yield self.skip(dense, reason="its kernel is not in the file")
            return
        if share < self.min_share:
            reason = f"it holds {share:.1%} of the parameters, less than min-share = {self.min_share:.0%}"
            yield self.skip(dense, reason=reason)
            return
        if not any(head.is_vector for head in context.heads):
            yield self.skip(dense, reason="the network outputs maps, whose positions an average would lose")
            return
        regresses = any(head.loss and is_regression(head.loss) for head in context.heads)
        saved = size - size // positions
        units = layer.units if isinstance(layer, Dense) else layer.filters
        yield self.finding(
            dense,
            message=f"A {_term(layer)} {_by(extents)} map holds {held:,} of"
            f" {context.parameters:,} parameters ({share:.0%}); on the {channels:,} channel means it would hold"
            f" {held - saved:,}.",
            evidence={
                "parameters": held,
                "parameters_after": held - saved,
                "share": share,
                "channels": channels,
                "positions": positions,
            },
            advice=Advice(
                text=f"Average each channel over the map in place of {ahead}, then retrain"
                if isinstance(layer, Dense)
                else f"Average each channel over the map ahead of {ahead}, make its kernel 1 × 1, then retrain",
                keras=f"x = keras.layers.GlobalAveragePooling{rank}D()(x)\nx = keras.layers.Dense({units})(x)",
                pytorch=f"nn.Sequential(nn.AdaptiveAvgPool{rank}d(1), nn.Flatten(), nn.Linear({channels}, {units}))",
            ),
            savings=Savings(
                parameters=saved,
                macs=saved,
                bytes=(nbytes := kernel.nbytes or 0) - nbytes // positions,
            ),
            severity=Severity.INFO if regresses else None,
        )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 32 3x3 same -> RELU -> POOL 2 -> CONV 64 3x3 same -> RELU -> POOL 2"
            " -> FLATTEN -> FC 128 -> RELU -> FC 10 -> SOFTMAX",
            at=("fc1",),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 32 3x3 same -> RELU -> POOL 2 -> CONV 64 3x3 same -> RELU -> POOL 2"
            " -> CONV 128 8x8 valid -> RELU -> CONV 10 1x1 -> FLATTEN",
            at=("conv3",),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 32 3x3 same -> RELU -> POOL 2 -> CONV 64 3x3 same -> RELU -> POOL 2"
            " -> GAP -> FC 128 -> RELU -> FC 10 -> SOFTMAX"
        ),
        Good(
            "INPUT 3x32x32 -> CONV 32 3x3 same -> RELU -> POOL 2 -> FLATTEN -> FC 10 -> SOFTMAX",
            min_share=1.0,
        ),
    )


def _covers(conv: Conv) -> bool:
    """Return whether the window of a convolution is the whole map, of which it sees all channels at once."""
    shape = conv.input.sample_shape
    return (
        shape is not None
        and conv.groups == 1
        and tuple(shape[1:]) == conv.kernel_size
        and conv.pads is not None
        and not any(map(any, conv.pads))
        and {*conv.dilation} == {1}
    )


def _term(layer: Dense | Conv) -> str:
    return "dense layer on a flattened" if isinstance(layer, Dense) else "convolution over the whole"


def _keeps_positions(layer: Layer) -> bool:
    return isinstance(layer, Dropout | BatchNorm | Activation)


def _by(extents: list[int]) -> str:
    return " × ".join(str(extent) for extent in extents)

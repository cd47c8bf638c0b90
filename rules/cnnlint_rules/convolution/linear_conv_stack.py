"""CV002: convolutions with no non-linearity between."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Editor,
    Good,
    Layer,
    Many,
    Match,
    NearMiss,
    Op,
    PatternRule,
    Severity,
    merge_convolutions,
)

AROUND = frozenset({"Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that are part of a convolution as some exporters write it; no rewrite takes these with it."""


class LinearConvStack(
    PatternRule, code="CV002", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A convolution follows another with no non-linearity between, so that one convolution would do.

    ## Why
    Two convolutions compose to one: a k₁ × k₁ and a k₂ × k₂ kernel to one of k₁ + k₂ − 1. Batch normalization and
    dropout between them change nothing about it, as they are a scale and a shift at inference. So the second
    layer buys receptive field but no expressive power; usually the activation was forgotten, as `Conv2D(64, 3)`
    and `nn.Conv2d` have none.

    ## Instead
    An activation between the two. If it is left out on purpose, one convolution of the composed kernel does the same;
    `cnnlint fix` makes it in a file, where one of the two is 1 × 1 and the one holds no more weights.

    ## When not
    Leaving it out is right where the pair is a factorization of a costlier kernel, and the rule knows these:
    a depthwise or grouped convolution and its 1 × 1 (Xception trains better without an activation there), a linear
    bottleneck that narrows the channels (MobileNetV2: a ReLU would lose what is in the few channels left), a 1 × 1
    that saves weights against the composed kernel, and 1 × k with k × 1.

    ## References
    - Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, section 3.2.
    - Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017, section 4.7.
    - Jaderberg, Vedaldi and Zisserman, "Speeding up Convolutional Neural Networks with Low Rank Expansions",
      BMVC 2014.
    """

    first, second = Op(Conv), Op(Conv)
    between = Many(Layer, where=lambda layer: layer.is_affine_per_channel)
    pattern = first >> between >> second

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the two kernels and the one that they compose to."""
        first, second = match[self.first], match[self.second]
        channels = first.in_channels
        if channels is None or len(first.kernel_size) != len(second.kernel_size):
            yield self.skip(first, second, reason="the kernels cannot be composed by what is known of them")
            return
        composed = tuple(
            one + (other - 1) * step
            for one, other, step in zip(_reach(first), _reach(second), first.strides, strict=True)
        )
        both = prod(first.kernel_size) * channels * first.filters
        both += prod(second.kernel_size) * first.filters * second.filters
        one = prod(composed) * channels * second.filters
        if reason := _factorizes(first, second, channels, both, one):
            yield self.skip(first, second, reason=reason)
            return
        size = " × ".join(str(extent) for extent in composed)
        macs = (context.layer_macs(first) or 0) + (context.layer_macs(second) or 0)
        yield self.finding(
            first,
            second,
            message=f"No non-linearity stands between {first.name} and {second.name}: with {both:,} weights they"
            f" express no more than one {size} convolution of {second.filters:,} filters.",
            evidence={
                "weights": both,
                "weights_composed": one,
                "filters": second.filters,
                "macs": macs,
                **{f"composed_kernel_{axis}": extent for axis, extent in enumerate(composed)},
            },
            advice=Advice(
                text=f"Put an activation between {first.name} and {second.name}, or make them one convolution",
                keras=f'keras.layers.Conv{len(composed)}D({first.filters}, {first.kernel_size}, activation="relu")',
                pytorch=f"nn.ReLU()  # after {first.name}",
            ),
            rewritable=all(layer.is_identity_at_inference for layer in match.all(self.between))
            and _becomes_one(first, second, both, one),
        )

    def rewrite(self, match: Match, editor: Editor) -> None:
        """Make one convolution of the two, if one of them is 1 × 1."""
        merge_convolutions(match[self.first], match[self.second], editor)

    examples = (
        Bad(
            "INPUT 8x32x32 -> CONV 32 3x3 stride 2 -> CONV 8 1x1 -> RELU -> GAP -> FC 10",
            at=("conv1", "conv2"),
            fixed="INPUT 8x32x32 -> CONV 8 3x3 stride 2 -> RELU -> GAP -> FC 10",
        ),
        Bad(
            "INPUT 16x32x32 -> CONV 16 1x1 nobias -> CONV 32 3x3 same -> RELU -> GAP -> FC 10",
            at=("conv1", "conv2"),
            fixed="INPUT 16x32x32 -> CONV 32 3x3 same -> RELU -> GAP -> FC 10",
        ),
        Bad(
            "INPUT 16x32x32 -> CONV 16 1x1 -> CONV 32 3x3 valid -> RELU -> GAP -> FC 10",
            at=("conv1", "conv2"),
            fixed="INPUT 16x32x32 -> CONV 32 3x3 valid -> RELU -> GAP -> FC 10",
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 same -> CONV 32 3x3 same -> RELU -> GAP -> FC 10",
            at=("conv1", "conv2"),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 same nobias -> BN -> CONV 32 3x3 same -> RELU -> GAP -> FC 10",
            at=("conv1", "conv2"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> CONV 32 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 32x32x32 -> CONV 32 3x3 same groups 32 -> CONV 64 1x1 -> RELU -> GAP -> FC 10"),
        Good("INPUT 64x32x32 -> CONV 16 1x1 -> BN -> CONV 96 1x1 -> RELU -> GAP -> FC 10"),
        Good("INPUT 64x32x32 -> CONV 64 1x7 same -> CONV 64 7x1 same -> RELU -> GAP -> FC 10"),
    )


def _reach(layer: Conv) -> tuple[int, ...]:
    return tuple(gap * (taps - 1) + 1 for taps, gap in zip(layer.kernel_size, layer.dilation, strict=True))


def _becomes_one(first: Conv, second: Conv, both: int, one: int) -> bool:
    """Return whether one convolution computes the same at the borders too, and holds no more weights."""
    left, right = first.pads, second.pads
    if left is None or right is None or one > both:
        return False
    if any(part.op in AROUND for layer in (first, second) for part in layer.origin):
        return False
    if second.is_pointwise and not any(map(any, right)):
        return True
    plain = first.is_pointwise and not any(map(any, left)) and max(first.strides) == 1
    return plain and not (first.use_bias and any(map(any, right)))


def _factorizes(first: Conv, second: Conv, channels: int, both: int, one: int) -> str:
    """Return which factorization the pair is; "" if it is none."""
    if first.groups > 1 or second.groups > 1:
        return "one of the two is depthwise or grouped, and the other mixes its channels"
    narrows = first.filters < min(channels, second.filters)
    expands = first.is_pointwise and second.is_pointwise and channels >= first.filters <= second.filters // 2
    if narrows or expands:
        return f"a linear bottleneck: {channels} → {first.filters} → {second.filters} channels"
    if (first.is_pointwise or second.is_pointwise) and both < one:
        return f"a low-rank factorization: {both:,} weights where the composed kernel has {one:,}"
    if all(min(pair) == 1 for pair in zip(first.kernel_size, second.kernel_size, strict=True)) and both < one:
        return "a factorized kernel: each of the two is 1 wide where the other is not"
    return ""

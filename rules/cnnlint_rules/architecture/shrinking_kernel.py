"""AR003: kernels that become smaller with depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import Advice, Bad, Confidence, Context, Conv, Diagnostic, Good, ModelRule, NearMiss, Severity


class ShrinkingKernel(ModelRule, code="AR003", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A convolution has a smaller kernel than one ahead of it.

    ## Why
    Local correlations come first: edges and corners are found in a few pixels, and what they form in more of them. A
    kernel that is large where pixels are still correlated with their neighbors mixes them before they were told apart;
    Nikanjam and Khomh call it losing local correlation, one of eight design smells that developers agree on.

    ## Instead
    Kernels of one size, 3 × 3, or sizes that stay or grow with depth.

    ## When not
    AlexNet's 11, 5 and 3 and ResNet's 7 × 7 stem shrink, and CS231n allows a large kernel in the first layer, where it
    sees three channels: `exempt-stem` leaves that one out. It is an opinion and runs with `--pedantic` only. NeuraLint
    compares any two convolutions of a model; here a 1 × 1, a factorized kernel (1 × 7) and one that cuts patches are
    not smaller ones, and only layers on one path are compared, so that the branches of an Inception block are not.

    ## References
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021.
    - Stanford CS231n, "Convolutional Neural Networks", section "Layer Sizing Patterns".
    """

    exempt_stem: Annotated[bool, Meta(description="Whether the first convolution may have a larger kernel.")] = False

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the convolutions that are smaller than one ahead."""
        graph = context.graph
        ahead = dict[str, Conv]()  # the convolution of the largest kernel on the way to a tensor
        smaller, largest = list[Conv](), dict[str, Conv]()
        for layer in graph.layers:
            before = [ahead[tensor.name] for tensor in layer.inputs if tensor.name in ahead]
            found = max(before, key=lambda conv: conv.kernel_size, default=None)
            if isinstance(layer, Conv) and min(layer.kernel_size) > 1 and layer.strides != layer.kernel_size:
                if found is None:
                    found = None if self.exempt_stem and context.depths[layer.name] == 1 else layer
                elif len(found.kernel_size) == len(layer.kernel_size):
                    pairs = list(zip(layer.kernel_size, found.kernel_size, strict=True))
                    if any(mine < other for mine, other in pairs):
                        smaller.append(layer)
                        largest[layer.name] = found
                    elif all(mine >= other for mine, other in pairs):
                        found = layer
            if found is not None:
                ahead |= {tensor.name: found for tensor in layer.outputs}
        if not smaller:
            return
        first = smaller[0]
        other = largest[first.name]
        size, before_it = (" × ".join(map(str, layer.kernel_size)) for layer in (first, other))
        count = f"{len(smaller):,} convolutions have" if len(smaller) > 1 else f"{first.name} has"
        as_first = f" {first.name} is the first, with" if len(smaller) > 1 else ""
        yield self.finding(
            *smaller,
            message=f"{count} a smaller kernel than one ahead:{as_first} {size} after {before_it} in {other.name}.",
            evidence={"layers": len(smaller), "kernel": max(first.kernel_size), "kernel_ahead": max(other.kernel_size)},
            advice=Advice(
                text="Use kernels of one size, 3 × 3, or sizes that do not shrink with depth",
                keras='keras.layers.Conv2D(filters, 3, padding="same")',
                pytorch="nn.Conv2d(channels, filters, 3, padding=1)",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 5x5 -> RELU -> POOL 2 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", at=("conv2",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> CONV 32 5x5 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> CONV 32 1x1 -> RELU -> CONV 32 3x3 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 7x7 -> RELU -> POOL 2 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", exempt_stem=True),
    )

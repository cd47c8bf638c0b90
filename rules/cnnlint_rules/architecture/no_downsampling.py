"""AR002: a classifier that works at the image's own size to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    DepthToSpace,
    Diagnostic,
    Good,
    ModelRule,
    NearMiss,
    Reshape,
    Resize,
    Severity,
    Split,
    brief,
    shrinks,
)


class NoDownsampling(
    ModelRule, code="AR002", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A classifier of images has no pooling and no stride, so that its last layer works on a map of the image's size.

    ## Why
    Halving rows and columns makes each later layer cost a quarter, and doubles how fast its receptive field grows:
    after five halvings one 3 × 3 convolution adds 64 pixels, without any it adds 2. A network of ten 3 × 3 convolutions
    on 224 × 224 pixels without downsampling sees 21 pixels and takes 1,024 times the work for its last layer that it
    would take at a stride of 32. If the map is flattened, the dense layer after it has a weight for every pixel and
    channel.

    ## Instead
    A pooling or a stride of 2 after every two or three convolutions, until the map is about 7 × 7.

    ## When not
    Networks that give maps (segmentation, super-resolution) and those for boards or patches of a few elements keep
    their size on purpose: small inputs are reported as information from `min-extent` on, and dilated convolutions,
    which enlarge the field without a stride, not at all.

    ## References
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021.
    - Stanford CS231n, "Convolutional Neural Networks", section "Layer Sizing Patterns".
    """

    warn_extent: Annotated[int, Meta(description="From this extent of the image on it is a warning.", ge=1)] = 64
    min_extent: Annotated[int, Meta(description="The least extent of the image that is judged.", ge=1)] = 28

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a classifier without pooling and strides."""
        graph, image = context.graph, context.image
        convolutions = [layer for layer in graph.of_kind(Conv) if not layer.is_pointwise]
        if len(convolutions) < 2 or any(any(step > 1 for step in layer.strides) for layer in convolutions):
            return
        if image is None or len(image) < 2 or min(image) < self.min_extent:
            yield self.skip(reason="the size of the image is open or small, or it has one axis")
            return
        if any(shrinks(layer) for layer in graph.layers):
            return
        if next(graph.of_kind(Resize, DepthToSpace, Reshape, Split), None) is not None:
            yield self.skip(reason="it rearranges or scales its maps")
            return
        if any(any(gap > 1 for gap in layer.dilation) for layer in convolutions):
            yield self.skip(reason="its dilated convolutions see far without a stride")
            return
        last = convolutions[-1]
        left = last.output.spatial or ()
        if not all(head.is_vector for head in context.heads) or len(left) != len(image):
            yield self.skip(reason="it gives maps")
            return
        macs = context.layer_macs(last)
        told = f", which takes {brief(macs)} MACs" if macs else ""
        size, end = (" × ".join(map(str, extents)) for extents in (image, left))
        yield self.finding(
            last,
            message=f"No pooling and no stride stands between the image of {size} and {last.name}, whose map is {end}"
            f"{told}.",
            evidence={
                "convolutions": len(convolutions),
                **{f"image_{axis}": extent for axis, extent in enumerate(image)},
                **({"macs": macs} if macs else {}),
            },
            advice=Advice(
                text="Halve the map after every two or three convolutions",
                keras=f"x = keras.layers.MaxPooling{len(image)}D(2)(x)",
                pytorch=f"nn.MaxPool{len(image)}d(2)",
            ),
            severity=None if min(image) >= self.warn_extent else Severity.INFO,
        )

    examples = (
        Bad("INPUT 3x96x96 -> [CONV 16 3x3 -> RELU]*3 -> GAP -> FC 10", at=("conv3",)),
        Bad("INPUT 1x28x28 -> [CONV 32 3x3 valid -> RELU]*2 -> FLATTEN -> FC 10", at=("conv2",)),
        Good("INPUT 3x96x96 -> CONV 16 3x3 -> RELU -> POOL 2 -> [CONV 16 3x3 -> RELU]*2 -> GAP -> FC 10"),
        Good("INPUT 3x96x96 -> CONV 16 3x3 stride 2 -> RELU -> [CONV 16 3x3 -> RELU]*2 -> GAP -> FC 10"),
        Good("INPUT 3x96x96 -> [CONV 16 3x3 -> RELU]*3 -> CONV 2 1x1"),
        Good("INPUT 17x19x19 -> [CONV 64 3x3 -> RELU]*3 -> FLATTEN -> FC 362"),
    )

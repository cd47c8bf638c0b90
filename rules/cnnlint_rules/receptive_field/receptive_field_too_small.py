"""RF003: features that see a small part of the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Activation,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    Dense,
    Diagnostic,
    Flatten,
    GlobalPool,
    Good,
    Graph,
    Head,
    Layer,
    MaxPool,
    ModelRule,
    NearMiss,
    Severity,
    is_feature_map,
)


class ReceptiveFieldTooSmall(
    ModelRule, code="RF003", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """The features that a classifier averages see less than half of the image's extent.

    ## Why
    Global pooling averages what each position of the last map has seen. If that is a patch of 15 of 224 pixels (0.4% of
    the area), the network can tell textures and never a shape that is larger: it is a bag of patches. Brendel and
    Bethge built such networks of ResNet-50, whose field is 483 pixels and whose top-5 accuracy on ImageNet is 92%: with
    patches of 33 pixels theirs reach 87.6%, with 17 pixels what AlexNet does. Richter et al. take the image's extent as
    the upper limit of the sizes that make use of all layers of a network: images that are larger than its field are
    better scaled down.

    ## Instead
    More strides or poolings ahead of the last convolutions, each of which doubles what those after it add; more
    convolutions; or smaller images, which cost less as well: a field of 15 pixels suits images of about 16.

    ## When not
    Where textures are what is to be told (materials, tissue, pixels by their surroundings). A dense layer on the
    flattened map sees every position, so that the rule looks only at what is averaged; signals of one axis, whose local
    patterns may matter wherever they stand, are left alone as well.

    ## References
    - Brendel and Bethge, "Approximating CNNs with Bag-of-local-Features models works surprisingly well on ImageNet",
      ICLR 2019.
    - Richter, Schöning, Wiedenroth and Krumnack, "Should You Go Deeper? Optimizing Convolutional Neural Network
      Architectures without Training", ICMLA 2021.
    - Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
    """

    min_share: Annotated[
        float, Meta(description="The least share of the image's extent that is fine, 0 to 1.", gt=0, le=1)
    ] = 0.5
    warn_share: Annotated[float, Meta(description="Below this share it is a warning, 0 to 1.", ge=0, le=1)] = 0.25

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what the averaged features see of the image."""
        if next(context.graph.of_kind(Conv), None) is None:
            return
        image, told = context.image, set[str]()
        if image is None or len(image) < 2:
            yield self.skip(reason="the size of the image is open, or there is none of two axes")
            return
        for head in context.heads:
            pool = _averages(context.graph, head)
            if isinstance(pool, str):
                yield self.skip(*([head.scorer] if head.scorer else []), reason=pool)
                continue
            if pool.name in told:
                continue
            told.add(pool.name)
            last = context.graph.producer(pool.input)
            field = context.receptive_fields.get(last.name) if last else None
            if field is None or len(field) != len(image) or last is None:
                yield self.skip(pool, reason="how far its map sees is not known")
                continue
            share = max(sees / extent for sees, extent in zip(field, image, strict=True) if extent)
            sees, size = (" × ".join(map(str, extents)) for extents in (field, image))
            if share >= self.min_share:
                yield self.skip(pool, reason=f"its map sees {sees} of {size} pixels")
                continue
            yield self.finding(
                pool,
                last,
                message=f"{pool.name} averages features that see {sees} of {size} pixels"
                f" ({share:.1%} of the extent): no pattern that is larger can be told.",
                evidence={
                    "share": share,
                    **{f"field_{axis}": extent for axis, extent in enumerate(field)},
                    **{f"image_{axis}": extent for axis, extent in enumerate(image)},
                },
                advice=Advice(
                    text="Halve the map earlier or more often and add convolutions, or feed smaller images",
                    keras='x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)',
                    pytorch="nn.Conv2d(channels, filters, 3, stride=2, padding=1), nn.ReLU()",
                ),
                severity=None if share < self.warn_share else Severity.INFO,
            )

    examples = (
        Bad("INPUT 3x96x96 -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> GAP -> FC 10", at=("gap1", "pool3")),
        Bad("INPUT 3x64x64 -> [CONV 16 3x3 same -> RELU]*4 -> CONV 10 1x1 -> GAP -> SOFTMAX", at=("gap1", "conv5")),
        Good("INPUT 3x32x32 -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> GAP -> FC 10"),
        Good("INPUT 3x96x96 -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> FLATTEN -> FC 10"),
        Good("INPUT 3xHxW -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> GAP -> FC 10"),
    )


def _averages(graph: Graph, head: Head) -> Layer | str:
    """Return the layer that averages the map which `head` scores; or why there is none."""
    layer = graph.producer(head.output)
    while layer is not None and len(layer.inputs) == 1:
        if isinstance(layer, GlobalPool | AvgPool | MaxPool) and _is_global(layer):
            return layer if is_feature_map(graph, layer.input) else "what it averages is no map of positions"
        if isinstance(layer, Flatten) and any(extent != 1 for extent in layer.input.spatial or ()):
            return "a dense layer reads all positions of the flattened map"
        passes = isinstance(layer, Activation | BatchNorm | Dense) or layer.is_view
        if not passes and not (isinstance(layer, Conv) and layer.is_pointwise):
            break
        layer = graph.producer(layer.input)
    return "it averages no map"


def _is_global(layer: Layer) -> bool:
    after = layer.output.spatial
    return isinstance(layer, GlobalPool) or (bool(after) and all(extent == 1 for extent in after or ()))

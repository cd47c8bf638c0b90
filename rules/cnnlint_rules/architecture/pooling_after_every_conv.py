"""AR006: a pooling after a single convolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Activation,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Dense,
    Diagnostic,
    Dropout,
    Flatten,
    GlobalPool,
    Good,
    Layer,
    MaxPool,
    ModelRule,
    NearMiss,
    Severity,
    blocks,
    convolutions_and_pools,
    following,
)


class PoolingAfterEveryConv(
    ModelRule, code="AR006", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"
):
    """A deep network pools after a single convolution, so that maps shrink before much is learned of them.

    ## Why
    A max pooling of 2 × 2 throws three of four values away. After one convolution they hold edges of three pixels;
    after two or three, which see five and seven, what is kept is worth more, at the same size of the output. A stage of
    one convolution has one non-linearity, and five such stages use up a map of 32 pixels with five layers. Nikanjam and
    Khomh call it too much down-sampling, one of eight design smells.

    ## Instead
    Two or three convolutions of 3 × 3 between poolings, fewer poolings in all.

    ## When not
    The last pooling, right ahead of the dense layers, is left out, and so is a stem whose only convolution is 5 × 5 or
    larger or has a stride (ResNet). Networks of fewer than `min-layers` convolutions and poolings are small enough for
    any pattern. It is an opinion and runs with `--pedantic` only. NeuraLint counts the stem, and says so of ResNet50.

    ## References
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021.
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, section
      2.3.
    """

    min_layers: Annotated[int, Meta(description="The fewest convolutions and poolings that are judged.", ge=2)] = 10

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the max poolings that have one convolution ahead."""
        graph = context.graph
        if (number := convolutions_and_pools(graph)) < self.min_layers:
            yield self.skip(reason=f"{number} convolutions and poolings, fewer than min-layers = {self.min_layers}")
            return
        hasty = list[Layer]()
        for block in blocks(graph):
            pool, conv = block.pool, block.convolutions[0]
            if (
                not isinstance(pool, MaxPool)
                or all(stride == 1 for stride in pool.strides)
                or len(block.convolutions) > 1
            ):
                continue
            stem = context.depths[conv.name] == 1 and (max(conv.kernel_size) > 3 or max(conv.strides) > 1)
            after = following(graph, pool, lambda layer: isinstance(layer, Activation | BatchNorm | Dropout))
            if not stem and not isinstance(after, Dense | Flatten | GlobalPool | None):
                hasty.append(pool)
        if not hasty:
            return
        pools = sum(1 for block in blocks(graph) if block.pool is not None)
        yield self.finding(
            *hasty,
            message=f"{len(hasty)} of {pools} poolings have a single convolution ahead, {hasty[0].name} as the first.",
            evidence={"poolings": len(hasty), "of_poolings": pools},
            advice=Advice(
                text="Put two or three convolutions between poolings, or leave poolings out",
                keras='x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)\n'
                'x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)\n'
                "x = keras.layers.MaxPooling2D(2)(x)",
                pytorch="nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1),"
                " nn.ReLU(), nn.MaxPool2d(2))",
            ),
        )

    examples = (
        Bad(
            "INPUT 3x64x64 -> [CONV 32 3x3 -> RELU -> POOL 2]*5 -> FLATTEN -> FC 10",
            at=("pool1", "pool2", "pool3", "pool4"),
        ),
        Good("INPUT 3x64x64 -> [[CONV 32 3x3 -> RELU]*2 -> POOL 2]*4 -> FLATTEN -> FC 10"),
        Good("INPUT 1x28x28 -> [CONV 32 3x3 -> RELU -> POOL 2]*2 -> FLATTEN -> FC 10"),
    )

"""AR007: maps made smaller by other means than max pooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    Layer,
    MaxPool,
    ModelRule,
    NearMiss,
    Severity,
    convolutions_and_pools,
    shrinks,
)


class NonMaxDownsampling(ModelRule, code="AR007", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """Maps are made smaller by averages or strided convolutions, and by no max pooling after that.

    ## Why
    A maximum keeps that a feature was there, an average how much of it there was on the whole: a strong response in one
    of four positions is a quarter as strong after it. Nikanjam and Khomh list other means of down-sampling than max
    pooling as a design smell, the one on which the developers whom they asked agree least; the evidence is weak.

    ## Instead
    `MaxPooling2D(2)` between stages; try it against what is there.

    ## When not
    Nearly all newer networks use strided convolutions (ResNet, EfficientNet, ConvNeXt), which learn how to make a map
    smaller and cost nothing beside, and DenseNet's transitions average. So it is an opinion, and runs with `--pedantic`
    only, from `min-layers` convolutions and poolings on. NeuraLint counts every convolution that no max pooling
    follows, the last ones of any network too; this rule looks at the layers that make a map smaller.

    ## References
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021.
    - Scherer, Müller and Behnke, "Evaluation of Pooling Operations in Convolutional Architectures for Object
      Recognition", ICANN 2010.
    - Springenberg et al., "Striving for Simplicity: The All Convolutional Net", ICLR 2015 workshop.
    """

    min_layers: Annotated[int, Meta(description="The fewest convolutions and poolings that are judged.", ge=2)] = 10

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the layers that shrink a map with no max pooling after them."""
        graph = context.graph
        if (number := convolutions_and_pools(graph)) < self.min_layers:
            yield self.skip(reason=f"{number} convolutions and poolings, fewer than min-layers = {self.min_layers}")
            return
        before_max = set[str]()  # layers that a max pooling follows
        found, count = list[Layer](), 0
        for layer in reversed(graph.layers):
            after = graph.successors(layer)
            if any(reader.name in before_max or (isinstance(reader, MaxPool) and shrinks(reader)) for reader in after):
                before_max.add(layer.name)
            if shrinks(layer):
                count += 1
                if not isinstance(layer, MaxPool) and layer.name not in before_max:
                    found.append(layer)
        if not found:
            return
        found.reverse()
        yield self.finding(
            *found,
            message=f"{len(found)} of the {count} layers that make maps smaller are no max poolings, and none comes"
            f" after them; {found[0].name} is the first.",
            evidence={"layers": len(found), "of_layers": count},
            advice=Advice(
                text="Try max poolings in their place",
                keras="x = keras.layers.MaxPooling2D(2)(x)",
                pytorch="nn.MaxPool2d(2)",
            ),
        )

    examples = (
        Bad(
            "INPUT 3x64x64 -> [[CONV 32 3x3 -> RELU]*2 -> AVGPOOL 2]*4 -> GAP -> FC 10",
            at=("avgpool1", "avgpool2", "avgpool3", "avgpool4"),
        ),
        Good("INPUT 3x64x64 -> [[CONV 32 3x3 -> RELU]*2 -> POOL 2]*4 -> GAP -> FC 10"),
        Good("INPUT 3x64x64 -> CONV 32 3x3 stride 2 -> RELU -> GAP -> FC 10"),
    )

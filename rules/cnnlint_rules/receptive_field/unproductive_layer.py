"""RF001: convolutions that find nothing new in the image."""

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
    ModelRule,
    NearMiss,
    Savings,
    Severity,
    brief,
)

LEAST = 0.001
"""Share of the parameters below which the number is not told."""


class UnproductiveLayer(
    ModelRule, code="RF001", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """Convolutions read a map on which each position sees the whole image already, so that they find nothing new.

    ## Why
    A k × k convolution enlarges the receptive field by k − 1 times the product of the strides ahead. Where the field of
    what it reads is the image or more, its window adds padding and no picture. Richter et al. trained VGG, ResNet and
    others and looked at each layer: from this border on, classifiers trained on a layer's features become no better,
    although half the network may lie there. VGG19 on images of 32 × 32 gets there at its seventh convolution of 16: the
    last ten hold 94% of the weights of its convolutions. ResNet-18 on 16 × 16 pixels is beyond it in every block: in
    their toolbox's example cutting off its tail costs no accuracy, and taking strides out doubles it. The field counted
    is that along the shortest path: past a residual branch the image is still seen in part.

    ## Instead
    Feed larger images; take strides out of the first layers (ResNets for CIFAR-10 begin with a 3 × 3 of stride 1 and no
    pooling), which makes each layer's field smaller and the maps larger; or drop the layers beyond the border.

    ## When not
    One layer alone is reported as information: MobileNet's last depthwise convolution lies beyond 224 pixels. A network
    that is trained on small crops and run on larger images has its border elsewhere: lint it with `--input
    image=1x3x224x224`. Networks that give maps (segmentation, detection) need context from outside the image's middle
    at each position and are not judged, nor are networks for the boards of games, which work on after they have seen
    all (small inputs without any stride), nor 1 × 1 convolutions, which look at no neighbors.

    ## References
    - Richter, Schöning, Wiedenroth and Krumnack, "Should You Go Deeper? Optimizing Convolutional Neural Network
      Architectures without Training", ICMLA 2021.
    - Richter, Byttner, Krumnack, Wiedenroth, Schallner and Shenk, "(Input) Size Matters for CNN Classifiers", ICANN
      2021.
    - Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
    """

    min_layers: Annotated[int, Meta(description="From so many such layers on it is a warning.", ge=1)] = 2
    min_share: Annotated[
        float, Meta(description="From this share of the parameters on it is a warning, 0 to 1.", ge=0, le=1)
    ] = 0.2

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the convolutions beyond the border, and what they cost."""
        if isinstance(border := context.border, str):
            if border:
                yield self.skip(reason=border)
            return
        graph, image, layers = context.graph, border.image, border.unproductive
        if not layers:
            yield self.skip(reason="no convolution reads a map whose positions see all of the image")
            return
        first = layers[0]
        ahead = graph.producer(first.input)
        seen = context.shortest_fields[ahead.name] if ahead else None
        held, total = [layer.parameters or 0 for layer in layers], context.parameters
        parameters = sum(held)
        share = parameters / total if total else 0.0
        macs = sum(context.layer_macs(layer) or 0 for layer in layers)
        size = " × ".join(map(str, image))
        field = " × ".join(map(str, seen or ()))
        count = f"{len(layers):,} convolutions find" if len(layers) > 1 else f"{first.name} finds"
        read = f"{first.name} reads" if len(layers) > 1 else "it reads"
        part = f"{share:.{int(share < 0.1)}%}" if share >= LEAST else f"under {LEAST:.1%}"
        cost = f"{parameters:,} parameters ({part})" if total else "an unknown number of parameters"
        yield self.finding(
            *layers,
            message=f"{count} nothing new in the image of {size}: each position of what {read} sees"
            f" {field} pixels already; {'they take' if len(layers) > 1 else 'it takes'} {cost} and {brief(macs)} MACs.",
            evidence={
                "layers": len(layers),
                "parameters": parameters,
                "share": share,
                "macs": macs,
                **{f"seen_{axis}": extent for axis, extent in enumerate(seen or ())},
                **{f"image_{axis}": extent for axis, extent in enumerate(image)},
            },
            advice=Advice(
                text="Feed larger images, take strides out of the first layers, or drop what lies beyond",
                keras=f'x = keras.layers.Conv{len(image)}D(64, 3, strides=1, padding="same")(x)'
                "  # the stem: no stride, no pooling",
                pytorch=f"model.conv1 = nn.Conv{len(image)}d({graph.inputs[0].channels}, 64, 3, stride=1, padding=1)\n"
                "model.maxpool = nn.Identity()",
            ),
            savings=Savings(parameters=parameters, macs=macs),
            severity=None if len(layers) >= self.min_layers or share >= self.min_share else Severity.INFO,
        )

    examples = (
        Bad(
            "INPUT 3x16x16 -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> [CONV 32 3x3 same -> RELU]*2 -> GAP -> FC 10",
            at=("conv4", "conv5"),
        ),
        Bad(
            "INPUT 3x12x12 -> CONV 64 7x7 stride 2 same -> RELU -> POOL 3 stride 2 same ->"
            " [RES[CONV 64 3x3 same -> RELU -> CONV 64 3x3 same] -> RELU]*2 -> GAP -> FC 10",
            at=("conv3", "conv5"),
        ),
        Good("INPUT 3x64x64 -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> [CONV 32 3x3 same -> RELU]*2 -> GAP -> FC 10"),
        Good("INPUT 3x16x16 -> [CONV 16 3x3 same -> RELU]*3 -> POOL 2 -> CONV 32 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 3xHxW -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> [CONV 32 3x3 same -> RELU]*2 -> GAP -> FC 10"),
    )

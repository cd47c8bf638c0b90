"""AR009: a classifier of images with hardly a convolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Attention,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    MatMul,
    ModelRule,
    NearMiss,
    Opaque,
    Recurrent,
    Severity,
)


class TooFewConv(ModelRule, code="AR009", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A classifier of images has fewer convolutions than are usual for gray or color images.

    ## Why
    One convolution of 3 × 3 finds edges of three pixels, and the dense layers after it must tell objects by those. Each
    further one combines what was found into larger parts: LeNet-5 has two for gray digits, AlexNet five for color
    photographs. Theia, which checks networks against what trained ones have in common, asks for at least two
    convolutions where images have one channel and three where they have three.

    ## Instead
    Another convolution, with a pooling ahead of it: for 28 × 28 digits two stages, for 32 × 32 color images three.

    ## When not
    Simple patterns need no more, and the numbers are empirical: it is an opinion and runs with `--pedantic` only.
    Theia's ranges for filters and units are left out, since LeNet-5 violates them. 1 × 1 convolutions are not counted,
    and networks with attention, recurrent cells or patches (ViT, MLP-Mixer) are not judged. More than two hidden dense
    layers are FC005, stages without a pooling AR001.

    ## References
    - Manke, Wardat, Khairunnesa and Rajan, "Leveraging Data Characteristics for Bug Localization in Deep Learning
      Programs" (Theia), 2024.
    - LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE, 1998.
    """

    min_gray: Annotated[int, Meta(description="The fewest convolutions for images of one channel.", ge=1)] = 2
    min_color: Annotated[int, Meta(description="The fewest convolutions for images of three channels.", ge=1)] = 3

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a classifier with too few convolutions."""
        graph = context.graph
        convolutions = [layer for layer in graph.of_kind(Conv) if not layer.is_pointwise]
        if not convolutions or len(convolutions) >= max(self.min_gray, self.min_color):
            return
        images = [tensor for tensor in graph.inputs if len(tensor.spatial or ()) == 2]
        channels = images[0].channels if len(images) == 1 and len(graph.inputs) == 1 else None
        least = {1: self.min_gray, 3: self.min_color}.get(channels) if isinstance(channels, int) else None
        if least is None:
            yield self.skip(*convolutions, reason="the input is no gray or color image")
            return
        patches = any(layer.strides == layer.kernel_size for layer in convolutions)
        if patches or next(graph.of_kind(Attention, MatMul, Recurrent, Opaque), None) is not None:
            yield self.skip(*convolutions, reason="other layers than convolutions look at the image")
            return
        classifies = [head for head in context.heads if head.is_vector]
        if len(classifies) < len(context.heads):
            yield self.skip(*convolutions, reason="it gives maps")
            return
        if len(convolutions) >= least:
            return
        count = f"{len(convolutions)} convolution{'s' if len(convolutions) > 1 else ''}"
        color = "one channel" if channels == 1 else "three channels"
        yield self.finding(
            *convolutions,
            message=f"{count} of more than 1 × 1 look at images of {color}; {least} are the fewest that are usual.",
            evidence={"convolutions": len(convolutions), "least": least},
            advice=Advice(
                text="Add a convolution with a pooling ahead of it",
                keras="x = keras.layers.MaxPooling2D(2)(x)\n"
                'x = keras.layers.Conv2D(64, 3, padding="same", activation="relu")(x)',
                pytorch="nn.MaxPool2d(2), nn.Conv2d(channels, 64, 3, padding=1), nn.ReLU()",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 10 -> SOFTMAX", at=("conv1",)),
        Bad("INPUT 1x28x28 -> CONV 32 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 10 -> SOFTMAX", at=("conv1",)),
        Good("INPUT 1x28x28 -> CONV 6 5x5 -> TANH -> POOL 2 -> CONV 16 5x5 -> TANH -> POOL 2 -> FLATTEN -> FC 10"),
        Good("INPUT 3x32x32 -> [CONV 32 3x3 -> RELU -> POOL 2]*3 -> FLATTEN -> FC 10"),
    )

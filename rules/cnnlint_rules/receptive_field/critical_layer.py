"""RF002: convolutions that begin to see beyond the image."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    ModelRule,
    NearMiss,
    Severity,
)


class CriticalLayer(ModelRule, code="RF002", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A convolution's receptive field grows past the image, though that of what it reads is still smaller.

    ## Why
    It is the last layer whose window finds something new, and finds it with part of the window only. Richter et al.
    call such layers critical: whether they still help depends on the data, and every spatial convolution after one is
    unproductive (RF001). In networks with shortcuts the first convolution of each residual block may be one.

    ## Instead
    Nothing, if it is the last. If many layers follow, larger images, or fewer strides ahead.

    ## When not
    Good networks end so: the last convolution of VGG19 sees 252 of 224 pixels. So it is an opinion and runs with
    `--pedantic` only; what costs something is RF001.

    ## References
    - Richter, Schöning, Wiedenroth and Krumnack, "Should You Go Deeper? Optimizing Convolutional Neural Network
      Architectures without Training", ICMLA 2021.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the convolutions at the border."""
        if isinstance(border := context.border, str):
            if border:
                yield self.skip(reason=border)
            return
        image, layers = border.image, border.critical
        if not layers:
            return
        field = context.shortest_fields[layers[0].name] or ()
        size, sees = (" × ".join(map(str, extents)) for extents in (image, field))
        who = f"{layers[0].name} sees" if len(layers) == 1 else f"{len(layers):,} convolutions see"
        least = "" if len(layers) == 1 else f", {layers[0].name} as the first"
        yield self.finding(
            *layers,
            message=f"{who} beyond the image of {size}{least} with a field of {sees}, and what it reads sees less.",
            evidence={
                "layers": len(layers),
                **{f"sees_{axis}": extent for axis, extent in enumerate(field)},
                **{f"image_{axis}": extent for axis, extent in enumerate(image)},
            },
            advice=Advice(text="Feed larger images or take a stride out of the layers ahead, if more layers follow"),
        )

    examples = (
        Bad(
            "INPUT 3x16x16 -> [CONV 16 3x3 same -> RELU -> POOL 2]*2 -> [CONV 32 3x3 same -> RELU]*2 -> GAP -> FC 10",
            at=("conv3",),
        ),
        Good("INPUT 3x64x64 -> [CONV 16 3x3 same -> RELU -> POOL 2]*2 -> [CONV 32 3x3 same -> RELU]*2 -> GAP -> FC 10"),
    )

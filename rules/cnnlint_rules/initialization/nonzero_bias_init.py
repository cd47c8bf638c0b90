"""IN002: a bias that begins with something else than zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Finding,
    Good,
    Initializer,
    LayerRule,
    NearMiss,
    Severity,
    Training,
)

ZEROS = Advice(text="Begin with zeros", keras='bias_initializer="zeros"', pytorch="nn.init.zeros_(layer.bias)")


class NonzeroBiasInit(
    LayerRule[Conv | ConvTranspose | Dense],
    code="IN002",
    severity=Severity.INFO,
    confidence=Confidence.OPINION,
    since="0.1.0",
):
    """A layer's bias begins with another value than zero.

    ## Why
    The kernel's random values break the symmetry between units, so a bias need not, and one that begins away from zero
    shifts every activation of its layer to one side before anything is learned. Small positive values were given ahead
    of relus so that all of them pass a gradient at first; with He's initialization half of them do, and the gain has
    not been consistent.

    ## Instead
    Zeros, Keras's default.

    ## When not
    The last layer of a detector begins with -log((1 - π) / π), so that it says "background" at first (RetinaNet), and
    that of a regression with the mean of its targets; the forget gate of an LSTM with 1, which is a setting of its own
    in Keras. PyTorch draws biases uniformly from ±1 / √fan-in. So this is an opinion, and runs with `--pedantic`.

    ## References
    - Karpathy et al., "CS231n: Convolutional Neural Networks for Visual Recognition", notes on initializing biases.
    - Lin, Goyal, Girshick, He and Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, section 4.1.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    """

    def check(self, layer: Conv | ConvTranspose | Dense, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a bias whose initializer is not zero."""
        bias = layer.weight("bias")
        initializer = None if bias is None else context.graph.training.initializers.get(bias.key)
        if bias is None or initializer is None or initializer.value == 0:
            return
        if bias.trainable is False:
            yield self.skip(layer, reason="it is not trained")
            return
        size = bias.size or 0
        begins = initializer.name or "a custom initializer"
        if initializer.value is not None:
            begins = f"{initializer.value:g}"
        yield self.finding(
            layer,
            message=f"The {size:,} biases of {layer.name} begin as {begins} and not as 0.",
            evidence={"biases": size},
            advice=ZEROS,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many biases do not begin as zero."""
        size = sum(int(place.evidence["biases"]) for place in places)
        return self.finding(
            message=f"{size:,} biases of {len(places):,} layers begin as something else than 0.",
            evidence={"biases": size, "layers": len(places)},
            advice=ZEROS,
        )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("conv1",),
            training=Training(initializers={"conv1.bias": Initializer("constant", 0.1)}),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training(initializers={"conv1.bias": Initializer("zeros", 0.0)}),
        ),
    )

"""IN001: a kernel that begins with one and the same value everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Activation,
    Add,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Elementwise,
    Finding,
    GlobalPool,
    Good,
    Initializer,
    Layer,
    LayerRule,
    MaxPool,
    NearMiss,
    Severity,
    Training,
    following,
)

Kernel = Conv | ConvTranspose | Dense


class ConstantWeightInit(
    LayerRule[Conv | ConvTranspose | Dense],
    code="IN001",
    severity=Severity.WARNING,
    confidence=Confidence.EXACT,
    since="0.1.0",
):
    """A layer's kernel begins with the same value everywhere, so that all of its units begin as one.

    ## Why
    Units with the same weights compute the same and, where what reads them is the same too, get the same gradient: a
    layer of 64 filters then is one filter, for all of training. With zeros ahead of a relu it is worse: its input is 0,
    its slope there is 0, and no gradient ever passes; the layer and all that lies ahead of it never learn. With random
    weights in the next layer the units part at the first step, and only time is lost.

    | Kernel | Severity |
    | --- | --- |
    | zeros, and a relu (or a normalization and a relu) reads it | error |
    | constant, and the next layer's kernel is constant too | error |
    | constant otherwise | warning |

    ## Instead
    He's initialization ahead of relus, Glorot's ahead of others (Keras's default).

    ## When not
    Zeros are meant, and not reported, in the last layer of a network, where the gradient does not pass through them to
    begin with, and at the end of a residual branch, which then begins as the identity (Fixup, ControlNet). A layer that
    is not trained, as a fixed filter; a single unit; and depthwise kernels, whose channels see different inputs, are
    left alone too. The rule reads how the file says that weights began, which a Keras file does and an ONNX file does
    not; what stored values are, a constant kernel (WT007) or dead filters, is told by the rules on weights.

    ## References
    - Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 8.4, on breaking symmetry.
    - He, Zhang, Ren and Sun, "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet
      Classification", ICCV 2015.
    - Zhang, Dauphin and Ma, "Fixup Initialization: Residual Learning Without Normalization", ICLR 2019.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    """

    def check(self, layer: Kernel, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a constant kernel and what comes of it."""
        value = _constant(context, layer)
        if value is None:
            return
        if reason := _meant(context, layer, value):
            yield self.skip(layer, reason=reason)
            return
        units = layer.out_channels
        severity, told = (
            Severity.WARNING,
            "begin as one, and part only by what the next layer's random weights send back",
        )
        reader = following(context.graph, layer, _passes)
        if value == 0 and _rectified(context, layer):
            severity, told = Severity.ERROR, "never learn: a relu of 0 has no slope, and all ahead gets no gradient"
        elif isinstance(reader, Kernel) and _constant(context, reader) is not None:
            severity, told = Severity.ERROR, f"stay one for ever: what {reader.name} sends back is the same for all"
        yield self.finding(
            layer,
            message=f"All weights of {layer.name} begin as {value:g}, so its {units:,} units {told}.",
            evidence={"value": value, "units": units},
            advice=Advice(
                text="Begin with random weights of He's or Glorot's size",
                keras='kernel_initializer="he_normal"',
                pytorch='nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")',
            ),
            severity=severity,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many layers begin with constant kernels."""
        units = sum(int(place.evidence["units"]) for place in places)
        return self.finding(
            message=f"The weights of {len(places):,} layers with {units:,} units begin as one value in each layer, so"
            " that the units of a layer begin as one.",
            evidence={"layers": len(places), "units": units},
            advice=Advice(
                text="Begin with random weights of He's or Glorot's size",
                keras='kernel_initializer="he_normal"',
                pytorch='nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")',
            ),
        )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("conv1",),
            training=Training(initializers={"conv1.kernel": Initializer("zeros", 0.0)}),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("conv1",),
            training=Training(initializers={"conv1.kernel": Initializer("constant", 0.1)}),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training(initializers={"conv1.kernel": Initializer("he_normal")}),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training(initializers={"fc1.kernel": Initializer("zeros", 0.0)}),
        ),
    )


def _constant(context: Context, layer: Layer) -> float | None:
    """Return the value with which every element of the layer's kernel begins; None if they differ or nobody says."""
    initializers = context.graph.training.initializers
    if not initializers:
        return None
    kernel = next((weight for weight in layer.weights if weight.role.endswith("kernel")), None)
    initializer = None if kernel is None else initializers.get(kernel.key)
    return None if initializer is None else initializer.value


def _meant(context: Context, layer: Kernel, value: float) -> str:
    """Return why a constant kernel does no harm; "" if it does."""
    kernel = next(weight for weight in layer.weights if weight.role.endswith("kernel"))
    if kernel.trainable is False:
        return "it is not trained: a filter that was chosen"
    if layer.out_channels == 1:
        return "it has a single unit"
    if isinstance(layer, Conv) and layer.groups > 1 and layer.out_channels == layer.groups:
        return "each of its filters sees a channel of its own"
    if value:
        return ""
    if any(head.scorer is layer for head in context.heads):
        return "it scores an output, which may begin with the same score for all"
    reader = following(context.graph, layer, lambda after: isinstance(after, BatchNorm) or after.is_view)
    if isinstance(reader, Add | Elementwise):
        return f"{reader.name} adds it to another branch, which it leaves alone to begin with"
    return ""


def _passes(layer: Layer) -> bool:
    return isinstance(layer, Activation | BatchNorm | MaxPool | AvgPool | GlobalPool) or layer.is_view


def _rectified(context: Context, layer: Layer) -> bool:
    """Return whether a relu reads what `layer` makes, normalized or not, and its bias begins as 0."""
    bias = layer.weight("bias")
    begins = None if bias is None else context.graph.training.initializers.get(bias.key)
    reader = following(context.graph, layer, lambda after: isinstance(after, BatchNorm) or after.is_view)
    is_zero = bias is None or begins is None or begins.value == 0
    return is_zero and isinstance(reader, Activation) and reader.function in ("relu", "relu6")

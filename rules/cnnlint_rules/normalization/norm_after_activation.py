"""BN001: a batch normalization after the activation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from cnnlint import (
    KERNEL_LAYERS,
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
    Finding,
    Good,
    Graph,
    Layer,
    LayerRule,
    MaxPool,
    NearMiss,
    Severity,
    brief,
    folds_forward,
    is_nonlinear,
)

Order = Literal["conv-bn-act", "conv-pool-bn-act", "bn-act-conv", "conv-act-bn", "conv-act-pool-bn", "conv-pool-act-bn"]


class NormAfterActivation(
    LayerRule[BatchNorm], code="BN001", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A batch normalization comes after the activation, or in another order than those that the team allows.

    ## Why
    After its convolution (or dense layer) a normalization is free at inference: γ(Wx − μ)/σ + β is again a
    convolution, with kernel γW/σ and bias β − γμ/σ. With the activation between it cannot be folded backward, and
    forward only into a convolution without zero padding; so it stays, and costs a pass over the map: 2 × C × H × W
    operations and, on a device bound by memory, C × H × W reads and writes. What reaches the next convolution is then
    a rectified distribution stretched to unit variance, and no longer sparse.

    ## Instead
    Convolution, normalization, activation (Ioffe and Szegedy), or the pre-activation order normalization,
    activation, convolution in residual and dense blocks (He et al.; Huang et al.). A pooling before the
    normalization makes it cheaper and is fine.

    ## When not
    Where the next layer with a kernel can take the norm in, it costs nothing: a dense layer, also after an average
    pooling, and a convolution without zero padding. Where the norm's output or the activation itself goes to several
    layers or into a sum, the order is a residual design (ConvMixer, the identity branch of RepVGG): an activation
    last would let the branch only ever add. A pass that writes less than `min-share` of what the network writes is
    not reported. Either order can be the more accurate one: on a small CaffeNet, Mishkin et al. measured slightly
    better results with the normalization after the ReLU. A team that prefers that allows `conv-act-bn` in `orders`.

    ## References
    - Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift", ICML 2015, section 3.2.
    - He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016.
    - Huang et al., "Densely Connected Convolutional Networks", CVPR 2017.
    - Mishkin, Sergievskiy and Matas, "Systematic evaluation of convolution neural network advances on the ImageNet",
      CVIU 2017.
    """

    orders: Annotated[tuple[Order, ...], Meta(description="Orders of layers that are fine.", min_length=1)] = (
        "conv-bn-act",
        "conv-pool-bn-act",
        "bn-act-conv",
    )

    min_share: Annotated[
        float,
        Meta(description="The least share of all values that the network's layers write, 0 to 1.", ge=0, le=1),
    ] = 0.001

    def check(self, layer: BatchNorm, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the order of the layers around `layer` and what the norm costs there."""
        order, before = _order(context.graph, layer)
        if order is None:
            yield self.skip(
                layer, reason="it is in no order with a convolution: what it normalizes comes from elsewhere"
            )
            return
        if order in self.orders:
            yield self.skip(layer, reason=f"{order} is one of the orders that are fine")
            return
        if reason := self._free(layer, context):
            yield self.skip(layer, reason=f"{order}, but {reason}")
            return
        elements = layer.output.sample_elements
        learner = before[0].name
        subject = f"The order is {order}: {' → '.join([*(step.name for step in before), layer.name])}"
        if "act" in order.partition("bn")[0]:
            activation = next(step for step in before if is_nonlinear(step))
            cost = "" if elements is None else f", so {2 * elements:,} operations per sample stay at inference"
            subject = f"{activation.name} keeps this normalization from being folded into {learner}{cost}"
        yield self.finding(
            layer,
            *before,
            message=f"{subject}.",
            evidence={} if elements is None else {"elements": elements, "operations": 2 * elements},
            advice=Advice(
                text=f"Normalize right after {learner} and activate afterward, then retrain",
                **_snippets(before),
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return what the normalizations cost in all."""
        known = [place.evidence["operations"] for place in places if "operations" in place.evidence]
        cost = f": {brief(int(sum(known)))} operations per sample" if known else ""
        return self.finding(
            message=f"{len(places):,} normalizations stand after an activation, or in another order than those that are"
            f" fine, and cannot be folded{cost}.",
            evidence={"operations": sum(known)} if known else {"normalizations": len(places)},
            advice=Advice(text="Normalize right after each convolution and activate afterward, then retrain"),
        )

    def _free(self, norm: BatchNorm, context: Context) -> str:
        """Return why `norm` costs nothing worth telling where it stands, or stands there by design; "" if neither."""
        graph = context.graph
        if graph.sole_successor(norm) is None and not graph.is_output(norm.output):
            return "several layers read what it makes: a residual trunk, where the activation cannot come last"
        if isinstance(reader := graph.sole_successor(norm), Add):
            return f"{reader.name} adds what it makes to another branch, where the activation cannot come last"
        source = graph.producer(norm.input)
        if source is not None and graph.sole_successor(source) is None:
            return f"others read {source.name} too: it is a branch of its own"
        if (taker := folds_forward(graph, norm)) is not None:
            return f"it folds into {taker.name} after it"
        if (share := context.written_share(norm)) is not None and share < self.min_share:
            return f"its pass writes {share:.2%} of what the network writes, less than min-share = {self.min_share:.1%}"
        return ""

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> BN -> CONV 32 3x3 same -> RELU -> GAP -> FC 10",
            at=("bn1", "conv1", "relu1"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> BN -> RELU -> CONV 32 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> POOL 2 -> BN -> RELU -> CONV 32 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RES[BN -> RELU -> CONV 16 3x3 same] -> BN -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> BN -> CONV 32 3x3 valid -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RES[CONV 16 3x3 same -> GELU -> BN] -> CONV 32 1x1 -> GAP -> FC 10"),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> BN -> CONV 32 3x3 same -> RELU -> GAP -> FC 10",
            orders=("conv-act-bn",),
        ),
    )


def _snippets(layers: list[Layer]) -> dict[str, str]:
    """Return the layers in their new order as Keras and PyTorch spell them."""
    learner = layers[0]
    if isinstance(learner, Dense):
        keras = f"Dense({learner.units}, use_bias=False)"
        pytorch = f"nn.Linear({learner.in_features}, {learner.units}, bias=False), nn.BatchNorm1d({learner.units})"
    elif isinstance(learner, Conv | ConvTranspose):
        rank, transpose = len(learner.kernel_size), "Transpose" if isinstance(learner, ConvTranspose) else ""
        size = f"{learner.filters}, {learner.kernel_size}, ..."
        keras = f"Conv{rank}D{transpose}({size}, use_bias=False)"
        convolution = f"nn.Conv{transpose}{rank}d({learner.in_channels}, {size}, bias=False)"
        pytorch = f"{convolution}, nn.BatchNorm{rank}d({learner.filters})"
    else:
        return {}
    function = next((step.function for step in layers if isinstance(step, Activation)), "relu")
    activation = "PReLU()" if function == "prelu" else f'Activation("{function}")'
    return {
        "keras": f"x = keras.layers.{keras}(x)\nx = keras.layers.BatchNormalization()(x)\n"
        f"x = keras.layers.{activation}(x)",
        "pytorch": f"nn.Sequential({pytorch}, activation)",
    }


def _order(graph: Graph, norm: BatchNorm) -> tuple[Order | None, list[Layer]]:
    """Return the order that `norm` stands in, and the layers before it, the convolution or dense layer first."""
    before = list[Layer]()
    steps = list[str]()
    layer = graph.producer(norm.input)
    while layer is not None and not isinstance(layer, KERNEL_LAYERS):
        if is_nonlinear(layer) and "act" not in steps:
            steps.append("act")
        elif isinstance(layer, MaxPool | AvgPool) and "pool" not in steps:
            steps.append("pool")
        elif not layer.is_identity_at_inference:
            break
        before.append(layer)
        layer = graph.producer(layer.input)
    activates = any(is_nonlinear(successor) for successor in graph.successors(norm))
    if activates and (not isinstance(layer, KERNEL_LAYERS) or "act" in steps):
        return "bn-act-conv", []
    if not isinstance(layer, KERNEL_LAYERS):
        return None, []
    orders: dict[tuple[str, ...], Order] = {
        (): "conv-bn-act",
        ("pool",): "conv-pool-bn-act",
        ("act",): "conv-act-bn",
        ("pool", "act"): "conv-act-pool-bn",
        ("act", "pool"): "conv-pool-act-bn",
    }
    return orders[tuple(steps)], [layer, *reversed(before)]

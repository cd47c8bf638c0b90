"""AC005: hidden layers without an activation, though something else stands after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    KERNEL_LAYERS,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Concat,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    Diagnostic,
    Finding,
    Flatten,
    GlobalPool,
    Good,
    Graph,
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    LocalResponseNorm,
    MaxPool,
    ModelRule,
    NearMiss,
    Pad,
    Recurrent,
    Resize,
    Severity,
)

Kernel = Conv | ConvTranspose | Dense

NO_ACTIVATION = (
    AvgPool, BatchNorm, Concat, Crop, Flatten, GlobalPool, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm,
    MaxPool, Pad, Resize,
)  # fmt: skip
"""Layers that move, average, select or scale values, as no activation does."""


class MissingActivation(
    ModelRule, code="AC005", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A hidden layer's outputs reach the next learned layer through pooling, flattening or norms, but no activation.

    ## Why
    Layers without an activation between them are linear maps, and linear maps compose to one: however many there are,
    they tell apart what one could. Flattening, average pooling, padding, dropout and batch normalization change nothing
    about that. A max pooling is not linear, but it selects one of several sums and bends none. Most often the
    activation was forgotten, since `Conv2D(64, 3)`, `Dense(64)`, `nn.Conv2d` and `nn.Linear` have none.

    ## Instead
    An activation after the layer, or after the norm that follows it: `activation="relu"`, `nn.ReLU()`. Ahead of a max
    pooling or after it, ReLU gives the same; after it costs a quarter.

    ## When not
    Left out on purpose, and known to the rule: depthwise or grouped convolutions and their 1 × 1, a 1 × 1 that narrows
    the channels (a linear bottleneck), patches cut by a kernel that moves by its own size, an upsampling by a
    transposed convolution whose kernel is its stride or whose map is joined with a skip connection, a latent vector
    that a dense layer spreads over a map, sums and gates. The output layer needs none either, and is never looked at.

    One smell has one code: where nothing but batch normalization and dropout stands between two convolutions it is
    CV002 (one kernel would do), between two dense layers FC003 (one matrix would do); this rule has all other places.
    Files for quantized inference may have their ReLU in the limits of an integer type; no place in them is reported.

    ## References
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    - Schoop, Huang and Hartmann, "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model Behavior",
      CHI 2021.
    - Glorot, Bordes and Bengio, "Deep Sparse Rectifier Neural Networks", AISTATS 2011.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the layers all of whose readers are reached without an activation."""
        graph = context.graph
        for layer, between, target in _unactivated(graph):
            if _has_own_code(layer, between, target):
                continue
            if reason := _on_purpose(layer, between, target):
                yield self.skip(layer, target, reason=reason)
                continue
            names = ", ".join(dict.fromkeys(each.label for each in between))
            only = f", only {names}" if names else ""
            rank = len(layer.kernel_size) if isinstance(layer, Conv | ConvTranspose) else 0
            made = f"Conv{rank}D({layer.out_channels}, ...)" if rank else f"Dense({layer.out_channels})"
            yield self.finding(
                layer,
                target,
                message=f"No activation stands between {layer.name} and {target.name}{only}.",
                evidence={"channels": layer.out_channels, "layers_between": len(between)},
                advice=Advice(
                    text=f"Put an activation after {layer.name}",
                    keras=f'keras.layers.{made[:-1]}, activation="relu")',
                    pytorch=f"nn.ReLU()  # after {layer.name}",
                ),
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many layers have no activation."""
        return self.finding(
            message=f"{len(places):,} hidden layers have no activation: only pooling, flattening or norms stand between"
            " them and the next learned layers.",
            evidence={},
            advice=Advice(
                text="Put an activation after each",
                keras='keras.layers.Conv2D(filters, 3, activation="relu")',
                pytorch="nn.ReLU()  # after each",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> POOL 2 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", at=("conv1", "conv2")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> CONV 32 3x3 -> BN -> FLATTEN -> FC 10", at=("conv2", "fc1")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> DROPOUT 0.2 -> GAP -> FC 10", at=("conv1", "fc1")),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> POOL 2 -> RELU -> CONV 32 3x3 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> POOL 2 -> CONV 32 3x3 -> RELU -> FLATTEN -> FC 10"),
        Good("INPUT 64x32x32 -> CONV 32 1x1 -> AVGPOOL 2 -> CONV 64 3x3 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> CONV 32 3x3 -> RELU -> GAP -> FC 10"),
    )


def _unactivated(graph: Graph) -> list[tuple[Kernel, tuple[Layer, ...], Layer]]:
    """Return the learned layers whose readers are all reached without an activation: what lies between, and the first.

    One pass from the outputs back: a layer is open if each of its readers is a learned one, or passes values on and is
    open itself.
    """
    ahead = dict[str, tuple[tuple[Layer, ...], Layer]]()
    found = list[tuple[Kernel, tuple[Layer, ...], Layer]]()
    for layer in reversed(graph.layers):
        learned = isinstance(layer, KERNEL_LAYERS)
        if not learned and not isinstance(layer, NO_ACTIVATION) and not layer.is_view:
            continue
        way = _way(graph, layer, ahead)
        if way is None:
            continue
        if learned:
            found.append((layer, *way))
        else:
            ahead[layer.name] = ((layer, *way[0]), way[1])
    return found[::-1]


def _way(
    graph: Graph, layer: Layer, ahead: dict[str, tuple[tuple[Layer, ...], Layer]]
) -> tuple[tuple[Layer, ...], Layer] | None:
    readers = graph.successors(layer)
    if not readers or any(graph.is_output(tensor) for tensor in layer.outputs):
        return None
    ways = [
        ((), reader) if isinstance(reader, (*KERNEL_LAYERS, Recurrent)) else ahead.get(reader.name)
        for reader in readers
    ]
    return None if None in ways else ways[0]


def _has_own_code(layer: Kernel, between: tuple[Layer, ...], target: Layer) -> bool:
    """Return whether CV002 or FC003 says it."""
    same = (isinstance(layer, Conv) and isinstance(target, Conv)) or (
        isinstance(layer, Dense) and isinstance(target, Dense)
    )
    return same and all(each.is_affine_per_channel for each in between)


def _on_purpose(layer: Kernel, between: tuple[Layer, ...], target: Layer) -> str:
    """Return why the activation is left out; "" if nothing explains it."""
    joined = any(isinstance(each, Concat) for each in between)
    if isinstance(layer, Conv | ConvTranspose) and layer.groups > 1:
        return "its channels are grouped, and another layer mixes them"
    if isinstance(layer, Conv) and layer.filters == layer.in_channels == 1:
        return "one channel to one: the filter of a signal's front end"
    if isinstance(target, Conv | ConvTranspose) and target.groups > 1:
        return "the next kernel works on channels by themselves"
    if (
        isinstance(layer, Conv | ConvTranspose)
        and layer.strides == layer.kernel_size
        and not (isinstance(layer, Conv) and layer.is_pointwise)
    ):
        return "its kernel moves by its own size: it cuts patches, or lays them side by side"
    if isinstance(layer, ConvTranspose) and joined:
        return "it scales a map up to join it with a skip connection"
    if isinstance(layer, Conv) and layer.is_pointwise and layer.filters < (layer.in_channels or 0):
        return f"a linear bottleneck: {layer.in_channels} → {layer.filters} channels"
    if isinstance(layer, Dense):
        if isinstance(target, Recurrent):
            return "it projects what a recurrent cell reads"
        if isinstance(target, Conv | ConvTranspose) and layer.units > (layer.in_features or layer.units):
            return "it spreads a vector over a map"
        if layer.units < (layer.in_features or 0) and isinstance(target, Dense) and layer.units < target.units:
            return f"a linear bottleneck: {layer.in_features} → {layer.units} → {target.units}"
    return ""

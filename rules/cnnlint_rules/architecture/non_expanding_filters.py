"""AR004: fewer filters in later convolutions."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Activation,
    Advice,
    Bad,
    BatchNorm,
    Concat,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    Layer,
    ModelRule,
    NearMiss,
    Severity,
    following,
)


class NonExpandingFilters(
    ModelRule, code="AR004", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"
):
    """A convolution has fewer filters than one ahead of it, although the map has not become larger.

    ## Why
    What a network knows of an image moves from positions to channels: with each halving of the map the features become
    more and more specific, and VGG, ResNet and their successors double the filters. A layer with fewer filters than one
    ahead of it forces what was found through a narrower place, and everything after it is a function of that. Nikanjam
    and Khomh call it a non-expanding feature map, one of eight design smells.

    ## Instead
    As many filters as ahead at the same size of the map, twice as many after each halving.

    ## When not
    Bottlenecks and squeeze layers (1 × 1), decoders, where the map grows again, and the layer that makes the scores
    narrow on purpose; so do grouped convolutions, and branches that are joined side by side (Inception, DenseNet): the
    rule leaves all of these alone. It is an opinion and runs with `--pedantic` only. NeuraLint compares any two
    convolutions of a model, whatever their kernels and whether the map grows between them.

    ## References
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021.
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the convolutions that are narrower than one ahead."""
        graph = context.graph
        scorers = {head.scorer.name for head in context.heads if head.scorer is not None}
        ahead = dict[str, Conv]()  # the widest convolution on the way to a tensor, since the map grew
        narrower, widest = list[Conv](), dict[str, Conv]()
        for layer in graph.layers:
            before = [ahead[tensor.name] for tensor in layer.inputs if tensor.name in ahead]
            found = max(before, key=lambda conv: conv.filters, default=None)
            if found is not None and _grows(layer):
                found = None
            if isinstance(layer, Conv) and layer.groups == 1 and not layer.is_pointwise:
                if found is None or layer.filters >= found.filters:
                    found = layer
                elif layer.name not in scorers and not _is_branch(context, layer):
                    narrower.append(layer)
                    widest[layer.name] = found
            if found is not None:
                ahead |= {tensor.name: found for tensor in layer.outputs}
        if not narrower:
            return
        first = narrower[0]
        other = widest[first.name]
        count = f"{len(narrower):,} convolutions have" if len(narrower) > 1 else f"{first.name} has"
        as_first = f" {first.name} is the first, with" if len(narrower) > 1 else ""
        yield self.finding(
            *narrower,
            message=f"{count} fewer filters than one ahead:{as_first} {first.filters} after {other.filters} in"
            f" {other.name}.",
            evidence={"layers": len(narrower), "filters": first.filters, "filters_ahead": other.filters},
            advice=Advice(
                text=f"Give {first.name} at least {other.filters} filters, and twice as many after each halving",
                keras=f"keras.layers.Conv{len(first.kernel_size)}D({other.filters}, {first.kernel_size},"
                ' padding="same")',
                pytorch=f"nn.Conv{len(first.kernel_size)}d({first.in_channels}, {other.filters}, {first.kernel_size})",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 64 3x3 -> RELU -> POOL 2 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", at=("conv2",)),
        Good("INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> POOL 2 -> CONV 64 3x3 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 64 3x3 -> RELU -> CONV 16 1x1 -> RELU -> CONV 64 3x3 -> RELU -> GAP -> FC 10"),
        Good(
            "INPUT 3x32x32 -> CONV 64 3x3 -> RELU -> POOL 2 -> UPSAMPLE 2 -> CONV 32 3x3 -> RELU -> CONV 3 3x3 -> TANH"
        ),
    )


def _grows(layer: Layer) -> bool:
    """Return whether a layer makes its map larger."""
    after, before = (layer.output.spatial if layer.outputs else None), layer.input.spatial
    pairs = zip(after or (), before or (), strict=False)
    return any(isinstance(one, int) and isinstance(other, int) and one > other for one, other in pairs)


def _is_branch(context: Context, layer: Conv) -> bool:
    """Return whether the map is put beside others, normalized and activated or not."""
    return isinstance(following(context.graph, layer, lambda after: isinstance(after, Activation | BatchNorm)), Concat)

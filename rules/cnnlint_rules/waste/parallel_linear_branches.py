"""WA006: branches that are one convolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from msgspec import Struct
from msgspec.structs import replace

from cnnlint import (
    Add,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Editor,
    Finding,
    Good,
    Graph,
    Layer,
    ModelRule,
    NearMiss,
    Savings,
    Severity,
    Tensor,
    added_up,
    brief,
    merge_branches,
)

WORTH_A_WARNING = 0.01
"""Share of the network's multiply-accumulates that merging all of them saves."""


class LinearBranch(Struct, frozen=True, eq=False):
    """A convolution with scales and shifts after it, or these alone, or nothing: a way from `source` to a sum.

    Attributes:
        source: What it reads.
        conv: Its convolution, if there is one.
        others: Its other layers.
    """

    source: Tensor
    conv: Conv | None
    others: tuple[Layer, ...]


class ParallelLinearBranches(
    ModelRule, code="WA006", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"
):
    """Parallel branches without a non-linearity are summed, so that one convolution would do.

    ## Why
    Convolutions of one input that are summed are one convolution whose kernel is the sum of theirs: K₁x + K₂x =
    (K₁ + K₂)x, where a 1 × 1 kernel is a 3 × 3 one that is zero but in its middle, and the identity is a 1 × 1 one.
    A batch normalization after each is part of its kernel and bias. RepVGG, MobileOne and FastViT train such
    branches since they converge better, and merge them for inference; a file that still has them was exported before
    that. RepVGG-A0 has 9.1 M parameters with them and 8.3 M without, MobileOne-S0 5.3 M and 2.1 M, and three quarters
    of its multiply-accumulates are for the branches. Each branch is a further pass over the map, and so is each sum.

    ## Instead
    Merge before the export: RepVGG's `repvgg_model_convert`, MobileOne's `reparameterize_model`, and for models of timm
    `timm.utils.reparameterize_model`.

    ## When not
    For training that is the point, so the rule looks at ONNX files only, and not at normalizations in training mode.
    A file that is to be trained further keeps its branches. Where merging saves no more than a sum, as for
    x + depthwise(x), or less than 1% of the multiply-accumulates, it is information.

    ## References
    - Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021, section 3.3.
    - Vasu et al., "MobileOne: An Improved One Millisecond Mobile Backbone", CVPR 2023, section 3.2.
    - Vasu et al., "FastViT: A Fast Hybrid Vision Transformer Using Structural Reparameterization", ICCV 2023.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each sum of branches that are one convolution, with what merging them saves."""
        graph, found = context.graph, list[Diagnostic]()
        for layer in graph.of_kind(Add):
            if isinstance(graph.sole_successor(layer), Add):
                continue  # it is a part of a larger sum
            adds, leaves = _summed(graph, layer)
            by_source = dict[str, list[LinearBranch]]()
            for branch in (_branch(graph, leaf) for leaf in leaves):
                by_source.setdefault(branch.source.name, []).append(branch)
            for branches in by_source.values():
                for said in self._judge(layer, adds, branches, context):
                    if isinstance(said, Diagnostic):
                        found.append(said)
                    else:
                        yield said
        if not found:
            return
        macs = sum(said.finding.evidence["macs"] for said in found)
        worth = macs >= WORTH_A_WARNING * (context.macs or 0)
        for said in found:
            saves = worth and said.finding.evidence["parameters"] > 0
            yield said if saves else replace(said, finding=replace(said.finding, severity=Severity.INFO))

    def _judge(
        self, layer: Layer, adds: list[Layer], branches: list[LinearBranch], context: Context
    ) -> Iterator[Diagnostic | NearMiss]:
        convs = [branch.conv for branch in branches if branch.conv is not None]
        if len(branches) < 2 or not convs:
            return
        largest = max(convs, key=lambda conv: prod(conv.kernel_size))
        if context.graph.source.format != "onnx":
            yield self.skip(layer, *convs, reason="a Keras model is a training graph, which trains better with them")
            return
        if why := _misfit(largest, branches):
            yield self.skip(layer, *convs, reason=why)
            return
        layers = [part for each in branches for part in (*([each.conv] if each.conv else []), *each.others)]
        held = sum(part.parameters or 0 for part in layers)
        kernel = largest.weights[0].size if largest.weights else None
        saved = max(held - (kernel or 0) - largest.filters, 0)
        macs = sum(context.layer_macs(conv) or 0 for conv in convs) - (context.layer_macs(largest) or 0)
        size = "×".join(map(str, largest.kernel_size))
        yield self.finding(
            layer,
            *layers,
            *(add for add in adds if add is not layer),
            message=f"{len(branches)} linear branches of one input are summed in {layer.name}; they are one {size}"
            f" convolution, {_less(saved, macs)}.",
            evidence={"branches": len(branches), "parameters": saved, "macs": macs},
            advice=_ADVICE,
            savings=Savings(parameters=saved, macs=macs),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up what merging saves."""
        total = added_up(places)
        less = _less(total["parameters"], total["macs"], context.parameters, context.macs)
        return self.finding(
            message=f"{len(places)} sums of {total['branches']} linear branches are one convolution each, {less}.",
            evidence=total,
            advice=_ADVICE,
        )

    def rewrite(self, layers: tuple[Layer, ...], editor: Editor) -> None:
        """Make one convolution of each two branches that a sum joins, until it is the whole."""
        sums = [editor.only(layer, "Add", "Sum") for layer in layers if isinstance(layer, Add)]
        merge_branches(sums[::-1], editor)

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> RES[CONV 16 3x3 nobias -> BN | CONV 16 1x1 nobias -> BN] -> RELU"
            " -> GAP -> FC 10",
            at=("add1", "conv2", "bn1", "conv3", "bn2"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> RES[CONV 16 3x3 -> RELU -> CONV 16 3x3] -> RELU -> GAP -> FC 10"),
    )


_ADVICE = Advice(
    text="Merge the branches ahead of the export",
    pytorch="model = timm.utils.reparameterize_model(model.eval())",
)


def _less(parameters: int, macs: int, all_parameters: int | None = None, all_macs: int | None = None) -> str:
    """Return what merging saves, with the shares of the network's, as a clause."""
    if not parameters and not macs:
        return "which saves the pass over the map of the sum"
    share = f" ({parameters / all_parameters:.0%})" if all_parameters else ""
    of = f" ({macs / all_macs:.0%})" if all_macs else ""
    return f"with {brief(parameters)} fewer parameters{share} and {brief(macs)} fewer multiply-accumulates{of}"


def _summed(graph: Graph, root: Layer) -> tuple[list[Layer], list[Tensor]]:
    """Return the sums of which `root` is the last, and what they add up."""
    adds, leaves, left = [root], list[Tensor](), list(root.inputs)
    while left:
        tensor = left.pop()
        maker = graph.producer(tensor)
        if isinstance(maker, Add) and graph.is_read_once(tensor):
            adds.append(maker)
            left += maker.inputs
        else:
            leaves.append(tensor)
    return adds, leaves[::-1]


def _branch(graph: Graph, leaf: Tensor) -> LinearBranch:
    """Follow a branch back from the sum, as long as nobody else reads it."""
    tensor, others = leaf, list[Layer]()
    maker = graph.producer(tensor)
    while maker is not None and len(maker.inputs) == 1 and graph.sole_successor(maker) is not None:
        if isinstance(maker, Conv):
            return LinearBranch(maker.input, maker, tuple(others))
        if not maker.is_affine_per_channel or (isinstance(maker, BatchNorm) and maker.channel_axis != 1):
            break
        others.append(maker)
        tensor = maker.input
        maker = graph.producer(tensor)
    return LinearBranch(tensor, None, tuple(others))


def _misfit(largest: Conv, branches: Sequence[LinearBranch]) -> str:
    """Return why the branches are not one convolution of the window of `largest`, as a clause; "" if they are."""
    for branch in branches:
        conv = branch.conv
        if conv is None:
            if largest.strides != (1,) * len(largest.strides):
                return "the identity is no convolution with a stride"
            if largest.in_channels != largest.filters:
                return "the identity has other channels"
            sizes, pads = (1,) * len(largest.strides), ((0, 0),) * len(largest.strides)
        else:
            if (conv.strides, conv.groups, conv.filters) != (largest.strides, largest.groups, largest.filters):
                return "their strides or groups differ"
            if conv.pads is None:
                return "the padding is not known"
            sizes, pads = conv.kernel_size, conv.pads
            if conv.dilation != largest.dilation and prod(sizes) > 1:
                return "their dilations differ"
        if largest.pads is None:
            return "the padding is not known"
        for axis, (mine, theirs) in enumerate(zip(pads, largest.pads, strict=True)):
            offset, rest = divmod(theirs[0] - mine[0], largest.dilation[axis])
            if rest or offset < 0 or offset + sizes[axis] > largest.kernel_size[axis]:
                return "the kernels do not lie within the largest one"
    return ""

"""SH001: a dense layer on a map or a sequence where a classifier was meant."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from cnnlint import (
    KERNEL_LAYERS,
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Good,
    Head,
    Layer,
    ModelRule,
    NearMiss,
    Recurrent,
    Resize,
    Severity,
    is_feature_map,
)

RESTORES = (ConvTranspose, Resize)
"""Layers of networks that give maps."""


class MissingFlatten(
    ModelRule, code="SH001", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A dense layer reads a map or a sequence that was never flattened, so that every position is classified.

    ## Why
    A dense layer multiplies along the last axis only. On a map of H × W × C it is a 1 × 1 convolution: it classifies
    each of the H × W positions by itself, and the network's output is a map of scores where one vector was meant. A
    loss with one label for each image then fails with a message about shapes, or, worse, broadcasts and trains. On an
    image that is not flattened at all a network of dense layers looks at each row or pixel alone.

    ## Instead
    `Flatten()` or `GlobalAveragePooling2D()` ahead of the first dense layer: `nn.Flatten()`, `nn.AdaptiveAvgPool2d(1)`.

    ## When not
    Segmentation by a dense layer on a map, tagging of sequences and networks that end in a map of the input's size are
    meant so: the rule speaks only where the map was made smaller and never larger again, or where no layer looks beyond
    one position, and where the output is one of a classifier: a softmax, a sigmoid, or a cross-entropy in the file. A
    dense layer on a map that is flattened later is a 1 × 1 convolution by another name, which is reported as
    information in networks without branches; ConvNeXt writes its 1 × 1 convolutions so.

    ## References
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    - Wardat, Cruz, Le and Rajan, "DeepDiagnosis: Automatically Diagnosing Faults and Recommending Actionable Fixes in
      Deep Learning Programs", ICSE 2022.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield outputs that classify each position, and dense layers on maps in plain networks."""
        graph, told = context.graph, set[str]()
        for head in context.heads:
            scorer, shape = head.scorer, head.output.shape
            if not isinstance(scorer, Dense) or shape is None or len(shape) < 3:
                continue
            positions = tuple(dim for axis, dim in enumerate(shape) if axis not in (0, scorer.axis % len(shape)))
            if all(dim == 1 for dim in positions):
                continue
            if reason := self._meant(context, head, scorer):
                yield self.skip(scorer, reason=reason)
                continue
            first = _first_dense(context, scorer)
            told |= {first.name, scorer.name}
            count = prod(dim for dim in positions if isinstance(dim, int))
            size = " × ".join(str(dim) if isinstance(dim, int) else "?" for dim in positions)
            yield self.finding(
                first,
                *([scorer] if scorer is not first else []),
                message=f"{first.name} reads a map of {size} positions that was never flattened: the output has"
                f" {scorer.units} scores for each position and not for each sample.",
                evidence={"positions": count, "units": scorer.units},
                advice=_advice(first, len(positions)),
                subject=head.output.name,
            )
        if any(len(graph.successors(layer)) > 1 or len(layer.inputs) > 1 for layer in graph.layers):
            return
        for dense in graph.of_kind(Dense):
            spatial = dense.input.spatial
            if dense.name in told or not spatial or (dense.output.rank or 0) < 4 or graph.is_output(dense.output):
                continue
            if all(head.is_vector for head in context.heads) and is_feature_map(graph, dense.input):
                size = " × ".join(str(extent) for extent in spatial)
                yield self.finding(
                    dense,
                    message=f"{dense.name} reads a map of {size} that is flattened only later: it is a 1 × 1"
                    f" convolution to {dense.units} channels, and looks at one position at a time.",
                    evidence={"units": dense.units},
                    advice=_advice(dense, len(spatial)),
                    severity=Severity.INFO,
                )

    def _meant(self, context: Context, head: Head, scorer: Dense) -> str:
        """Return why scores for each position are meant; "" if they are not."""
        graph = context.graph
        last = head.activation.function if head.activation else ""
        loss = head.loss.name if head.loss else ""
        if last not in ("softmax", "log_softmax", "sigmoid") and "crossentropy" not in loss.replace("_", "").lower():
            return "neither its last function nor a loss says that it classifies"
        if next(graph.of_kind(*RESTORES), None) is not None:
            return "the network scales maps up, and gives a map"
        if not is_feature_map(graph, scorer.input):
            mixing = next((layer for layer in graph.layers if _looks_around(layer)), None)
            return "" if mixing is None else f"{mixing.name} has looked at other positions of what is no map"
        image, map_ = context.image, scorer.input.spatial
        if image is None or map_ is None or len(image) != len(map_):
            return "the size of the image is open"
        if all(extent == given for extent, given in zip(map_, image, strict=True)):
            return "its map has the size of the input: each position may be meant"
        return ""

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[N,3,32,32] x) => (float[N,15,15,10] y)
            <float[8,3,3,3] k = {}, float[8,10] w = {}>
            {
                c = Conv(x, k)
                r = Relu(c)
                p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
                t = Transpose<perm=[0,2,3,1]>(p)
                s = MatMul(t, w)
                y = Softmax<axis=-1>(s)
            }
            """,
            at=("s",),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> CONV 10 1x1 -> SOFTMAX"),
    )


def _looks_around(layer: Layer) -> bool:
    return isinstance(layer, (Conv, Recurrent)) or not (
        isinstance(layer, (Dense, Activation)) or layer.is_rank_agnostic or layer.is_view
    )


def _first_dense(context: Context, scorer: Dense) -> Dense:
    """Return the first of the dense layers in a row that ends in `scorer`."""
    graph, first = context.graph, scorer
    layer = graph.producer(scorer.input)
    while (
        layer is not None
        and len(layer.inputs) == 1
        and not (isinstance(layer, KERNEL_LAYERS) and not isinstance(layer, Dense))
    ):
        if isinstance(layer, Dense):
            first = layer
        layer = graph.producer(layer.input)
    return first


def _advice(dense: Dense, rank: int) -> Advice:
    return Advice(
        text=f"Flatten the map, or average it, ahead of {dense.name}",
        keras=f"x = keras.layers.Flatten()(x)  # or GlobalAveragePooling{rank}D()\n"
        f"x = keras.layers.Dense({dense.units})(x)",
        pytorch=f"nn.Sequential(nn.Flatten(), nn.LazyLinear({dense.units}))",
    )

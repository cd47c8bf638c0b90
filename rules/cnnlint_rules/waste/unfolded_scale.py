"""WA008: products and sums with constants that a convolution beside them could do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cnnlint import (
    KERNEL_LAYERS,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Editor,
    Elementwise,
    Finding,
    Good,
    Graph,
    Layer,
    ModelRule,
    Multiply,
    NearMiss,
    Severity,
    brief,
    fold_scale,
)

SCALES, SHIFTS = frozenset({"mul", "div", "rsub"}), frozenset({"add", "sub", "rsub"})
"""Arithmetic on a constant that multiplies, and that adds; a constant minus a tensor does both."""


HALF = 0.5


class UnfoldedScale(ModelRule, code="WA008", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    """A map is multiplied by a constant, or a constant is added to it, beside a convolution that could do it.

    ## Why
    s(Wx + b) + t = (sW)x + (sb + t): what follows a convolution is part of its kernel and its bias, and a factor ahead
    of one is part of its kernel too. As nodes of their own each takes a pass over the map, as much as an activation.
    onnxruntime 1.32 folds a factor that comes right after a convolution, and a vector that is added there, but no
    single number that is added, and nothing ahead of a convolution; converters for small devices often fold none of
    them, and quantization gives each a scale and a rounding of its own. They are left over from learned scales (the
    affine blocks of PP-LCNetV3, the layer scale of ConvNeXt), constants that scale residual branches (Inception-ResNet)
    or activations (NFNet), and normalizations of which half was folded. A normalization, or a scale and a shift that
    make one, is bn-foldable's matter where the layer ahead can take it in, and this rule's where only the one after
    it can.

    ## Instead
    Multiply the kernel and the bias by the factor, and add the constant to the bias, ahead of the export; `cnnlint fix`
    does it in a file.

    ## When not
    A constant that is added ahead of a convolution with padding cannot be folded, since the padding would have to have
    that value, nor can what is ahead of it. The scale at the network's input is preprocessing, and a Keras file a
    training graph, in which the factor has a gradient of its own; the rule looks at neither. Kernels of whole numbers
    cannot take a factor in, and the last factor of a GELU that is written out belongs to that.

    ## References
    - Cui et al., "PP-LCNet: A Lightweight CPU Convolutional Neural Network", 2021; its third version is described in
      the documentation of PaddleOCR, "PP-OCRv4".
    - Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
      CVPR 2018, section 3.2.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each scale and shift with the convolution that could do it, and the operations that this saves."""
        for layer in context.graph.of_kind(Elementwise, BatchNorm):
            yield from self._judge(layer, context)

    def _judge(self, layer: Elementwise | BatchNorm, context: Context) -> Iterator[Diagnostic | NearMiss]:
        graph = context.graph
        if isinstance(layer, BatchNorm):
            yield from self._judge_norm(layer, context)
            return
        if not _is_affine(layer):
            return
        if layer.constant == HALF and isinstance(graph.producer(layer.input), Multiply):
            yield self.skip(layer, reason="it is the last factor of a GELU that is written out")
            return
        into = _ahead(graph, layer) or _after(graph, layer)
        if into is None:
            yield self.skip(layer, reason="no convolution or dense layer beside it can take it in")
            return
        if graph.source.format != "onnx":
            yield self.skip(layer, into, reason="a Keras model is a training graph, in which the factor is trained")
            return
        operations = layer.output.sample_elements or 0
        does = "adds a constant to" if layer.function in ("add", "sub") else "multiplies"
        cost = f", {operations:,} operations per sample" if operations else ""
        count = layer.output.channels
        yield self.finding(
            layer,
            into,
            message=f"{layer.name} {does} {count} channels{'' if does[0] == 'a' else ' by a constant'}{cost}, which"
            f" could be part of {into.name}.",
            evidence={"operations": operations, "layers": 1},
            advice=Advice(text=f"Fold {layer.name} into the kernel and bias of {into.name}"),
        )

    def _judge_norm(self, norm: BatchNorm, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a normalization that only the layer after it can take in."""
        if norm.training or norm.channel_axis != 1 or context.graph.source.format != "onnx":
            return
        if _ahead(context.graph, norm) is not None or (into := _after(context.graph, norm)) is None:
            return
        operations = 2 * (norm.output.sample_elements or 0)
        cost = f", {operations:,} operations per sample" if operations else ""
        yield self.finding(
            norm,
            into,
            message=f"{norm.name} scales and shifts {norm.output.channels} channels{cost}, which could be part of"
            f" {into.name}.",
            evidence={"operations": operations, "layers": 1},
            advice=Advice(text=f"Fold {norm.name} into the kernel and bias of {into.name}"),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up the operations."""
        operations = int(sum(place.evidence["operations"] for place in places))
        cost = f", {brief(operations)} operations per sample," if operations else ","
        return self.finding(
            message=f"In {len(places):,} places channels are scaled or shifted by constants{cost} which the"
            " convolutions and dense layers beside them could do.",
            evidence={"operations": operations, "layers": len(places)},
            advice=Advice(text="Fold them into kernels and biases, in the file with `cnnlint fix`"),
        )

    def rewrite(self, layers: tuple[Layer, ...], editor: Editor) -> None:
        """Give the factor or the term to the kernel or the bias."""
        fold_scale(layers[0], layers[1], editor)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}, float factor = {0.5}>
            {
                a = Conv (x, kernel)
                b = Mul (a, factor)
                y = Relu (b)
            }
            """,
            at=("b", "a"),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y) <float[2, 2, 1, 1] kernel = {0.5, 1, 1.5, 2}>
            {
                a = Conv (x, kernel)
                y = Relu (a)
            }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            ahead (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}, float[2, 1, 1] factor = {0.5, 3}> {
                a = Sigmoid (x)
                b = Mul (a, factor)
                d = Conv (b, kernel)
                y = Relu (d)
            }
            """,
            at=("b", "d"),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            ahead (float[N, 2, 8, 8] x) => (float[N, 2, 7, 7] y)
            <float[2, 1, 2, 2] kernel = {1, 2, 3, 4, 5, 6, 7, 8}, float[2, 1, 1] term = {0.5, 3}> {
                a = Sigmoid (x)
                b = Add (a, term)
                d = Conv <group = 2> (b, kernel)
                y = Relu (d)
            }
            """,
            at=("b", "d"),
        ),
        Bad(
            "INPUT 3x8x8 -> CONV 16 3x3 -> RELU -> BN -> CONV 8 1x1 -> RELU -> GAP -> BN -> FC 10 -> SOFTMAX",
            at=("bn1", "conv2", "bn2", "fc1"),
            fixed="INPUT 3x8x8 -> CONV 16 3x3 -> RELU -> CONV 8 1x1 -> RELU -> GAP -> FC 10 -> SOFTMAX",
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> BN -> CONV 16 3x3 same -> RELU -> BN -> RELU -> GAP -> FC 10"),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float[2, 2, 3, 3] kernel = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9},
             float shift = {0.5}>
            {
                a = Relu (x)
                b = Add (a, shift)
                c = Conv <pads = [1, 1, 1, 1]> (b, kernel)
                y = Relu (c)
            }
            """
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


def _is_affine(layer: Layer) -> bool:
    """Return whether a layer only multiplies by, or adds, a number or a number per channel."""
    if not isinstance(layer, Elementwise) or len(layer.inputs) != 1 or layer.function not in SCALES | SHIFTS:
        return False
    shape, made = layer.constant_shape, layer.output.shape
    if shape is None or made is None or len(shape) > len(made):
        return False
    wide = [axis - len(shape) for axis, dim in enumerate(shape) if dim != 1]
    return not wide or (len(wide) == 1 and wide[0] % len(made) == 1 and layer.input.shape == made)


def _joined(layer: Layer, step: Callable[[Layer], Layer | None]) -> Layer | None:
    """Return the first layer in one direction that is not affine per channel."""
    found = step(layer)
    while found is not None and (_is_affine(found) or found.is_affine_per_channel):
        found = step(found)
    return found


def _ahead(graph: Graph, layer: Layer) -> Layer | None:
    """Return the convolution or dense layer ahead that nothing else reads."""

    def step(each: Layer) -> Layer | None:
        maker = graph.producer(each.input) if len(each.inputs) == 1 else None
        return maker if maker is not None and graph.sole_successor(maker) is each else None

    found = _joined(layer, step)
    return found if isinstance(found, KERNEL_LAYERS) and _has_channels(found) else None


def _after(graph: Graph, layer: Layer) -> Layer | None:
    """Return the convolution or dense layer after it that can take in what lies between."""
    shifts = list[Layer]()

    def step(each: Layer) -> Layer | None:
        if not isinstance(each, Elementwise) or each.function in SHIFTS:
            shifts.append(each)
        return graph.sole_successor(each)

    found = _joined(layer, step)
    if not isinstance(found, Conv | Dense | ConvTranspose) or not _has_channels(found):
        return None
    padded = isinstance(found, ConvTranspose) or (isinstance(found, Conv) and any(map(any, found.pads or ((1, 1),))))
    return None if shifts and padded else found


def _has_channels(layer: Layer) -> bool:
    """Return whether a layer holds a kernel of floating numbers in the file, along the axis of the channels."""
    if not layer.weights or not layer.weights[0].dtype.startswith(("float", "bfloat")):
        return False
    return not isinstance(layer, Dense) or layer.axis % (layer.input.rank or 2) == 1

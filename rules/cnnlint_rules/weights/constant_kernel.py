"""WT007: a kernel that holds one value."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from cnnlint import (
    Add,
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Good,
    LayerRule,
    NearMiss,
    Severity,
    following,
)


class ConstantKernel(
    LayerRule[Conv | ConvTranspose | Dense],
    code="WT007",
    severity=Severity.WARNING,
    confidence=Confidence.HEURISTIC,
    reads_values=True,
    since="0.1.0",
):
    """All weights of a kernel have the same value, so that its filters are one and the same, or nothing.

    ## Why
    A kernel of zeros gives its bias for every input. A kernel of one other value gives every filter the same sum of the
    same window: the layer's maps are copies of one blurred map. Training does not mend either: equal filters get equal
    gradients for ever, and behind a kernel of zeros no gradient reaches what lies ahead. In a file that was trained it
    means that the layer was not, or that its weights were lost: initialized by `zeros` or `ones`, skipped when a
    checkpoint was loaded by name, or overwritten.

    ## Instead
    Load the weights that belong there. To train anew, initialize at random: Glorot (Keras's default), He for ReLU.

    ## When not
    The last layer of a residual branch, or of the network, may begin with zeros on purpose (Fixup, ControlNet), until
    it is trained: information only. A depthwise kernel or one of a single filter may be a box blur or a sum, and one
    that is marked as not trainable is meant: not reported. Where a Keras file says that the layer began with the value,
    [constant-weight-init](IN001.md) tells it. Partial convolutions count valid pixels by a kernel of ones: ignore the
    rule there. Weights that a file makes by ConstantOfShape stand for others and are left out.

    ## References
    - Goodfellow, Bengio and Courville, "Deep Learning", MIT Press 2016, section 8.4.
    - Nikanjam et al., "Automatic Fault Detection for Deep Learning Programs Using Graph Transformations" (NeuraLint),
      TOSEM 2021: "the initialization of weights should not be constant", there of the initializer; here of the stored
      values.
    - Zhang, Dauphin and Ma, "Fixup Initialization", ICLR 2019; Zhang, Rao and Agrawala, "Adding Conditional Control to
      Text-to-Image Diffusion Models", ICCV 2023: zero convolutions.
    """

    def check(self, layer: Conv | ConvTranspose | Dense, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the value of a constant kernel."""
        kernel = layer.weights[0] if layer.weights else None
        found = context.weight_values.of(kernel)
        value = None if found is None else found.constant
        if kernel is None or value is None or kernel.role not in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            return
        size, shape = kernel.size or 0, kernel.shape or ()
        if size < 2:
            return
        if kernel.trainable is False:
            yield self.skip(layer, reason="its weights are marked as not trainable, and meant")
            return
        began = context.graph.training.initializers.get(kernel.key)
        if began is not None and began.value is not None:
            yield self.skip(layer, reason=f"it began as {began.value:g}, which IN001 looks at")
            return
        is_single = layer.out_channels == 1 or (isinstance(layer, Conv) and layer.groups > 1)
        if value and (is_single or size == layer.out_channels):
            yield self.skip(
                layer, reason="a filter of one value is a blur or a sum, and it has no second to be equal to"
            )
            return
        is_last = context.graph.is_output(layer.output) or self._ends_branch(layer, context)
        does = "gives nothing but its bias" if not value else f"gives the same sum {layer.out_channels:,} times"
        yield self.finding(
            layer,
            message=f"All {size:,} weights of the {' × '.join(map(str, shape))} kernel of {layer.name} are {value:g}:"
            f" it {does}.",
            evidence={"value": value, "weights": prod(shape)},
            advice=Advice(
                text="Load the weights that belong here, or initialize them at random and train",
                keras='kernel_initializer="he_normal"',
                pytorch='nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")',
            ),
            severity=Severity.INFO if not value and is_last else None,
        )

    @staticmethod
    def _ends_branch(layer: Conv | ConvTranspose | Dense, context: Context) -> bool:
        """Return whether a sum, or nothing more that learns, comes after `layer`."""
        after = following(context.graph, layer, lambda each: not isinstance(each, Add | Conv | ConvTranspose | Dense))
        return after is None or isinstance(after, Add)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,8,8] x) => (float[N,1,8,8] y)
            <float[2,2,1,1] ones = {1.0, 1.0, 1.0, 1.0}, float[1,2,1,1] kernel = {0.3, -0.4}>
            {
                sums = Conv(x, ones)
                maps = Relu(sums)
                y = Conv(maps, kernel)
            }
            """,
            at=("sums",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,8,8] x) => (float[N,2,7,7] y)
            <float[2,1,2,2] blur = {0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25}>
            {
                y = Conv <group = 2> (x, blur)
            }
            """
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )

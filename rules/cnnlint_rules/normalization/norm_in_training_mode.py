"""BN003: normalization by the statistics of the current batch."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import Advice, Bad, BatchNorm, Confidence, Context, Diagnostic, Good, Graph, ModelRule, NearMiss, Severity


class NormInTrainingMode(ModelRule, code="BN003", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The network normalizes by the statistics of the current batch and not by those gathered in training.

    ## Why
    In training a batch normalization uses the mean and variance of its mini-batch; at inference it must use the
    moving ones. Exported in training mode, a sample's output depends on which other samples share its batch, one
    and the same image gives different answers, and a batch of one is normalized by itself alone: after a dense
    layer or global pooling (x − x)/√ε = 0 whatever the image.

    ## Instead
    Export the network in inference mode: one call before the export, not a change of the network. All
    normalizations of a network are reported in one finding, as one switch sets them all.

    ## When not
    Weight standardization (NFNet, BiT, NF-ResNet) is often written as a batch normalization of the kernel in training
    mode: its input is a weight and no batch, and the rule leaves it alone. Adapting the statistics to the data at test
    time on purpose, and training graphs that are to be trained further by the runtime.

    ## References
    - Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift", ICML 2015, section 3.1, algorithm 2.
    - ONNX operator BatchNormalization, attribute `training_mode` (opset 14 and later).
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield one finding about all normalizations in training mode."""
        fed = _fed_tensors(context.graph)
        norms = tuple(norm for norm in context.graph.of_kind(BatchNorm) if norm.input.name in fed)
        constant = tuple(norm for norm in context.graph.of_kind(BatchNorm) if norm.input.name not in fed)
        if constant:
            yield self.skip(
                *constant[:1], reason=f"{len(constant)} normalizations standardize weights: no batch reaches them"
            )
        training = tuple(norm for norm in norms if norm.training)
        if not training:
            if norms:
                yield self.skip(*norms[:1], reason=f"all {len(norms)} normalizations use their moving statistics")
            return
        yield self.finding(
            *training,
            message=f"{len(training)} of {len(norms)} batch normalizations use the statistics of the current batch, so"
            " the output for an image depends on what else is in its batch.",
            evidence={"norms_in_training_mode": len(training), "norms": len(norms)},
            advice=Advice(
                text="Export the network in inference mode",
                keras='model.export("model.onnx", format="onnx")  # and no call with training=True in the model',
                pytorch="torch.onnx.export(model.eval(), example, path, training=torch.onnx.TrainingMode.EVAL)",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN training -> RELU -> GAP -> FC 10 -> SOFTMAX", at=("bn1",)),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN training -> RELU -> CONV 16 3x3 nobias -> BN training -> RELU"
            " -> GAP -> FC 10 -> SOFTMAX",
            at=("bn1", "bn2"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good(
            """
            <ir_version: 8, opset_import: ["": 17]>
            weight_standardization (float[N,3,8,8] x) => (float[N,2,6,6] y)
            <float[2] s = {1, 1}, float[2] b = {0, 0}, int64[4] kernel_shape = {2, 3, 3, 3}>
            {
                rows = Constant <value_ints = [1, 2, 27]> ()
                raw = ConstantOfShape (rows)
                standard, mean, variance = BatchNormalization <training_mode = 1> (raw, s, b, b, s)
                kernel = Reshape (standard, kernel_shape)
                y = Conv (x, kernel)
            }
            """
        ),
    )


def _fed_tensors(graph: Graph) -> frozenset[str]:
    """Return the names of the tensors that an input of the network has a part in.

    What is left is computed from weights alone: standardized kernels, position tables, anchors of a detector.
    """
    fed = {tensor.name for tensor in graph.inputs}
    for layer in graph.layers:
        for tensor in layer.inputs:
            if tensor.name in fed:
                fed.update([made.name for made in layer.outputs])
                break
    return frozenset(fed)

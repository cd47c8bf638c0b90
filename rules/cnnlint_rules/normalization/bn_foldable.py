"""BN005: a normalization that inference does not need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
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
    Finding,
    Good,
    Match,
    NearMiss,
    Op,
    PatternRule,
    Savings,
    Severity,
    added_up,
    brief,
    fold_after,
)


class BnFoldable(
    PatternRule,
    code="BN005",
    severity=Severity.INFO,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("norm-not-folded",),
):
    """A batch normalization in a file for inference could be part of the convolution ahead of it.

    ## Why
    At inference a normalization is a scale and a shift of each channel, and so is part of what a convolution can do:
    γ(Wx + b − μ)/√(σ² + ε) + β = W′x + b′ with W′ = γW/√(σ² + ε) and b′ = β + γ(b − μ)/√(σ² + ε). Left as it is,
    it costs up to four vectors of parameters, a node, and a pass over the map: 2 × C × H × W operations. onnxruntime
    folds it each time it loads the file (at its basic level of optimization); many runtimes on small devices
    do not, and quantization needs it folded, as rounding has to see the final weights.

    ## Instead
    Fold at export: PyTorch does when the model is in eval mode, tf2onnx does by itself. `cnnlint fix` does it for an
    existing file.

    ## When not
    A file that is to be fine-tuned needs its normalizations. A Keras file is a training graph, and the rule does
    not look at it.

    ## References
    - Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
      CVPR 2018, section 3.2.
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime", Conv BatchNorm Fusion.
    """

    layer, norm = Op(Conv, ConvTranspose, Dense), Op(BatchNorm)
    pattern = layer >> norm

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the parameters and operations that folding saves."""
        layer, norm = match[self.layer], match[self.norm]
        if context.graph.source.format != "onnx":
            yield self.skip(norm, layer, reason="a Keras model is a training graph; its export folds the norm")
            return
        if norm.training:
            yield self.skip(norm, layer, reason="it uses the statistics of the batch, which nothing can fold")
            return
        if norm.channel_axis != layer.channel_axis:
            yield self.skip(norm, layer, reason=f"it normalizes along another axis than the channels of {layer.name}")
            return
        channels, held = layer.out_channels, norm.parameters
        if held is None:
            yield self.skip(norm, layer, reason=context.unknown_weights)
            return
        saved = held - (0 if layer.use_bias else channels)
        operations = 2 * (norm.output.sample_elements or 0)
        cost = f"{operations:,} operations per sample and " if operations else ""
        yield self.finding(
            norm,
            layer,
            message=f"Folded into {layer.name}, this normalization of {channels:,} channels would save {cost}"
            f"{max(saved, 0):,} parameters.",
            evidence={"channels": channels, "parameters": max(saved, 0), "operations": operations},
            advice=Advice(
                text="Export with the normalization folded, or fold it in the file with `cnnlint fix`",
                pytorch="torch.onnx.export(model.eval(), example, path)",
            ),
            savings=Savings(parameters=max(saved, 0)),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return what folding all of them saves."""
        total = added_up(places)
        parameters, operations = total["parameters"], total["operations"]
        cost = f"{brief(operations)} operations per sample and " if operations else ""
        return self.finding(
            message=f"{len(places):,} normalizations could be folded into the layers ahead of them, which saves"
            f" {cost}{parameters:,} parameters.",
            evidence={"parameters": parameters, "operations": operations},
            advice=Advice(
                text="Export with the normalizations folded, or fold them in the file with `cnnlint fix`",
                pytorch="torch.onnx.export(model.eval(), example, path)",
            ),
        )

    def rewrite(self, match: Match, editor: Editor) -> None:
        """Give scale and shift to the kernel and the bias."""
        fold_after(match[self.layer], match[self.norm], editor)

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("bn1", "conv1"),
            fixed="INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
        ),
        Bad(
            "INPUT 3x8x8 -> CONV 9 3x3 -> RELU -> DECONV 8 4x4 stride 2 -> BN -> RELU -> GAP -> FC 10 -> BN -> SOFTMAX",
            at=("bn1", "deconv1", "bn2", "fc1"),
            fixed="INPUT 3x8x8 -> CONV 9 3x3 -> RELU -> DECONV 8 4x4 stride 2 -> RELU -> GAP -> FC 10 -> SOFTMAX",
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> BN -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )

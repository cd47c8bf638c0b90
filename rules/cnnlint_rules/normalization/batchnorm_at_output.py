"""BN007: a batch normalization of the network's output."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    KERNEL_LAYERS,
    Activation,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Diagnostic,
    Good,
    Graph,
    Head,
    Layer,
    Loss,
    ModelRule,
    NearMiss,
    Severity,
    Training,
    is_nonlinear,
)


class BatchnormAtOutput(
    ModelRule, code="BN007", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A batch normalization stands between the last layer with weights and the output.

    ## Why
    It normalizes the answers. Ahead of a softmax, each class's scores are brought to one mean and one spread over the
    batch, so that a class that is rarely right gets scores as high as the others', and what a sample is taken for
    depends in training on which others are in its batch. After the softmax, what was a distribution is none any more:
    it is negative for about half of the samples, and a cross-entropy takes the logarithm of that. The output of a
    regression cannot leave the range of its batch.

    ## Instead
    The normalization belongs after hidden layers. The last layer's own bias and kernel give its scores their size.

    ## When not
    Networks for faces end in a normalized vector of features (ArcFace): without a loss in the file, a normalization
    that nothing follows is taken for one. On maps, where each position counts as a sample, it is information. Exporters
    fold a normalization into the layer ahead of it, and then nothing is to be seen in the ONNX file.

    ## References
    - Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift", ICML 2015, section 3.2, which normalizes ahead of hidden nonlinearities.
    - Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
      Networks", ICLR 2016, section 3: without normalization at the generator's output.
    - Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the normalizations between an output and the layer that scores it."""
        for head in context.heads:
            norm, functions, scorer = _last_norm(context.graph, head)
            if norm is None or scorer is None:
                continue
            answers = [function for function in functions if function.is_softmax or function.bounds == (0.0, 1.0)]
            before = [function for function in answers if context.graph.position[function.name] <
                      context.graph.position[norm.name]]  # fmt: skip
            if not answers and head.loss is None:
                yield self.skip(norm, scorer, reason="the output may be a layer's features: the file names no loss")
                continue
            units = head.units if isinstance(head.units, int) else 0
            told = f"normalizes the {units:,} outputs" if units else "normalizes the outputs"
            if before:
                told += f" of {before[0].name}, which are no probabilities any more"
            elif answers:
                told += f" ahead of {answers[0].name}, each over its batch"
            else:
                told += ", each over its batch"
            yield self.finding(
                norm,
                scorer,
                message=f"{norm.name} stands after the last layer with weights, {scorer.name}, and {told}.",
                evidence={"units": units},
                advice=Advice(text=f"Leave out {norm.name}; the hidden layers are what to normalize"),
                severity=None if head.is_vector or before else Severity.INFO,
            )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> BN -> SOFTMAX", at=("bn1", "fc1")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX -> BN", at=("bn1", "fc1")),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> BN",
            at=("bn1", "fc1"),
            training=Training((Loss("mean_squared_error"),)),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 128 -> BN"),
    )


def _last_norm(graph: Graph, head: Head) -> tuple[BatchNorm | None, list[Activation], Layer | None]:
    """Return the last norm after the layer that scores `head`, the functions there, and that layer."""
    norm, functions = None, list[Activation]()
    layer = graph.producer(head.output)
    while layer is not None and len(layer.inputs) == 1:
        if isinstance(layer, BatchNorm) and not layer.folded:
            norm = norm or layer
        elif is_nonlinear(layer) and isinstance(layer, Activation):
            functions.append(layer)
        elif not layer.is_view:
            break
        layer = graph.producer(layer.input)
    return norm, functions, layer if isinstance(layer, KERNEL_LAYERS) else None

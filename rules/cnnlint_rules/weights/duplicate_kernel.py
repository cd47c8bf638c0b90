"""WT008: kernels of two layers that are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    KERNEL_LAYERS,
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    Finding,
    Good,
    Layer,
    ModelRule,
    NearMiss,
    Savings,
    Severity,
    share_weight,
)

FEWEST = 16
"""Weights below which equal kernels may be so by chance: blurs, single factors."""


class DuplicateKernel(
    ModelRule,
    code="WT008",
    severity=Severity.INFO,
    confidence=Confidence.EXACT,
    reads_values=True,
    since="0.1.0",
):
    """The kernels of two layers are stored apart and are the same, value by value.

    ## Why
    Layers that share their weights, a siamese branch or the head of a detector on each of its maps, need them once: a
    file that holds a copy for each is larger by that, and takes as much more memory when it runs. Exporters write
    copies where code clones a module, and where a converter works out weights of each use anew. In a network that was
    not trained, equal kernels come from an initializer with a seed that is given to several layers: these begin as
    copies, and what they learn at first is alike.

    ## Instead
    Store the kernel once and have both layers read it; `cnnlint fix` does. Ahead of a training, give each layer an
    initializer of its own, or one seed for all of the program.

    ## When not
    Where the copies are to part in the next training. Kernels of fewer than 16 weights, and those of one value
    throughout, may be equal without having to do with each other.

    ## References
    - Keras documentation, "Layer weight initializers": an initializer with a seed returns the same values each time.
    - Bromley et al., "Signature Verification using a Siamese Time Delay Neural Network", NeurIPS 1993.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each layer whose kernel an earlier one has too."""
        values, alike = context.weight_values, dict[object, list[Layer]]()
        for layer in context.graph.of_kind(*KERNEL_LAYERS):
            kernel = layer.weights[0] if layer.weights else None
            found = values.of(kernel)
            if kernel is None or found is None or found.first or found.constant is not None:
                continue
            if (kernel.size or 0) >= FEWEST:
                key = kernel.dtype, kernel.shape, found.lowest.tobytes(), found.highest.tobytes()
                alike.setdefault(key, []).append(layer)
        for layers in alike.values():
            firsts = dict[bytes, Layer]()
            for layer in layers if len(layers) > 1 else ():
                kernel = layer.weights[0]
                digest = values.digest(kernel)
                first = None if digest is None else firsts.setdefault(digest, layer)
                if first is not None and first is not layer and first.weights[0].key != kernel.key:
                    yield self._diagnosed(layer, first)

    def _diagnosed(self, layer: Layer, first: Layer) -> Diagnostic:
        kernel = layer.weights[0]
        return self.finding(
            layer,
            first,
            message=f"The kernel of {layer.name} is that of {first.name}, value by value: {kernel.size:,} weights and"
            f" {kernel.nbytes or 0:,} bytes are stored twice.",
            evidence={"weights": kernel.size or 0, "bytes": kernel.nbytes or 0},
            advice=Advice(
                text="Store the kernel once, or initialize the layers with seeds of their own",
                keras="keras.utils.set_random_seed(0)  # one seed for the program, and none for single initializers",
                pytorch="torch.manual_seed(0)  # once, and not ahead of each layer",
            ),
            savings=Savings(bytes=kernel.nbytes or 0),
            rewritable=type(layer) is type(first),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return what all copies take."""
        weights = int(sum(place.evidence["weights"] for place in places))
        nbytes = int(sum(place.evidence["bytes"] for place in places))
        return self.finding(
            message=f"{len(places):,} kernels are those of other layers, value by value: {weights:,} weights and"
            f" {nbytes:,} bytes are stored more than once.",
            evidence={"weights": weights, "bytes": nbytes},
            advice=Advice(text="Store each kernel once, or initialize the layers with seeds of their own"),
        )

    def rewrite(self, layers: tuple[Layer, ...], editor: Editor) -> None:
        """Have the layer read the other's kernel."""
        share_weight(layers[0], layers[1], editor)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,4,8,8] x) => (float[N,4,8,8] y)
            <float[4,4,1,1] one = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16},
             float[4,4,1,1] two = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}>
            {
                a = Conv (x, one)
                b = Relu (a)
                y = Conv (b, two)
            }
            """,
            at=("y", "a"),
            fixed="""
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,4,8,8] x) => (float[N,4,8,8] y)
            <float[4,4,1,1] one = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}>
            {
                a = Conv (x, one)
                b = Relu (a)
                y = Conv (b, one)
            }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,4,8,8] x) => (float[N,4,8,8] y)
            <float[4,4,1,1] one = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16},
             float[4,4,1,1] two = {1,2,3,4,5,6,7,9,8,10,11,12,13,14,15,16}>
            {
                a = Conv (x, one)
                b = Relu (a)
                y = Conv (b, two)
            }
            """
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,4,8,8] x) => (float[N,4,8,8] y)
            <float[4,4,1,1] one = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}>
            {
                a = Conv (x, one)
                b = Relu (a)
                y = Conv (b, one)
            }
            """
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )

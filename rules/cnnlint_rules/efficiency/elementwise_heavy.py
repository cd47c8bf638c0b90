"""EF006: a network that spends its memory on elementwise layers (ShuffleNet V2, G4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    KERNEL_LAYERS,
    Activation,
    Add,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Diagnostic,
    Elementwise,
    Good,
    Layer,
    ModelRule,
    Multiply,
    NearMiss,
    Severity,
)


class ElementwiseHeavy(ModelRule, code="EF006", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """Elementwise layers that runtimes do not fuse write a large share of all values.

    ## Why
    A sum, a product or an activation does one operation for each value that it reads and writes, so it is as slow as
    memory is, and counts of multiply-accumulates do not show it. ShuffleNet V2 took the ReLU and the shortcut out of a
    ResNet unit, and it ran about 20% faster. This is guideline 4 (G4), whose threshold is ours. Runtimes fuse a
    normalization and an activation into the convolution ahead of them, so those are not counted here: what counts are
    sums, products and arithmetic, and activations after these.

    ## Instead
    Fewer gates and shortcuts on large maps: squeeze-and-excitation in the late stages only, concatenation or a split of
    the channels (ShuffleNet V2) in place of a sum. Put the pooling ahead of the activation.

    ## When not
    Shortcuts let deep networks train, and gates buy accuracy cheaply. A compiler that fuses elementwise layers with
    each other (TensorRT, XLA, `torch.compile`) leaves less of them.

    ## References
    - Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018, section 2, G4
      and table 4.
    """

    max_share: Annotated[
        float, Meta(description="The largest share of the written values that is accepted, 0 to 1.", ge=0, le=1)
    ] = 0.25

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what elementwise layers write."""
        written = list[tuple[float, Layer]]()
        for layer in context.graph.of_kind(Add, Multiply, Elementwise, Activation):
            if isinstance(layer, Activation) and (layer.function == "linear" or self._is_fused(layer, context)):
                continue
            share = context.written_share(layer)
            if share is None:
                yield self.skip(reason="the shapes of some maps are unknown")
                return
            written.append((share, layer))
        total = sum(share for share, _ in written)
        if total <= self.max_share or not written:
            return
        written.sort(key=lambda each: -each[0])
        yield self.finding(
            message=f"{len(written):,} elementwise layers that do not fuse into a convolution write {total:.0%} of all"
            f" values, {written[0][1].name} alone {written[0][0]:.0%}.",
            evidence={"layers": len(written), "share": total, "largest_share": written[0][0]},
            advice=Advice(text="Leave out gates and shortcuts on the largest maps, and measure on the target"),
        )

    @staticmethod
    def _is_fused(layer: Activation, context: Context) -> bool:
        """Return whether a runtime computes an activation in the layer ahead of it."""
        before = context.graph.producer(layer.input)
        if isinstance(before, BatchNorm):
            before = context.graph.producer(before.input)
        return isinstance(before, KERNEL_LAYERS) and len(context.graph.consumers(layer.input)) == 1

    examples = (
        Bad("INPUT 8x32x32 -> [RES[CONV 8 1x1] -> RELU]*4 -> GAP -> FC 10", at=()),
        Good("INPUT 3x32x32 -> [CONV 16 3x3 -> BN -> RELU]*4 -> GAP -> FC 10"),
    )

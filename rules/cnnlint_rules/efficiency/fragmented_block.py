"""EF005: a block of many small branches (ShuffleNet V2, G3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Add,
    Advice,
    Bad,
    Concat,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    Good,
    Graph,
    Layer,
    ModelRule,
    NearMiss,
    Severity,
)


class FragmentedBlock(ModelRule, code="EF005", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A block splits into many parallel branches, each too small to fill the hardware.

    ## Why
    Each branch is a row of kernels of its own, started one after the other and waiting for the last at the join. A GPU
    fills its thousands of threads with one large convolution better than with five small ones: at equal
    multiply-accumulates ShuffleNet V2 found blocks of four fragments three times as slow as plain ones there, and
    little slower on a phone's CPU. This is its guideline 3 (G3); the threshold is ours. NASNet's cells have up to 13
    operators where a block of ResNet has two or three.

    ## Instead
    Fewer and wider branches. Branches of equal kernels on one input are one convolution with more filters; parallel
    linear branches (RepVGG, ACNet) are added up into one kernel after training.

    ## When not
    Inception's four branches see at several scales, which is what they are for; searched networks have many by design.

    ## References
    - Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018, section 2, G3
      and table 3.
    - Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018.
    """

    max_branches: Annotated[int, Meta(description="The most branches from one tensor that are accepted.", ge=1)] = 4

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each join of too many branches that begin at one tensor."""
        graph = context.graph
        inner = set[str]()
        for join in reversed(list(graph.of_kind(Concat, Add))):
            if join.name in inner:
                continue
            starts = dict[str, int]()
            for tensor in _starts(graph, join, inner):
                starts[tensor] = starts.get(tensor, 0) + 1
            most = max(starts.values(), default=0)
            if most > self.max_branches:
                yield self.finding(
                    join,
                    message=f"{join.name} joins {most:,} branches that begin at one tensor, each with its own kernels"
                    " to start and to wait for.",
                    evidence={"branches": most},
                    advice=_ADVICE,
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many such blocks there are."""
        most = max(places, key=lambda place: place.evidence["branches"])
        return self.finding(
            message=f"{len(places):,} blocks have more than {self.max_branches} branches, {most.layers[0]} joins"
            f" {most.evidence['branches']:,}: each branch is kernels of its own to start and to wait for.",
            evidence={"blocks": len(places), "branches": most.evidence["branches"]},
            advice=_ADVICE,
        )

    examples = (
        Bad(
            "INPUT 32x28x28 -> CAT[CONV 8 1x1 | CONV 8 3x3 | CONV 8 5x5 | CONV 8 7x7 | POOL 3 stride 1 same]"
            " -> RELU -> GAP -> FC 10",
            at=("concat1",),
        ),
        Good(
            "INPUT 32x28x28 -> CAT[CONV 8 1x1 | CONV 8 3x3 | CONV 8 5x5 | POOL 3 stride 1 same] -> RELU -> GAP -> FC 10"
        ),
        Good("INPUT 16x28x28 -> [RES[CONV 16 3x3 -> RELU -> CONV 16 3x3] -> RELU]*8 -> GAP -> FC 10"),
    )


_ADVICE = Advice(
    text="Take fewer and wider branches, and put those with equal kernels on one input together",
    keras="x = keras.layers.Conv2D(16, 3)(x)  # for two branches of 8 filters each",
    pytorch="nn.Conv2d(32, 16, 3)  # for two branches of 8 filters each",
)


def _starts(graph: Graph, join: Concat | Add, inner: set[str]) -> Iterator[str]:
    """Yield, for each branch into `join`, the tensor at which it begins; joins within it go into `inner`."""
    waiting: list[tuple[Layer, int]] = [(join, 0)]
    while waiting:
        reader, length = waiting.pop()
        for tensor in reader.inputs:
            layer = graph.producer(tensor)
            if layer is None or not graph.is_read_once(tensor):
                if length:
                    yield tensor.name
            elif isinstance(layer, Concat | Add):
                inner.add(layer.name)
                waiting.append((layer, length))
            elif len(layer.inputs) == 1:
                waiting.append((layer, length + 1))
            elif length:
                yield tensor.name

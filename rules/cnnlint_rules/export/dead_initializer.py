"""EX001: arrays in the file that the network does not use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    Good,
    Layer,
    ModelRule,
    NearMiss,
    Savings,
    Severity,
)

SHOWN = 3

NEGLIGIBLE = 0.01
"""Share of the file's weights below which unused arrays are not worth a warning."""


class DeadInitializer(ModelRule, code="EX001", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """The file holds arrays that no layer of the network uses.

    ## Why
    They are stored, downloaded and, by most runtimes, read into memory, and change nothing. They come from exports
    that folded or cut off a part of the network, a training head or an optimizer's state, and kept its weights.
    They do not count as parameters of the network, so a table of its layers does not show them.

    ## Instead
    Delete them: `cnnlint fix` does. Then export in a way that leaves them out.

    ## When not
    A file that several programs share may hold arrays for the others. Leftovers of less than 1% of the weights are
    information only; `min-bytes` hides them.

    ## References
    - ONNX specification, "Graphs": initializers that are no input of a node have no effect.
    """

    min_bytes: Annotated[int, Meta(description="Only when the unused arrays take at least these bytes.", ge=0)] = 0

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the number of unused arrays, their bytes, and the largest of them."""
        unused = context.graph.unused
        if not unused:
            return
        known = sum(weight.nbytes or 0 for weight in unused)
        if known < self.min_bytes and all(weight.nbytes is not None for weight in unused):
            yield self.skip(
                reason=f"{len(unused)} unused arrays of {known:,} bytes, below min-bytes = {self.min_bytes:,}"
            )
            return
        largest = sorted(unused, key=lambda weight: -(weight.nbytes or 0))[:SHOWN]
        named = ", ".join(
            f"{weight.name} ({'size unknown' if weight.nbytes is None else f'{weight.nbytes:,} bytes'})"
            for weight in largest
        )
        more = f" and {len(unused) - SHOWN} more" if len(unused) > SHOWN else ""
        arrays, use = ("array", "is") if len(unused) == 1 else ("arrays", "are")
        used = context.weight_bytes or 0
        yield self.finding(
            message=f"{len(unused)} {arrays} of {known:,} bytes {use} in the file and used by no layer: {named}{more}."
            if len(unused) > 1
            else f"The array {largest[0].name} of {known:,} bytes is in the file and used by no layer.",
            evidence={"arrays": len(unused), "bytes": known},
            advice=Advice(text=f"Delete the unused {arrays} from the file"),
            savings=Savings(bytes=known),
            severity=Severity.INFO if known < NEGLIGIBLE * (used + known) else None,
        )

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Leave them out, as every rewritten model does."""

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 3, 8, 8] x) => (float[1, 2, 8, 8] y)
            <float[2, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6}, float[4] forgotten = {1, 2, 3, 4}>
            {
                y = Conv (x, kernel)
            }
            """,
            at=(),
        ),
        Good("INPUT 3x8x8 -> CONV 3 3x3"),
    )

"""EX021: reshapes whose target is computed, although a -1 or a 0 in it would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    FileContext,
    FileRule,
    Finding,
    Good,
    NearMiss,
    NodeRecord,
    RewriteError,
    Severity,
    Wiring,
    reshape_target,
)


class ComputedTarget(FileRule, code="EX021", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """The target of a reshape is computed at each run, although a -1 or a 0 in a constant target would do.

    ## Why
    Exporters write `x.view(x.size(0), -1)` as Shape, Gather, Unsqueeze, Concat and Reshape. Where all extents are known
    but one, -1 stands for that one, and 0 for an extent that stays where it is; the target is a constant then, and the
    nodes that compute it are not needed. That takes microseconds of a run, so it is told with `--pedantic` only, but
    compilers for accelerators often run Shape and Gather on the CPU. `cnnlint fix` does it in any case.

    ## Instead
    In PyTorch, `torch.flatten(x, 1)`; in Keras, `keras.layers.Flatten()` or `Reshape` with known extents.

    ## When not
    Where two extents are open, and neither stays in its place.

    ## References
    - ONNX, "Operator Schemas", Reshape: -1 and 0 in the target.
    """

    rewrites_unasked = True

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each such reshape with the target that would do."""
        wiring = file.wiring
        for node in wiring.nodes:
            target = _target(node, wiring)
            if target is None:
                continue
            layers = self.at(context, [node])
            yield self.finding(
                *layers,
                message=f"{file.named([node])} computes its target, for which {list(target)} would do.",
                evidence={"axes": len(target)},
                advice=Advice(text=f"Give {node.label} the target {list(target)}", pytorch="x = torch.flatten(x, 1)"),
                subject="" if layers else node.label,
                nodes=[node],
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many there are."""
        return self.finding(
            message=f"{len(places):,} reshapes compute their targets, for which constants with -1 or 0 would do.",
            evidence={"axes": sum(int(place.evidence["axes"]) for place in places)},
            advice=Advice(text="Use constant targets", pytorch="x = torch.flatten(x, 1)"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Give the node a constant target."""
        for record in nodes:
            target = None if editor.file is None else _target(record, editor.file.wiring)
            if target is None:
                raise RewriteError(f"the shape that {record.label} gives is not known")
            node = editor.node(record)
            editor.set_input(node, 1, editor.integers("target", target))
            editor.set_attribute(node, "allowzero", None)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            view (float[N, 3, 4, 4] x) => (float[N, 48] y) <int64[1] zero = {0}, int64[1] rest = {-1}> {
                a = Shape (x)
                b = Gather (a, zero)
                c = Concat <axis = 0> (b, rest)
                y = Reshape (x, c)
            }
            """,
            at=("y",),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            view (float[N, 3, 4, 4] x) => (float[N, 48] y) <int64[2] c = {0, 48}> { y = Reshape (x, c) }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            view (float[N, 3, H, 4] x) => (float[H, M] y) <int64[1] two = {2}, int64[1] rest = {-1}> {
                a = Shape (x)
                b = Gather (a, two)
                c = Concat <axis = 0> (b, rest)
                y = Reshape (x, c)
            }
            """
        ),
    )


def _target(node: NodeRecord, wiring: Wiring) -> tuple[int, ...] | None:
    """Return the constant that does as the target of a Reshape, which computes it now; None if there is none."""
    if node.op_type != "Reshape" or node.domain or len(node.inputs) != 2 or wiring.is_fixed(node.inputs[1]):
        return None
    return reshape_target(node, node.inputs[0], wiring)

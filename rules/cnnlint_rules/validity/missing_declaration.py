"""ON009: what every file must say of itself, and this one does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    FileRule,
    Finding,
    Good,
    GraphRecord,
    NearMiss,
    Severity,
    ValueRecord,
)


class MissingDeclaration(FileRule, code="ON009", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The file leaves out what ONNX demands: a graph's name, an input's name, the type or shape of an input or output.

    ## Why
    Some fields of the format are optional to protobuf and required by the standard. Runtimes differ in which of them
    they miss: one names sessions by the graph, another refuses an output without a type. ONNX's checker rejects the
    file for any of them. They are left out by scripts that fill protobuf messages by hand.

    ## Instead
    Make graphs with `onnx.helper.make_graph` and values with `onnx.helper.make_tensor_value_info(name, type, shape)`.
    An extent that is not known is a symbol ("batch") or None, and a shape of unknown extents is still a shape. For
    outputs, `onnx.shape_inference.infer_shapes` fills in what follows from the graph.

    ## When not
    Inputs and outputs of graphs inside nodes may do without a type.

    ## References
    - ONNX, "Intermediate Representation Specification", "Graphs" and "Value Info".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each field that is missing, by name."""
        graph = file.record.graph
        for where, inner in file.graphs:
            if not inner.name:
                yield self._finding(f"The graph{where} has no name", "Name it: model.graph.name", f"graph{where}")
            yield from self._unnamed(inner, where)
        for what, values in (("input", graph.inputs), ("output", graph.outputs)):
            for value in values:
                if value.name and (lacking := _lacking(value)):
                    yield self._finding(
                        f"The {what} {value.name} has no {lacking}",
                        "Declare it: onnx.helper.make_tensor_value_info",
                        f"{what} {value.name}",
                    )

    def _unnamed(self, graph: GraphRecord, where: str) -> Iterator[Diagnostic]:
        for what, names in (
            ("input", (value.name for value in graph.inputs)),
            ("output", (value.name for value in graph.outputs)),
            ("initializer", graph.initializers),
        ):
            if "" in names:
                yield self._finding(
                    f"An {what} of the graph{where} has no name",
                    "Name it, or delete it: nothing can read it",
                    f"{what} names{where}",
                )

    def _finding(self, wrong: str, advice: str, subject: str) -> Diagnostic:
        return self.finding(
            message=f"{wrong}, which ONNX demands.",
            evidence={},
            advice=Advice(text=advice),
            subject=subject,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """List what is missing."""
        said = [place.message.partition(", which")[0] for place in places]
        shown = "; ".join(f"{each[0].lower()}{each[1:]}" for each in said[:3])
        more = f"; and {len(said) - 3} more" if len(said) > 3 else ""
        return self.finding(
            message=f"{len(said)} things that ONNX demands are missing: {shown}{more}.",
            evidence={"missing": len(said)},
            advice=Advice(text="Make graphs and values with onnx.helper, which asks for all that is needed"),
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 3, 4, 4] x) => (float[] y) { y = Relu (x) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) { y = Relu (x) }
            """
        ),
    )


def _lacking(value: ValueRecord) -> str:
    """Return what a declaration leaves out; "" if nothing."""
    if not value.dtype:
        return "type" if value.shape is None else "element type"
    kinds = {"sequence", "optional", "map", "opaque"}
    return "shape" if value.shape is None and value.dtype not in kinds else ""

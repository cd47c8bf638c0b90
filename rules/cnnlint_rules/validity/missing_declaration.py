"""ON009: what every file must say of itself, and this one does not."""

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
    GraphRecord,
    Layer,
    NearMiss,
    Severity,
    ValueRecord,
)

NO_TENSORS = frozenset({"sequence", "optional", "map", "opaque"})


class MissingDeclaration(FileRule, code="ON009", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The file leaves out what ONNX demands: a graph's name, an input's name, the type or shape of an input or output.

    ## Why
    Some fields of the format are optional to protobuf and required by the standard. Runtimes differ in which of them
    they miss: one names sessions by the graph, another refuses an output without a type. ONNX's checker rejects the
    file for any of them. They are left out by scripts that fill protobuf messages by hand.

    ## Instead
    Make graphs with `onnx.helper.make_graph` and values with `onnx.helper.make_tensor_value_info(name, type, shape)`.
    An extent that is not known is a symbol ("batch") or None, and a shape of unknown extents is still a shape. For
    outputs, `onnx.shape_inference.infer_shapes` fills in what follows from the graph; so does `cnnlint fix`, which
    gives the graph a name too.

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
                yield self._finding(
                    f"The graph{where} has no name", "Name it: model.graph.name", f"graph{where}", rewritable=not where
                )
            yield from self._unnamed(inner, where)
        for what, values in (("input", graph.inputs), ("output", graph.outputs)):
            for value in values:
                if value.name and (lacking := _lacking(value)):
                    yield self._finding(
                        f"The {what} {value.name} has no {lacking}",
                        "Declare it: onnx.helper.make_tensor_value_info",
                        f"{what} {value.name}",
                        rewritable=what == "output" and _is_known(value, file),
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

    def _finding(self, wrong: str, advice: str, subject: str, *, rewritable: bool = False) -> Diagnostic:
        return self.finding(
            message=f"{wrong}, which ONNX demands.",
            evidence={},
            advice=Advice(text=advice),
            subject=subject,
            rewritable=rewritable,
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

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Name the graph, and declare outputs as what the nodes make."""
        editor.name_graph("main_graph")
        file = editor.known_file
        known = [value.name for value in file.record.graph.outputs if _lacking(value) and _is_known(value, file)]
        shapes = {name: file.wiring.shape(name) or () for name in known}
        editor.declare_outputs(shapes, {name: file.wiring.dtype(name) for name in known})

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 3, 4, 4] x) => (float[] y) { y = Relu (x) }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y) { y = Relu (x) }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) { y = Relu (x) }
            """
        ),
    )


def _is_known(output: ValueRecord, file: FileContext) -> bool:
    """Return whether the nodes say what an output is declared without."""
    if output.shape is not None and not output.dtype:
        return False  # onnxruntime does not read a type of no element type
    return file.wiring.dtype(output.name) not in {"", *NO_TENSORS} and file.wiring.shape(output.name) is not None


def _lacking(value: ValueRecord) -> str:
    """Return what a declaration leaves out; "" if nothing."""
    if not value.dtype:
        return "type" if value.shape is None else "element type"
    return "shape" if value.shape is None and value.dtype not in NO_TENSORS else ""

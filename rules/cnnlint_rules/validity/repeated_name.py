"""ON007: names that stand for several tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

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
    Layer,
    NearMiss,
    NodeRecord,
    Severity,
)

Name = TypeVar("Name", bound=Hashable)


class RepeatedName(FileRule, code="ON007", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A name stands for several tensors, functions or declarations.

    ## Why
    Nodes of ONNX find their inputs by name, and a graph must be in static single assignment form: each name is given
    once, in the graph and in the graphs inside its nodes. Where a name is given twice, which of the two is meant is up
    to the reader: ONNX's checker rejects the file, one runtime takes the first and another the last. It comes from
    joining graphs without a prefix, and from scripts that append a weight which is already there.

    ## Instead
    Delete the copy, or rename one of the two where both are meant; `onnx.compose.add_prefix` renames all of a model
    before it is merged with another. `cnnlint fix` deletes the declarations of an inner tensor that is declared twice;
    which copy of a tensor is meant it cannot know, and a file in which two nodes have one name does not run, so that a
    renamed one could not be held against it.

    ## When not
    Two nodes of one name in a graph are an error though ONNX's checker lets them pass: onnxruntime loads no such file.
    Constants do not count there, since it makes initializers of them, nor do functions that nothing calls; these are a
    warning, because profilers and quantizers tell nodes by their names. So is an output or the declaration of an inner
    tensor that is there twice, which the checker and onnxruntime let pass. Nodes of two graphs, such as the branches of
    an If, may share a name. An initializer may have the name of an input: it is that input's default. Two nodes that
    make one tensor, and a node that makes what an input or an initializer is, are not read at all.

    ## References
    - ONNX, "Intermediate Representation Specification", "Names Within a Graph" and "Graphs".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each name that is given more than once, with what it stands for."""
        for name, what in file.repeated:
            yield self._finding(name, what)
        for domain, name, _ in _repeated(file.record.function_keys):
            yield self._finding(name, f"the name of two functions of domain {domain or 'ai.onnx'}")
        graph = file.record.graph
        for name in _repeated(value.name for value in graph.outputs):
            yield self._finding(name, "the name of two outputs", Severity.WARNING)
        for name in graph.repeated[1]:
            yield self._finding(name, "declared twice as an inner tensor", Severity.WARNING, rewritable=True)
        for where, nodes, runs in _bodies(file):
            names = [node.name for node in nodes if node.name]
            for name in _repeated(names) if len(set(names)) < len(names) else ():
                kept = sum(node.name == name and node.op_type != "Constant" for node in nodes)
                severity = None if runs and kept > 1 else Severity.WARNING
                yield self._finding(name, f"the name of two nodes{where}", severity)

    def _finding(
        self, name: str, what: str, severity: Severity | None = None, *, rewritable: bool = False
    ) -> Diagnostic:
        return self.finding(
            message=f"{name} is {what}, and a name may be given only once.",
            evidence={},
            advice=Advice(text="Delete the copy, or give one of the two another name"),
            severity=severity,
            subject=f"{name} {what}",
            rewritable=rewritable,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many names are given twice, and the first of them."""
        return self.several(
            places, "names are given more than once", "Delete the copies, or give one of each two another name"
        )

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Drop declarations of inner tensors that are declared twice."""
        editor.undeclare(editor.known_file.record.graph.repeated[1])

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y)
            <float[2] shift = {1, 2}, float[2] shift = {3, 4}>
            { y = Add (x, shift) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y)
            <float[2] shift = {1, 2}, float[2] other = {3, 4}>
            { half = Add (x, shift) y = Add (half, other) }
            """
        ),
    )


def _bodies(file: FileContext) -> Iterator[tuple[str, Sequence[NodeRecord], bool]]:
    """Yield the nodes of each graph and function, where these are, as a clause, and whether a run comes there."""
    for where, graph in file.graphs:
        yield where, graph.nodes, True
    for function in file.record.functions.values():
        called = (function.domain, function.name, function.overload) in file.operators
        yield f" in function {function.name}", function.nodes, called


def _repeated(names: Iterable[Name]) -> Iterator[Name]:
    """Yield each of `names` that is there more than once, once."""
    return (name for name, count in Counter(names).items() if count > 1)

"""ON016: names with characters that nobody can see."""

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
)


class UnprintableName(FileRule, code="ON016", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """A name holds control characters, or other characters that cannot be seen.

    ## Why
    The standard wants names to be identifiers as C has them. Exporters write slashes, dots and colons too, and all
    tools take these; but a line break, a tab, a zero-width space or a character that turns the direction of writing
    splits lines of logs, hides that two names differ, and breaks reports and code that are made from the names. It
    comes from names that were read from a file with its line breaks, and from copied text.

    ## Instead
    Strip names where they are read (`name.strip()`), and rename in the file with a script that changes every place at
    which the name stands, or with `onnx.compose.add_prefix`.

    ## When not
    Letters of all languages can be seen, and are not meant.

    ## References
    - ONNX, "Intermediate Representation Specification", "Names Within a Graph".
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each name that cannot be shown as it is."""
        for where, graph in file.graphs:
            names = _names(graph)
            if "".join(names).isprintable():
                continue  # thousands of names, at once
            for name in dict.fromkeys(names):
                if not name.isprintable():
                    hidden = [character for character in name if not character.isprintable()]
                    noun = "character" if len(hidden) == 1 else "characters"
                    yield self.finding(
                        message=f"The name {name!a}{where} holds {len(hidden)} {noun} that cannot be seen"
                        f" ({hidden[0]!a}).",
                        evidence={"characters": len(hidden)},
                        advice=Advice(text="Rename it wherever it stands"),
                        subject=name,
                    )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many names cannot be seen, and the first of them."""
        return self.several(places, "names hold characters that cannot be seen", "Rename them wherever they stand")

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] "y\u200b") { "y\u200b" = Relu (x) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """
        ),
    )


def _names(graph: GraphRecord) -> list[str]:
    return [
        graph.name,
        *[value.name for value in (*graph.inputs, *graph.outputs)],
        *graph.initializers,
        *[node.name for node in graph.nodes],
        *[name for node in graph.nodes for name in node.outputs],
    ]

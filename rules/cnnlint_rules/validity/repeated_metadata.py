"""ON011: metadata keys that are given twice."""

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
    Layer,
    NearMiss,
    Severity,
)


class RepeatedMetadata(FileRule, code="ON011", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A key stands twice in the metadata of the model.

    ## Why
    The metadata of a model (`metadata_props`) is a map: each key once. Where a key has two values, readers take the
    first or the last, and what an application reads there, such as names of classes or the mean and deviation of
    images, is then another thing in another language. ONNX's checker rejects the file. It comes from scripts that add
    an entry at every run.

    ## Instead
    Use `onnx.helper.set_model_props(model, {...})`, which replaces what was there. `cnnlint fix` drops what is said
    twice; which of two values is meant it cannot know.

    ## When not
    Never.

    ## References
    - ONNX, "Intermediate Representation Specification", "Optional Metadata".
    """

    explains = (("ON012", ""),)

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each key that stands more than once, with how often."""
        given = dict[str, list[str]]()
        for key, value in file.record.metadata_entries:
            given.setdefault(key, []).append(value)
        for key, values in given.items():
            if len(values) > 1:
                same = len(set(values)) == 1
                what = "" if same else ", with different values"
                yield self.finding(
                    message=f"The key {key!r} stands {len(values)} times in the metadata of the model{what}.",
                    evidence={"times": len(values)},
                    advice=Advice(text="Write the metadata anew with onnx.helper.set_model_props"),
                    subject=key,
                    rewritable=same,
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many keys stand twice, and the first of them."""
        return self.several(
            places,
            "keys of the metadata stand more than once",
            "Write the metadata anew with onnx.helper.set_model_props",
        )

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Keep each pair of key and value once."""
        entries = editor.model.metadata_props
        editor.relist(entries, {(each.key, each.value): each for each in entries}.values())

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15], metadata_props: ["classes": "cat,dog", "classes": "cat,dog"]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15], metadata_props: ["classes": "cat,dog"]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15], metadata_props: ["classes": "cat,dog", "classes": "dog,cat"]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15], metadata_props: ["classes": "cat,dog"]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """
        ),
    )

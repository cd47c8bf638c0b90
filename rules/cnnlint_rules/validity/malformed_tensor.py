"""ON014: tensors whose values are given in two ways, whose sparse indices are wrong, or whose data file is another."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    FileRule,
    Good,
    NearMiss,
    Severity,
)


class MalformedTensor(
    FileRule,
    code="ON014",
    severity=Severity.ERROR,
    confidence=Confidence.EXACT,
    reads_values=True,
    since="0.1.0",
):
    """A tensor holds its values in two places, is sparse with indices that do not fit, or its data are not its own.

    ## Why
    A tensor has several fields that its values may stand in (`raw_data`, `float_data`, `int64_data`, a file beside the
    model), and exactly one may be used: which of two counts, readers decide each for themselves, so that one program
    runs other weights than the next. A sparse tensor lists its values along one axis, and where they stand as int64,
    in ascending order, each within the shape; runtimes write there without looking. ONNX's checker rejects the file.

    A model whose weights lie in another file may name the SHA-1 of that file. Where it does, it is computed: a
    file of the right length with other weights is loaded by every runtime, and gives wrong results.

    ## Instead
    Make tensors with `onnx.numpy_helper.from_array` or `onnx.helper.make_tensor`, and sparse ones of sorted indices
    with `onnx.helper.make_sparse_tensor`. Clear the tensor before it is filled again: `tensor.Clear()`.

    ## When not
    A checksum that is not 40 hexadecimal digits is a warning, for nothing checks it but this rule. The indices of
    sparse tensors of more than 64 values are read only where the model is run, by ONNX's checker.

    ## References
    - ONNX, "Intermediate Representation Specification", "Tensors" and "External Tensor Data".
    - ONNX, `onnx.proto`, `TensorProto` and `SparseTensorProto`.
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each tensor that is malformed, and each data file that is not the one that is meant."""
        for name, fault, is_rejected in file.record.faults:
            yield self.finding(
                message=f"The tensor {name or 'without a name'} {fault}.",
                evidence={},
                advice=Advice(text="Make the tensor anew with onnx.numpy_helper.from_array"),
                severity=None if is_rejected else Severity.WARNING,
                subject=name,
            )
        for location, (checksum, source) in file.record.checksums.items():
            if len(checksum) == DIGITS and (found := file.digest(location)) != checksum.lower():
                yield self.finding(
                    message=f"The data file {location} has the SHA-1 {found[:12]}…, and the model names"
                    f" {checksum[:12]}…: it was changed, or belongs to another model.",
                    evidence={"bytes": source.size},
                    advice=Advice(text="Put the data file that was saved with the model beside it"),
                    subject=location,
                )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y)
            <float[2] shift = ["location": "weights.bin", "checksum": "8f0e"]> { y = Add (x, shift) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y) <float[2] shift = {1, 2}> { y = Add (x, shift) }
            """
        ),
    )


DIGITS = 40
"""Of a SHA-1 in hexadecimal."""

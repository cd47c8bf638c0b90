"""ON014: tensors whose values are given in two ways, and sparse ones whose indices are wrong."""

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


class MalformedTensor(FileRule, code="ON014", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A tensor holds its values in two places, or is sparse with indices that do not fit.

    ## Why
    A tensor has several fields that its values may stand in (`raw_data`, `float_data`, `int64_data`, a file beside the
    model), and exactly one may be used: which of two counts, readers decide each for themselves, so that one program
    runs other weights than the next. A sparse tensor lists its values along one axis, and where they stand as int64,
    in ascending order, each within the shape; runtimes write there without looking. ONNX's checker rejects the file.

    ## Instead
    Make tensors with `onnx.numpy_helper.from_array` or `onnx.helper.make_tensor`, and sparse ones of sorted indices
    with `onnx.helper.make_sparse_tensor`. Clear the tensor before it is filled again: `tensor.Clear()`.

    ## When not
    Never. The indices of sparse tensors of more than 64 values are read only where the model is run, by ONNX's checker.

    ## References
    - ONNX, "Intermediate Representation Specification", "Tensors" and "External Tensor Data".
    - ONNX, `onnx.proto`, `TensorProto` and `SparseTensorProto`.
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each tensor that is malformed, with how."""
        for name, fault in file.record.faults:
            yield self.finding(
                message=f"The tensor {name or 'without a name'} {fault}.",
                evidence={},
                advice=Advice(text="Make the tensor anew with onnx.numpy_helper.from_array"),
                subject=name,
            )

    examples = (
        Bad(
            """
            ir_version: 8
            opset_import { version: 15 }
            graph {
              name: "twofold"
              node { op_type: "Add" input: "x" input: "shift" output: "y" }
              initializer { name: "shift" data_type: 1 dims: 1 float_data: 1 raw_data: "\\000\\000\\000@" }
              input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 1 } } } } }
              output { name: "y" type { tensor_type { elem_type: 1 shape { dim { dim_value: 1 } } } } }
            }
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

"""RT002: outputs are not what the file declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    NearMiss,
    Probe,
    RuntimeCheckError,
    RuntimeRule,
    Severity,
    shown_shape,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnlint import ValueRecord


class OutputShapeMismatch(
    RuntimeRule, code="RT002", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"
):
    """An output has another shape or type than the file declares.

    ## Why
    Programs that call the model allocate buffers and compile kernels by the declared shapes; onnxruntime itself
    only warns. A symbol that an input has too is a promise: who feeds the input knows the number. Symbols that only
    outputs have are names, most of them made up by an exporter (`Conv26_dim_0`), and promise nothing.

    ## Instead
    Correct the declaration, or delete it and let `onnx.shape_inference` write it anew. After an edit of the graph it
    is often the old declaration that was left over.

    ## When not
    Never: a declaration that is wrong is worse than none.

    ## References
    - ONNX, "Open Neural Network Exchange Intermediate Representation Specification", "Tensor shapes".
    """

    explains = (("ON012", ""),)

    def check(self, probe: Probe, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each output that differs, with both shapes."""
        try:
            run = probe.run()
        except RuntimeCheckError as error:
            yield self.skip(reason=f"there is no run to compare with: {error.cause}")
            return
        known = dict[str, int]()
        for value in probe.inputs:
            for dim, extent in zip(value.shape or (), run.extents.shapes[value.name], strict=False):
                if isinstance(dim, str):
                    known.setdefault(dim, extent)
        for declared in probe.outputs:
            value = run.values[declared.name]
            reason = _difference(declared, value, known)
            if reason:
                yield self.finding(
                    message=f"Output {declared.name} {reason} ({run.conditions}).",
                    evidence={f"axis_{axis}": int(extent) for axis, extent in enumerate(value.shape)},
                    advice=Advice(text=f"Declare {declared.name} as what the network makes, or correct the network"),
                    subject=declared.name,
                )

    examples = (
        Bad(
            """<ir_version: 8, opset_import: ["": 15]>
            stale (float[N,3,4,4] x) => (float[N,3,4,5] y) { y = Relu(x) }""",
            at=(),
        ),
        Bad(
            """<ir_version: 8, opset_import: ["": 15]>
            swapped (float[N,3,H,8] x) => (float[N,3,H,H] y) { y = Relu(x) }""",
            at=(),
        ),
        Good(
            """<ir_version: 8, opset_import: ["": 15]>
            open (float[N,3,4,4] x) => (float[N,3,H,H] y) { y = Relu(x) }"""
        ),
        Good(
            """<ir_version: 8, opset_import: ["": 15]>
            made_up (float[1,3,4,8] x) => (float[Relu0_dim_0,3,Relu0_dim_0,Relu0_dim_3] y) { y = Relu(x) }"""
        ),
    )


def _difference(declared: ValueRecord, value: NDArray[Any], known: dict[str, int]) -> str:
    """Return how `value` differs from what is declared, "" if it does not; `known` are the symbols of the inputs."""
    if not hasattr(value, "shape"):  # a sequence or a map
        return ""
    if declared.dtype not in {"", "string", value.dtype.name}:
        return f"is declared as {declared.dtype} and comes out as {value.dtype.name}"
    if declared.shape is None:
        return ""
    if len(declared.shape) != len(value.shape):
        return f"is declared as {shown_shape(declared.shape)} and comes out as {shown_shape(value.shape)}"
    for dim, extent in zip(declared.shape, value.shape, strict=True):
        expected = known.get(dim) if isinstance(dim, str) else dim
        if expected is not None and expected != extent:
            symbols = {str(dim): known[dim] for dim in declared.shape if isinstance(dim, str) and dim in known}
            where = f", where {', '.join(f'{name} is {size}' for name, size in symbols.items())}" if symbols else ""
            return f"is declared as {shown_shape(declared.shape)}{where}, and comes out as {shown_shape(value.shape)}"
    return ""

"""Checks of the values of runs: softmax sums, batch invariance, finite values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord

SOFTMAX = ("Softmax", "LogSoftmax")
"""Operators whose outputs are probabilities that sum to one, or their logarithms."""

SQUASHING = (*SOFTMAX, "Sigmoid", "HardSigmoid")
"""Operators that turn logits into probabilities and hide differences between logits."""

PASS_THROUGH = frozenset({"Identity", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten"})
"""Operators that pass values on unchanged."""

ROUNDING = {"float64": 1e-6, "float32": 1e-3, "float16": 3e-2}
"""Rounding error relative to a tensor's largest magnitude, or to the range of its function.

A batch of another size only changes the order of sums. Statistics of a batch of two instead of moving ones change
values by a tenth or more.
"""

SUMS = {"float64": 1e-6, "float32": 1e-3, "float16": 1e-2}
"""How far a sum of rounded probabilities may be from one; a thousand float32 classes stay well below 1e-3."""

QUANTIZED = 0.05
"""The same for 8-bit values: over a thousand classes, rounding loses several hundredths."""


class Tail(Struct, frozen=True):
    """The softmax or sigmoid that a graph output comes from.

    Attributes:
        output: The graph output.
        logits: The tensor before the function.
        probabilities: The output of the function.
        operator: "Softmax", "LogSoftmax", "Sigmoid" or "HardSigmoid".
        axis: Axis along which probabilities sum to one, negative from the end; None for a sigmoid.
    """

    output: str
    logits: str
    probabilities: str
    operator: str
    axis: int | None

    @property
    def logarithm(self) -> bool:
        """Whether it is a log-softmax."""
        return self.operator == "LogSoftmax"

    @property
    def bounded(self) -> bool:
        """Whether its values lie between 0 and 1."""
        return not self.logarithm


def find_tails(record: ModelRecord) -> tuple[Tail, ...]:
    """Return the softmax or sigmoid of each output that has one, possibly followed by pass-through operators."""
    graph = record.graph
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    # Before opset 13 a softmax ran over all axes from `axis` on, and `axis` was 1.
    default = -1 if record.opsets.get("", 1) >= 13 else 1
    found = list[Tail]()
    for output in graph.outputs:
        node = _before_pass_through(graph, makers, output.name)
        if node is not None and node.op_type in SQUASHING and node.inputs:
            axis = node.attributes.get("axis", default)
            classes = None if node.op_type not in SOFTMAX else axis if isinstance(axis, int) else default
            found.append(Tail(output.name, node.inputs[0], node.outputs[0], node.op_type, classes))
    return tuple(found)


def _before_pass_through(graph: GraphRecord, makers: dict[str, NodeRecord], name: str) -> NodeRecord | None:
    for _ in range(len(graph.nodes)):
        node = makers.get(name)
        if node is None or node.domain or node.op_type not in PASS_THROUGH:
            return node if node is not None and not node.domain else None
        name = node.inputs[0]
    return None


def tolerance(value: NDArray[Any]) -> float:
    """Return the relative error that rounding may cause for values of this type; 0 for integers."""
    return ROUNDING.get(value.dtype.name, 0.0)


def sample_error(
    first: NDArray[Any], again: NDArray[Any], batch: int, batch_again: int, *, scale: float | None = None
) -> float | None:
    """Return the largest error of the first sample between two runs, relative to its largest magnitude.

    Args:
        first: A tensor in the first run, its first axis the batch or a multiple of it.
        again: The same tensor in the second run.
        batch: Samples in the first run.
        batch_again: Samples in the second.
        scale: What the error is relative to, if known: 1 for a sigmoid, whose values may all be tiny.

    Returns:
        None if the tensors have no batch axis, or their other extents depend on the data, and for sequences and maps.
    """
    import numpy as np

    if not (isinstance(first, np.ndarray) and isinstance(again, np.ndarray)):  # pyright: ignore[reportUnnecessaryIsInstance] - the classifiers of ai.onnx.ml give a list of maps
        return None
    if not first.ndim or not again.ndim or first.shape[1:] != again.shape[1:] or first.dtype.kind not in "fiub":
        return None
    rows, rest = divmod(first.shape[0], batch)
    rows_again, rest_again = divmod(again.shape[0], batch_again)
    if rest or rest_again or not rows or rows != rows_again:
        return None
    left, right = first[:rows].astype(np.float64), again[:rows].astype(np.float64)
    finite = np.isfinite(left) & np.isfinite(right)
    if not finite.any():
        return None
    scale = float(np.abs(left[finite]).max()) if scale is None else scale
    error = float(np.abs(left[finite] - right[finite]).max())
    return error / scale if scale else float(error > 0)


def class_axis(tail: Tail, value: NDArray[Any]) -> int | None:
    """Return the class axis; None for a sigmoid, or if the tensor has no such axis."""
    if tail.axis is None:
        return None
    axis = tail.axis + value.ndim if tail.axis < 0 else tail.axis
    return axis if 0 <= axis < value.ndim else None


def worst_sum(value: NDArray[Any], axis: int, *, logarithm: bool) -> tuple[float | None, float]:
    """Return the sum along `axis` that is farthest from one, and how far it may be.

    Args:
        value: Probabilities.
        axis: The class axis.
        logarithm: Whether the values are logarithms of probabilities.

    Returns:
        None for the sum if no sum is finite.
    """
    import numpy as np

    wide = value.astype(np.float64)
    sums = (np.exp(wide) if logarithm else wide).sum(axis=axis).reshape(-1)
    sums = sums[np.isfinite(sums)]
    allowed = SUMS.get(value.dtype.name, QUANTIZED)
    return (float(sums[np.abs(sums - 1).argmax()]), allowed) if sums.size else (None, allowed)


def non_finite(value: NDArray[Any]) -> int:
    """Return how many elements of `value` are NaN or infinite; 0 for non-floating types."""
    import numpy as np

    if getattr(value, "dtype", None) is None or value.dtype.kind not in "fc":
        return 0
    return int(value.size - np.isfinite(value).sum())

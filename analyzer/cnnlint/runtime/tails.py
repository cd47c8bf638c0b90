"""The softmax or sigmoid at the end of a network, seen in the file: what goes into it, and what its values sum to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord

SOFTMAX = ("Softmax", "LogSoftmax")

SQUASHING = (*SOFTMAX, "Sigmoid", "HardSigmoid")
"""Operators that turn scores into probabilities and hide how far scores are apart."""

CARRIERS = frozenset({"Identity", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten"})
"""Operators that hand on values as they are."""


class Tail(Struct, frozen=True):
    """A softmax or a sigmoid that a graph output comes from.

    Attributes:
        output: The graph output.
        logits: The tensor before the function.
        probabilities: The tensor that the function makes.
        operator: "Softmax", "LogSoftmax", "Sigmoid" or "HardSigmoid".
        axis: Along which probabilities sum to one; negative ones count from the end; None for a sigmoid.
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
    """Return the softmax or sigmoid behind each output of the model that comes from one by way of carriers only."""
    graph = record.graph
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    # Before opset 13 a softmax ran over all axes from `axis` on, and `axis` was 1.
    default = -1 if record.opsets.get("", 1) >= 13 else 1
    found = list[Tail]()
    for output in graph.outputs:
        node = _behind_carriers(graph, makers, output.name)
        if node is not None and node.op_type in SQUASHING and node.inputs:
            axis = node.attributes.get("axis", default)
            classes = None if node.op_type not in SOFTMAX else axis if isinstance(axis, int) else default
            found.append(Tail(output.name, node.inputs[0], node.outputs[0], node.op_type, classes))
    return tuple(found)


def _behind_carriers(graph: GraphRecord, makers: dict[str, NodeRecord], name: str) -> NodeRecord | None:
    for _ in range(len(graph.nodes)):
        node = makers.get(name)
        if node is None or node.domain or node.op_type not in CARRIERS:
            return node if node is not None and not node.domain else None
        name = node.inputs[0]
    return None

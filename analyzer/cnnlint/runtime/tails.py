"""The softmax at the end of a network, seen in the file: what goes into it, and along which axis it sums to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord

SOFTMAX = ("Softmax", "LogSoftmax")

CARRIERS = frozenset({"Identity", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten"})
"""Operators that hand on values as they are."""


class SoftmaxTail(Struct, frozen=True):
    """A softmax that a graph output comes from.

    Attributes:
        output: The graph output.
        logits: The tensor before the softmax.
        probabilities: The tensor that the softmax makes.
        axis: Along which probabilities sum to one; negative ones count from the end.
        logarithm: Whether it is a log-softmax.
    """

    output: str
    logits: str
    probabilities: str
    axis: int
    logarithm: bool


def softmax_tails(record: ModelRecord) -> tuple[SoftmaxTail, ...]:
    """Return the softmax behind each output of the model that comes from one by way of carriers only."""
    graph = record.graph
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    # Before opset 13 a softmax ran over all axes from `axis` on, and `axis` was 1.
    default = -1 if record.opsets.get("", 1) >= 13 else 1
    found = list[SoftmaxTail]()
    for output in graph.outputs:
        node = _behind_carriers(graph, makers, output.name)
        if node is not None and node.op_type in SOFTMAX and node.inputs:
            axis = node.attributes.get("axis", default)
            logarithm = node.op_type == "LogSoftmax"
            tail = (node.inputs[0], node.outputs[0], axis if isinstance(axis, int) else default, logarithm)
            found.append(SoftmaxTail(output.name, *tail))
    return tuple(found)


def _behind_carriers(graph: GraphRecord, makers: dict[str, NodeRecord], name: str) -> NodeRecord | None:
    for _ in range(len(graph.nodes)):
        node = makers.get(name)
        if node is None or node.domain or node.op_type not in CARRIERS:
            return node if node is not None and not node.domain else None
        name = node.inputs[0]
    return None

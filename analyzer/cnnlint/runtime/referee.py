"""onnx's own checker, asked about a model while that is run: what it says of the file, without the weights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from cnnlint import limits
from cnnlint.frontends.onnx.inlining import expansion
from cnnlint.frontends.onnx.schemas import newest
from cnnlint.frontends.onnx.strip import without_values
from cnnlint.frontends.sources import Memory
from cnnlint.worker.question import Question

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.records import ModelRecord
    from cnnlint.runtime.program import Program

CHECK = """
from cnnlint.worker.onnx_library import verdict
sys.stdout.buffer.write(verdict(sys.stdin.buffer.read()))
"""
"""The program that checks a model: some files crash onnx."""


class Verdict(Struct, frozen=True):
    """What onnx's checker says of a file.

    Attributes:
        rejected: Its words on one line; "" if it accepts the file.
        node: The name of the node that it names; "" if it names none.
        operator: The operator of that node; "" if it does not say.
        opsets: The newest version of each operator set that it knows.
    """

    rejected: str
    node: str = ""
    operator: str = ""
    opsets: dict[str, int] = {}


class Referee:
    """The checker at work on one model; it begins at once."""

    def __init__(self, program: Program) -> None:
        self._question: Question | None = None
        record = program.record
        if expansion(record.graph.nodes, record) > limits.MAX_INLINED:
            return
        given = without_values(Memory(program.content))
        if len(given) <= LARGEST:
            nbytes = limits.INFERENCE_SPARE + limits.INFERENCE_A_BYTE * len(given)
            seconds = limits.INFERENCE_SECONDS + len(given) // limits.INFERENCE_BYTES_A_SECOND
            self._question = Question(CHECK, given, seconds=seconds, nbytes=nbytes)

    def verdict(self) -> Verdict | None:
        """Wait for what it says; None if it crashes, exceeds a limit, or was not asked since the model is too large."""
        said = None if self._question is None else self._question.answer()
        if said is None:
            return None
        found = msgspec.json.decode(said, type=Verdict)
        node, operator = (re.search(pattern, found.rejected) for pattern in (NODE, OPERATOR))
        return Verdict(
            rejected=_one_line(found.rejected),
            node="" if node is None else node[1],
            operator="" if operator is None else operator[1],
            opsets=found.opsets,
        )


def is_left_to_rules(model: ModelRecord) -> bool:
    """Return whether rules tell all that the checker could reject in a file, so that nobody has to wait for it.

    It takes as long as a small network's run. Tests change valid files in eighty ways and find no change that the
    checker alone rejects where this is true.
    """
    graph = model.graph
    constants = graph.initializers.keys() | {node.outputs[0] for node in graph.nodes if node.op_type == "Constant"}
    return (
        not model.functions
        and dict(model.imports).get("", 0) in range(1, (newest("") or 0) + 1)
        and all(
            node.op_type in TOLD_BY_RULES
            and not node.domain
            and len(node.outputs) == 1
            and not node.attributes.get("ceil_mode")
            and (node.op_type not in COMPUTED or constants.issuperset(filter(None, node.inputs[1:])))
            for node in graph.nodes
        )
    )


TOLD_BY_RULES = frozenset(
    {
        *("Conv", "Gemm", "MatMul"),
        *("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean"),
        *("Clip", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Softmax", "Tanh"),
        *("Add", "Div", "Erf", "Exp", "Mul", "Pow", "Sqrt", "Sub"),
        *("BatchNormalization", "Concat", "Flatten", "Gelu", "Identity", "LayerNormalization", "Transpose"),
        *("Pad", "Reshape", "Slice", "Squeeze", "Unsqueeze"),
        *("Constant", "Dropout"),
    }
)
"""Operators of which the rules on validity know as much as the checker."""

COMPUTED = frozenset({"Pad", "Reshape", "Slice"})
"""Those of which they do where their result's shape is in the file, and is not computed when the model is run."""


LARGEST = 1 << 28
"""Most bytes that are checked of a model, without its weights."""

NODE = r"(?:node name: |Name: |\bname: \"?)([^\s\",):]+)"
"""Where the checker's words and those of shape inference name a node."""

OPERATOR = r"op_type: ?(\w+)"
"""Where they name its operator."""


def _one_line(text: str) -> str:
    """Return the checker's message without line breaks and headings."""
    for pattern, replacement in _NOISE:
        text = re.sub(pattern, replacement, text)
    return text.strip(" .")


_NOISE = (
    (r"\[(?:Shape|Type)InferenceError\] (?:Inference error\(s\): )?", ""),
    (r"==> Context: ", ""),
    (r"Bad node spec for node\. ", ""),
    (r"\s+", " "),
)

"""The form that textbooks give to a plain network: INPUT -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC.

Stanford's CS231n, "Convolutional Neural Networks: Architectures", says usually N <= 3 and K < 3.
"""

from __future__ import annotations

from msgspec import Struct

from cnnlint.analysis.pattern.elements import Sequence, Step

_CONVOLUTIONS = frozenset({"CONV", "DWCONV"})
_POOLINGS = frozenset({"POOL", "AVGPOOL", "GAP", "GMP"})
_TRANSPARENT = frozenset({"BN", "LN", "GN", "IN", "LRN"})


class Textbook(Struct, frozen=True):
    """A sequential network read as that form.

    Attributes:
        convolutions: N of each stage; a stage ends with a pooling, the last one perhaps without.
        hidden: K, the dense layers before the last.
        misfit: The name of the first layer that the form has no place for; None if the network has the form.
        reason: Why it has none, in a clause; "" if the network has the form.
    """

    convolutions: tuple[int, ...]
    hidden: int
    misfit: str | None = None
    reason: str = ""


def textbook(sequence: Sequence) -> Textbook | None:
    """Return `sequence`, with nothing folded, read as the textbooks' form; None if it is not sequential.

    Any activation stands for RELU, any pooling for POOL, and normalisations are looked through.
    """
    stages, dense, inside = list[int](), 0, 0
    misfit: tuple[str, str] | None = None
    waiting: Step | None = None  # for its activation
    for step in sequence:
        if not isinstance(step, Step):
            return None
        if step.name == "INPUT" or step.name in _TRANSPARENT:
            continue
        kind = _kind(step)
        reason = ""
        if kind in ("CONV", "FC") and waiting is not None:
            misfit = misfit or (waiting.layer, f"{waiting.name} is followed by {step.name} without an activation")
        if kind == "CONV":
            inside += 1
            reason = f"{step.name} stands behind FC" if dense else ""
            waiting = step
        elif kind == "POOL":
            if inside:
                stages.append(inside)
            inside = 0
            reason = f"{step.name} stands behind FC" if dense else ""
        elif kind == "FC":
            dense += 1
            waiting = step
        elif step.weighted or kind == "OTHER":
            reason = f"{step.name} has no place in it"
        else:
            reason = "" if waiting is not None else f"{step.name} follows neither CONV nor FC"
            waiting = None
        if reason and misfit is None:
            misfit = (step.layer, reason)
    if inside:
        stages.append(inside)
    if not dense and misfit is None:
        misfit = ("", "no FC ends it")
    name, reason = misfit or (None, "")
    return Textbook(tuple(stages), max(dense - 1, 0), name, reason)


_ACTIVATIONS = frozenset({
    "RELU", "RELU6", "LEAKYRELU", "PRELU", "ELU", "SELU", "CELU", "GELU", "SIGMOID", "HSIGMOID", "TANH", "HARDTANH",
    "SWISH", "HSWISH", "MISH", "SOFTPLUS", "SOFTSIGN", "SOFTMAX", "LOGSOFTMAX", "EXP", "THRESHOLD",
})  # fmt: skip


def _kind(step: Step) -> str:
    if step.name in _CONVOLUTIONS:
        return "CONV"
    if step.name in _POOLINGS:
        return "POOL"
    if step.name == "FC" or step.name in _ACTIVATIONS:
        return "FC" if step.name == "FC" else "ACTIVATION"
    return "OTHER"

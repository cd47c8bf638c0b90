"""What the field calls the ways in which branches are joined."""

from __future__ import annotations

from cnnlint.analysis.pattern.elements import Join, Sequence, Step
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Add, Concat, Multiply

_NORMS = frozenset({"BN", "GN", "LN", "IN"})

_PROJECTING = frozenset({"CONV", "POOL", "AVGPOOL", "CROP"}) | _NORMS
"""What may lie on a shortcut: a projection to the shape of the branch that it goes around."""


def OUTPUTS(branches: list[Sequence]) -> Join:  # noqa: N802 - reads as what it prints
    """Return the outputs of a network that has several."""
    return Join("OUTPUTS", tuple(branches))


def join(layer: Layer, step: Step, branches: list[Sequence], *, joins: bool) -> Sequence:
    """Return what `layer` makes of `branches`; `joins` is False where it joins others too, further out."""
    name = layer.name if joins else ""
    match layer:
        case Add():
            return (_sum(_flat(branches, ("RES", "ADD")), layer, name),)
        case Multiply():
            return (_product(branches, name),)
        case Concat():
            return (Join("CAT", tuple(_flat(branches, ("CAT",))), layer=name),)
        case _:
            return (Join(step.name, tuple(branches), layer=name),)


def _sum(branches: list[Sequence], layer: Layer, name: str) -> Join:
    if len(branches) == 2:
        ranked = sorted(branches, key=_is_shortcut)
        if not _is_shortcut(ranked[0]) and _is_shortcut(ranked[1]):
            stage = layer.output.sample_shape
            return Join("RES", (ranked[0],), shortcut=ranked[1], stage=stage, layer=name)
        if () in branches:
            main = branches[0] or branches[1]
            return Join("RES", (main,), shortcut=(), stage=layer.output.sample_shape, layer=name)
    return Join("ADD", tuple(branches), layer=name)


def _is_shortcut(branch: Sequence) -> bool:
    names = [element.name if isinstance(element, Step) else "" for element in branch]
    return names.count("CONV") <= 1 and _PROJECTING.issuperset(names)


def _product(branches: list[Sequence], name: str) -> Join:
    if len(branches) == 2 and () in branches:
        gate = branches[0] or branches[1]
        if _squeezes_and_excites(gate):
            return Join("SE", (), layer=name)
        return Join("GATE", (gate,), layer=name)
    return Join("GATE", tuple(branches), layer=name)


def _squeezes_and_excites(gate: Sequence) -> bool:
    """Return whether `gate` is that of Hu et al., "Squeeze-and-Excitation Networks"."""
    names = [element.name if isinstance(element, Step) else "" for element in gate]
    names = [name for name in names if name not in _NORMS]
    if len(names) != 5:
        return False
    squeeze, reduce, _, expand, excite = names
    weighted = ("CONV", "FC")
    return squeeze == "GAP" and reduce in weighted and expand in weighted and excite in ("SIGMOID", "HSIGMOID")


def _flat(branches: list[Sequence], names: tuple[str, ...]) -> list[Sequence]:
    """Return `branches` with those that are nothing but a join of the same kind taken apart: a + (b + c)."""
    result = list[Sequence]()
    for branch in branches:
        inner = branch[0] if len(branch) == 1 else None
        if isinstance(inner, Join) and inner.name in names:
            result += [*([] if inner.shortcut is None else [inner.shortcut]), *inner.branches]
        else:
            result.append(branch)
    return result

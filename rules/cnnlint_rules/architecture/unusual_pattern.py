"""AR001: a plain network that is not built as plain networks are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from cnnlint import (
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    Graph,
    ModelRule,
    NearMiss,
    Severity,
)

FORM = "INPUT -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC"


class UnusualPattern(ModelRule, code="AR001", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A sequential network departs from the pattern that plain convolutional networks follow.

    ## Why
    Nearly all plain classifiers from LeNet to VGG read INPUT → [[CONV → RELU]*N → POOL?]*M → [FC → RELU]*K → FC, with
    N ≤ 3 and K < 3: LeNet-5 is N = 1, M = 2, K = 2; VGG16 is N = 2, 2, 3, 3, 3, K = 2. A stage of N 3 × 3 convolutions
    sees 2N + 1 pixels before the map is halved, and what is deeper than that trains better with shortcuts. The
    rule is an opinion: a departure is often on purpose, and as often a layer that was forgotten or misplaced.

    ## Instead
    Look at the place that the finding names. Stages that are longer than N are better split by a pooling or a stride,
    or made residual blocks; a network that works needs no change.

    ## When not
    Networks with branches and shortcuts have patterns of their own, and the rule does not look at them.
    Normalization and dropout may stand anywhere; any activation counts as RELU and any pooling as POOL.

    ## References
    - Stanford CS231n, "Convolutional Neural Networks", section "ConvNet Architectures: Layer Patterns".
    - LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE, 1998.
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
    """

    max_convolutions: Annotated[int, Meta(description="N: as many convolutions of a stage as are usual.", ge=1)] = 3
    max_hidden: Annotated[int, Meta(description="K: as many hidden dense layers as are usual.", ge=0)] = 2

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield where a sequential network departs from the form."""
        graph = context.graph
        if next(graph.of_kind(Conv), None) is None:
            yield self.skip(reason="the network has no convolution")
            return
        form = textbook(graph)
        if form is None:
            yield self.skip(reason="the network is not sequential")
            return
        longest, stages = max(form.convolutions, default=0), len(form.convolutions)
        evidence = {
            "stages": stages,
            "convolutions": longest,
            "max_convolutions": self.max_convolutions,
            "hidden_dense": form.hidden,
            "max_hidden": self.max_hidden,
        }
        faults = list[str]()
        if form.misfit is not None:
            faults.append(form.reason)
        if longest > self.max_convolutions:
            faults.append(f"a stage has N = {longest} convolutions, more than {self.max_convolutions}")
        if form.hidden > self.max_hidden:
            faults.append(f"K = {form.hidden} hidden dense layers end it, more than {self.max_hidden}")
        if not faults:
            yield self.skip(reason=f"it follows the pattern with N ≤ {longest}, M = {stages} and K = {form.hidden}")
            return
        layers = [layer for layer in graph.layers if form.misfit and layer.name == form.misfit]
        yield self.finding(
            *layers,
            message=f"This sequential network departs from {FORM} with N ≤ {self.max_convolutions} and"
            f" K ≤ {self.max_hidden}: {'; '.join(faults)}.",
            evidence=evidence,
            advice=Advice(text="Look whether a layer is missing or misplaced; if it is meant so, ignore this opinion"),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> CONV 16 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 10", at=("conv1",)),
        Bad("INPUT 3x32x32 -> [CONV 16 3x3 same -> RELU]*4 -> POOL 2 -> GAP -> FC 10", at=()),
        Good("INPUT 3x32x32 -> [[CONV 16 3x3 same -> RELU]*2 -> POOL 2]*2 -> FLATTEN -> FC 64 -> RELU -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> RES[CONV 16 3x3 same -> RELU -> CONV 16 3x3 same] -> GAP"),
    )


class Textbook(Struct, frozen=True):
    """A sequential network read as the textbooks' form.

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


_KINDS = {"CONV": "CONV", "DWCONV": "CONV", "FC": "FC", **dict.fromkeys(("POOL", "AVGPOOL", "GAP", "GMP"), "POOL")}
_TRANSPARENT = frozenset({"INPUT", "BN", "LN", "GN", "IN", "LRN"})


def textbook(graph: Graph) -> Textbook | None:
    """Return `graph` read as the textbooks' form; None if it is not sequential.

    Any activation stands for RELU, any pooling for POOL, and normalizations are looked through.
    """
    from cnnlint import Step, decompose

    activations = {layer.name for layer in graph.of_kind(Activation)}
    stages, dense, inside = list[int](), 0, 0
    misfits = list[tuple[str, str]]()
    waiting: Step | None = None  # for its activation
    for step in decompose(graph):
        if not isinstance(step, Step):
            return None
        if step.name in _TRANSPARENT:
            continue
        kind = _KINDS.get(step.name)
        if kind in ("CONV", "FC"):
            if waiting is not None:
                misfits.append((waiting.layer, f"{waiting.name} is followed by {step.name} without an activation"))
            waiting = step
        if kind in ("CONV", "POOL") and dense:
            misfits.append((step.layer, f"{step.name} comes after FC"))
        if kind == "CONV":
            inside += 1
        elif kind == "FC":
            dense += 1
        elif kind == "POOL":
            stages, inside = [*stages, inside] if inside else stages, 0
        elif step.layer not in activations:
            misfits.append((step.layer, f"{step.name} has no place in it"))
        else:
            if waiting is None:
                misfits.append((step.layer, f"{step.name} follows neither CONV nor FC"))
            waiting = None
    if not dense and not misfits:
        misfits.append(("", "no FC ends it"))
    name, reason = misfits[0] if misfits else (None, "")
    return Textbook((*stages, inside) if inside else tuple(stages), max(dense - 1, 0), name, reason)

"""Which last activation a cross-entropy expects, as Keras defines the losses, and the heads that have another."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from cnnlint.analysis.heads import Head
from cnnlint.graph.layer import Layer
from cnnlint.graph.training import Loss

CATEGORICAL = frozenset(
    {"categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy"}
)
BINARY = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})
REGRESSION = frozenset(
    {"mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
     "huber", "log_cosh"}
)  # fmt: skip
SIGMOIDS = ("sigmoid", "hard_sigmoid")


class Mismatch(Struct, frozen=True):
    """A loss and an output that do not belong together.

    Attributes:
        effect: What comes of it, as a clause about the loss.
        cure: What to do.
        trains: Whether the network learns all the same.
        missing: Whether the output lacks the function that makes probabilities of its scores.
    """

    effect: str
    cure: str
    trains: bool = False
    missing: bool = False


class HeadMismatch(Struct, frozen=True):
    """A head whose loss expects another last function.

    Attributes:
        layer: The last function, or the layer that makes the scores where there is none.
        units: Scores of the output.
        loss: The loss in snake case.
        from_logits: Whether the loss takes scores and no probabilities.
        fault: What is wrong.
    """

    layer: Layer
    units: int
    loss: str
    from_logits: bool
    fault: Mismatch


def is_regression(loss: Loss) -> bool:
    """Return whether the network was trained to give numbers and not classes."""
    return loss.name in REGRESSION


def head_mismatch(head: Head) -> HeadMismatch | None:
    """Return where the loss of `head` and its last function do not belong together.

    None if they do, if the file names no loss, and where the functions are wrong whatever the loss is.
    """
    layer = head.activation or head.scorer
    if head.loss is None or layer is None or not isinstance(head.units, int):
        return None
    if head.lone_softmax is not None or head.repeated is not None:
        return None
    fault = loss_mismatch(head.loss, head.activation.function if head.activation else "linear", head.units)
    if fault is None:
        return None
    return HeadMismatch(layer, head.units, head.loss.name, bool(head.loss.from_logits), fault)


def loss_mismatch(loss: Loss, function: str, units: int) -> Mismatch | None:
    """Return what is wrong with an output of `units` that passes through `function` last; None if nothing is.

    Args:
        loss: One that does not say whether it takes logits takes probabilities, Keras's default.
        function: An activation as Keras spells it; "linear" for none.
        units: Scores of the output.
    """
    kind: Literal["softmax", "sigmoid"]
    if loss.name in CATEGORICAL:
        kind = "softmax"
    elif loss.name in BINARY:
        kind = "sigmoid"
    else:
        return None
    if kind == "softmax" and units == 1:
        return Mismatch(
            "has a single class to choose from, so it teaches nothing",
            "Use binary_crossentropy and a sigmoid for one unit, or as many units as there are classes",
        )
    if loss.from_logits:
        if function in ("softmax", *SIGMOIDS):
            return Mismatch(
                f"applies a {kind} of its own to what is a {function} already",
                "Leave the activation out of the head, or set from_logits=False",
            )
        return None
    return _of_probabilities(kind, function, units)


def _of_probabilities(kind: Literal["softmax", "sigmoid"], function: str, units: int) -> Mismatch | None:
    if function == kind or (kind == "sigmoid" and function in SIGMOIDS):
        return None
    if kind == "softmax" and function in SIGMOIDS:
        return Mismatch(
            "divides the sigmoids by their sum, so they are not the independent probabilities that they look like",
            "Use a softmax for one class of many, or binary_crossentropy for several labels at once",
            trains=True,
        )
    if kind == "sigmoid" and function == "softmax":
        if units == 2:
            return None  # −log p − log(1 − (1 − p)) is the categorical cross-entropy, twice
        return Mismatch(
            "scores each unit on its own, while the softmax lets only one of them be right",
            "Use categorical_crossentropy with the softmax, or a sigmoid for several labels at once",
            trains=True,
        )
    through = "no activation" if function == "linear" else f"a {function}"
    return Mismatch(
        f"takes the logarithm of probabilities, but the output passes through {through}",
        f"End the head in a {kind}, or set from_logits=True",
        missing=True,
    )

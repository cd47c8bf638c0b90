"""Which last activation a loss expects, as Keras defines the losses, and the heads that have another.

`loss_mismatch` is the truth table over loss, `from_logits`, last activation and number of units; a pair that it does
not name is fine, or nothing is known of it.
"""

from __future__ import annotations

from msgspec import Struct

from cnnlint.analysis.heads import Head
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers.pointwise import bounds_of
from cnnlint.graph.training import Loss
from cnnlint.results import Severity

CATEGORICAL = frozenset(
    {"categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy"}
)
BINARY = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})
REGRESSION = frozenset(
    {"mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
     "huber", "log_cosh"}
)  # fmt: skip
OF_SHARES = frozenset({"kl_divergence", "dice", "tversky"})
"""Losses of probabilities without the option `from_logits`."""
MARGINS = frozenset({"hinge", "squared_hinge"})
"""Losses of scores whose labels are -1 and 1."""

SIGMOIDS = ("sigmoid", "hard_sigmoid")
SOFTMAXES = ("softmax", "log_softmax")


class LossMismatch(Struct, frozen=True):
    """A loss and an output that do not belong together.

    Attributes:
        effect: What comes of it, as a clause about the loss.
        cure: What to do.
        severity: Error where the network cannot learn what it is meant to, information where it is a matter of labels.
        missing: Whether the output lacks the function that makes probabilities of its scores.
    """

    effect: str
    cure: str
    severity: Severity = Severity.ERROR
    missing: bool = False


class HeadMismatch(Struct, frozen=True):
    """A head whose loss expects another last function.

    Attributes:
        layer: The last function, or the layer that makes the scores where there is none.
        units: Scores of the output.
        loss: Its name.
        from_logits: Whether the loss takes scores and no probabilities.
        fault: What is wrong.
    """

    layer: Layer
    units: int
    loss: str
    from_logits: bool
    fault: LossMismatch


def is_regression(loss: Loss) -> bool:
    """Return whether the network was trained to give numbers and not classes."""
    return loss.name in REGRESSION


def is_categorical(loss: Loss) -> bool:
    """Return whether it is a cross-entropy over classes of which one holds."""
    return loss.name in CATEGORICAL


def is_binary(loss: Loss) -> bool:
    """Return whether it is a cross-entropy of each output alone."""
    return loss.name in BINARY


def head_mismatch(head: Head) -> HeadMismatch | None:
    """Return where the loss of `head` and its last function do not belong together.

    None if they do, if the file names no loss, and where the functions are wrong whatever the loss is.
    """
    last = head.activation or head.averaged
    layer = last or head.scorer
    if head.loss is None or layer is None or not isinstance(head.units, int):
        return None
    if head.lone_softmax is not None or head.repeated is not None:
        return None
    fault = loss_mismatch(head.loss, last.function if last else "linear", head.units, vector=head.is_vector)
    if fault is None:
        return None
    return HeadMismatch(layer, head.units, head.loss.name, bool(head.loss.from_logits), fault)


def loss_mismatch(loss: Loss, function: str, units: int, *, vector: bool = True) -> LossMismatch | None:
    """Return what is wrong with an output of `units` that passes through `function` last; None if nothing is.

    Args:
        loss: One that does not say whether it takes logits takes probabilities, Keras's default.
        function: An activation as Keras spells it; "linear" for none.
        units: Scores of the output.
        vector: Whether a sample has one row of scores, and not one for each position.
    """
    if loss.name in CATEGORICAL:
        return _categorical(function, units, from_logits=bool(loss.from_logits))
    if loss.name in BINARY:
        return _binary(function, units, from_logits=bool(loss.from_logits))
    if loss.name in REGRESSION:
        return _regression(function, vector=vector)
    if loss.name in OF_SHARES and function not in ("softmax", *SIGMOIDS):
        return _missing(function, "softmax", "takes the output for probabilities", "")
    if loss.name == "poisson" and bounds_of(function)[0] < 0:
        return LossMismatch(
            f"takes the logarithm of the output, which {_through(function)} and may be negative: the loss is then NaN",
            'End the head in an activation that is never negative, "softplus" or "exponential"',
        )
    if loss.name in MARGINS and bounds_of(function)[0] >= 0:
        return LossMismatch(
            f"asks for values below -1 for one class, and the output {_through(function)} and is never negative",
            "Leave the activation out of the head, or end it in a tanh",
            severity=Severity.WARNING,
        )
    return None


def _categorical(function: str, units: int, *, from_logits: bool) -> LossMismatch | None:
    if units == 1:
        return LossMismatch(
            "has a single class to choose from, so it teaches nothing",
            "Use binary_crossentropy and a sigmoid for one unit, or as many units as there are classes",
        )
    if from_logits:
        return None if function == "log_softmax" else _of_logits("softmax", function)
    if function == "softmax":
        return None
    if function in SIGMOIDS:
        return LossMismatch(
            "divides the sigmoids by their sum, so they are not the independent probabilities that they look like",
            "Use a softmax for one class of many, or binary_crossentropy for several labels at once",
            severity=Severity.WARNING,
        )
    return _missing(function, "softmax", "takes the logarithm of probabilities")


def _binary(function: str, units: int, *, from_logits: bool) -> LossMismatch | None:
    if from_logits:
        return _of_logits("sigmoid", function)
    if function in SIGMOIDS:
        return None
    if function == "softmax" and units == 2:  # −log p − log(1 − (1 − p)) is the categorical cross-entropy, twice
        return LossMismatch(
            "gives the two shares of a softmax the same term twice, where the labels have two columns",
            "Say categorical_crossentropy, which is the same loss, or use one unit with a sigmoid",
            severity=Severity.INFO,
        )
    if function == "softmax":
        return LossMismatch(
            "scores each unit on its own, while the softmax lets only one of them be right",
            "Use categorical_crossentropy with the softmax, or a sigmoid for several labels at once",
            severity=Severity.WARNING,
        )
    return _missing(function, "sigmoid", "takes the logarithm of probabilities")


def _of_logits(kind: str, function: str) -> LossMismatch | None:
    """Return what is wrong with an activation ahead of a loss that applies the function `kind` itself."""
    if function == "linear":
        return None
    if function in ("softmax", "log_softmax", *SIGMOIDS):
        return LossMismatch(
            f"applies a {kind} of its own to what is a {function} already",
            "Leave the activation out of the head, or set from_logits=False",
        )
    return LossMismatch(
        f"applies a {kind} to scores of any sign and size, but the output {_through(function)}",
        "Leave the activation out of the head",
        severity=Severity.WARNING,
    )


def _regression(function: str, *, vector: bool) -> LossMismatch | None:
    if function in SOFTMAXES:
        return LossMismatch(
            f"measures distances between numbers, but those that a {function} gives share one sum; and where it is"
            " surely wrong, the gradient is close to zero",
            "For numbers leave the activation out; for classes use categorical_crossentropy",
            severity=Severity.WARNING,
        )
    if function == "relu" and vector:
        return LossMismatch(
            "gets no gradient where the last relu cuts the output off at 0",
            "Leave the activation out of the head, or use a softplus where no target is negative",
            severity=Severity.INFO,
        )
    return None


def _missing(function: str, kind: str, effect: str, otherwise: str = ", or set from_logits=True") -> LossMismatch:
    effect = f"{effect}, but the output {_through(function)}"
    return LossMismatch(effect, f"End the head in a {kind}{otherwise}", missing=True)


def _through(function: str) -> str:
    article = "an" if function[:1] in "aeiou" else "a"
    return "passes through no activation" if function == "linear" else f"passes through {article} {function}"

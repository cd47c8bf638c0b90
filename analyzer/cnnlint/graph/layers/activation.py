"""Non-linearities."""

from __future__ import annotations

from cnnlint.graph.layer import Layer

SATURATING = frozenset({"sigmoid", "tanh", "hard_sigmoid", "softsign"})
"""Functions whose slope vanishes on both sides."""


class Activation(Layer, frozen=True, kw_only=True, eq=False):
    """A function applied to each element, or a softmax along one axis.

    Attributes:
        function: Its name as Keras spells it: relu, relu6, leaky_relu, prelu, elu, selu, celu, gelu, sigmoid,
            hard_sigmoid, tanh, hard_tanh, swish, hard_swish, mish, softplus, softsign, softmax, log_softmax,
            exponential, threshold, ...; "linear" for the identity.
        axis: Along which a softmax sums to one; None for what works element by element.
        alpha: The slope below zero, for functions that have one.
    """

    function: str
    axis: int | None = None
    alpha: float | None = None

    @property
    def is_softmax(self) -> bool:
        """Whether the output is a distribution along `axis`, or its logarithm."""
        return self.function in ("softmax", "log_softmax")

    @property
    def is_saturating(self) -> bool:
        """Whether its slope vanishes on both sides."""
        return self.function in SATURATING

"""The filters of convolutions and dense layers as the values of their weights make them, each for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.graph.layers import Activation, BatchNorm, Conv, ConvTranspose, Dense, GroupNorm, InstanceNorm, Opaque
from cnnlint.graph.quantity import brief
from cnnlint.graph.queries import KERNEL_LAYERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.analysis.context import Context
    from cnnlint.analysis.weight_values import WeightStatistics
    from cnnlint.graph.tensor import Weight

RECTIFIERS = frozenset({"relu", "relu6"})
"""Activations that give zero for everything below zero."""


ROUNDING = 2.0**-24
"""The relative error of a rounding to float32."""

RESCALING = (BatchNorm, GroupNorm, InstanceNorm, Opaque)
"""Layers that may make a channel large that is small."""


class Filters(Struct, frozen=True, eq=False):
    """The filters of a layer, whose kernel has been read.

    Attributes:
        layer: The layer, one filter for each of its output channels.
        kernel: Its kernel.
        statistics: Of the kernel, channel by channel.
        norm: The batch normalization of these channels right after it; None if there is none.
        rectified: Whether the channels go, after that norm if there is one, through a ReLU and nowhere else.
        gamma: The scale of the norm for each channel; None if it has none, or it was not read.
        beta: Its shift.
        gain: What the norm multiplies each channel by, γ / √(σ² + ε); None if that is not known.
        is_rescaled: Whether what comes next may scale each channel by an unknown factor, as normalizations do.
    """

    layer: Conv | ConvTranspose | Dense
    kernel: Weight
    statistics: WeightStatistics
    norm: BatchNorm | None
    rectified: bool
    gamma: NDArray[np.float64] | None = None
    beta: NDArray[np.float64] | None = None
    gain: NDArray[np.float64] | None = None
    is_rescaled: bool = False

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.statistics.lowest)

    @property
    def parameters(self) -> int:
        """What one of them holds: its part of the kernel, its bias and its part of the norm."""
        others = sum(1 for weight in self.layer.weights if weight.size == self.count)
        own = 0 if self.norm is None else len(self.norm.weights)
        return (self.kernel.size or 0) // self.count + others + own

    @property
    def zero(self) -> tuple[int, ...]:
        """Those whose weights are all zero."""
        return _where((self.statistics.lowest == 0) & (self.statistics.highest == 0))

    def silent(self, deviations: float) -> tuple[int, ...]:
        """Return those whose channel a ReLU sets to zero up to so many standard deviations from its mean.

        A normalized channel has a mean of β and a standard deviation of |γ|.
        """
        if not self.rectified or self.gamma is None or self.beta is None:
            return ()
        return _where(self.beta <= -deviations * abs(self.gamma))

    @property
    def faded(self) -> tuple[int, ...]:
        """Those beside whose layer's largest weight theirs are less than a rounding error of float32.

        None where a normalization comes next of which is not known how much it enlarges them again.
        """
        if self.is_rescaled:
            return ()
        largest = self.magnitudes
        return _where((largest > 0) & (largest < ROUNDING * largest.max()))

    @property
    def magnitudes(self) -> NDArray[np.float64]:
        """The largest magnitude in each of them, as if the norm were folded into it."""
        largest = self.statistics.largest
        return largest if self.gain is None else largest * self.gain

    def held(self, count: int, context: Context) -> dict[str, int]:
        """Return the "parameters" of `count` of them and, where they are known, the "macs" per sample."""
        macs = context.layer_macs(self.layer)
        held = {"parameters": count * self.parameters}
        return held if macs is None else held | {"macs": count * (macs // self.count)}


def shown_held(held: Mapping[str, float]) -> str:
    """Return in words what filters hold, and what they cost if that is known."""
    macs = held.get("macs")
    return f"{held['parameters']:,.0f} parameters" + (f" at a cost of {brief(macs)} MACs" if macs else "")


def filters(context: Context) -> Iterator[Filters]:
    """Yield the filters of each layer whose kernel was read channel by channel and is finite, each kernel once.

    Raises:
        RuleError: The current rule does not declare that it reads values.
    """
    values, seen = context.weight_values, set[str]()
    for layer in context.graph.of_kind(*KERNEL_LAYERS):
        kernel = layer.weights[0] if layer.weights else None
        found = values.of(kernel)
        if kernel is None or found is None or not found.by_channel or kernel.key in seen:
            continue
        if len(found.lowest) != layer.out_channels or found.first:
            continue
        seen.add(kernel.key)
        yield _with_norm(context, layer, kernel, found)


def _with_norm(
    context: Context, layer: Conv | ConvTranspose | Dense, kernel: Weight, statistics: WeightStatistics
) -> Filters:
    import numpy as np

    graph, values = context.graph, context.weight_values
    norm = graph.sole_successor(layer)
    if not isinstance(norm, BatchNorm) or norm.channel_axis != layer.channel_axis or norm.folded or norm.training:
        is_rescaled = any(isinstance(each, RESCALING) for each in graph.successors(layer))
        return Filters(layer, kernel, statistics, None, _is_rectifier(norm), is_rescaled=is_rescaled)
    vectors = dict[str, "NDArray[np.float64] | None"]()
    for role in ("gamma", "beta", "moving_variance"):
        found = values.of(norm.weight(role))
        vector = None if found is None else found.vector
        vectors[role] = vector if vector is not None and len(vector) == layer.out_channels else None
    gamma, beta, variance = vectors.values()
    after = graph.sole_successor(norm)
    gain = None
    if any(weight.role.startswith("extra") for weight in norm.weights):
        gamma = beta = None
    elif variance is not None and (gamma is not None or norm.weight("gamma") is None):
        with np.errstate(invalid="ignore", divide="ignore"):
            gain = np.abs(1.0 if gamma is None else gamma) / np.sqrt(variance + (norm.epsilon or 0.0))
        gain = gain if np.isfinite(gain).all() else None
    return Filters(layer, kernel, statistics, norm, _is_rectifier(after), gamma, beta, gain, gain is None)


def _where(holds: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(index) for index in holds.nonzero()[0])


def _is_rectifier(layer: object) -> bool:
    return isinstance(layer, Activation) and layer.function in RECTIFIERS

"""Normalisations: batch, layer, group, instance, and local response."""

from __future__ import annotations

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer


class BatchNorm(Layer, frozen=True, kw_only=True, eq=False):
    """A batch normalisation, or the scale and shift that an exporter left of one.

    Attributes:
        epsilon: Added to the variance; None for a folded one.
        axis: The axis that is kept apart: 1 unless the model normalises something else.
        training: Whether it uses the statistics of the batch at hand, and not the moving ones.
        folded: Whether only a multiplication and an addition per channel are left.
    """

    epsilon: float | None = 1e-3
    axis: int = 1
    training: bool = False
    folded: bool = False

    def parameter_formula(self) -> Formula | None:
        """Return vectors × channels."""
        sizes = {weight.size for weight in self.weights}
        if len(sizes) != 1:
            return super().parameter_formula()
        roles = ", ".join(weight.role.replace("_", " ") for weight in self.weights)
        return Formula(((len(self.weights), *sizes),), f"({roles}) × channels")


class LayerNorm(Layer, frozen=True, kw_only=True, eq=False):
    """A normalisation over the given axes of each sample.

    Attributes:
        axes: What is normalised together.
        epsilon: Added to the variance.
        centered: False for RMS normalisation, which does not subtract the mean.
    """

    axes: tuple[int, ...]
    epsilon: float = 1e-3
    centered: bool = True


class GroupNorm(Layer, frozen=True, kw_only=True, eq=False):
    """A normalisation over groups of channels of each sample."""

    groups: int
    epsilon: float = 1e-3

    def contradiction(self) -> str:
        """Return whether the channels fall into the groups."""
        if self.groups < 1:
            return f"its number of groups is {self.groups}"
        channels = self.input.channels
        if isinstance(channels, int) and channels % self.groups:
            return f"{channels} channels do not fall into {self.groups} groups"
        return ""


class InstanceNorm(Layer, frozen=True, kw_only=True, eq=False):
    """A normalisation of each channel of each sample."""

    epsilon: float = 1e-5


class LocalResponseNorm(Layer, frozen=True, kw_only=True, eq=False):
    """AlexNet's normalisation across neighbouring channels.

    Attributes:
        size: Channels summed over.
    """

    size: int

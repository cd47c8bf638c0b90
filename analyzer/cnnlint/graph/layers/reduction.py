"""Reductions along axes that are no pooling."""

from __future__ import annotations

from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Shape


class Reduce(Layer, frozen=True, kw_only=True, eq=False):
    """One value in the place of those along some axes.

    Attributes:
        function: "mean", "max", "min", "sum", "prod", "l1", "l2", "log_sum", "log_sum_exp" or "sum_square".
        axes: Which ones, counted from the front.
        keepdims: Whether they stay with an extent of 1.
    """

    function: str
    axes: tuple[int, ...]
    keepdims: bool = True

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape with ones along the axes, or without them."""
        if (shape := self.input.shape) is None:
            return (None,)
        kept = enumerate(shape)
        return (tuple(1 if axis in self.axes else dim for axis, dim in kept if self.keepdims or axis not in self.axes),)

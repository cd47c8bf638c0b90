"""Layers that join or combine tensors element by element."""

from __future__ import annotations

from cnnlint.graph.layer import Layer
from cnnlint.graph.layers.dense import broadcast, no_axis
from cnnlint.graph.tensor import Dim, Shape


class Elementwise(Layer, frozen=True, kw_only=True, eq=False):
    """An element-by-element operation that no other kind names; broadcasts.

    Attributes:
        function: ONNX's name in lower case: "sub", "div", "pow", "maximum", "mean", "sqrt", "where", ...
            "rsub", "rdiv", "rpow" have the constant on the left.
        constant_shape: The shape of a constant operand, which takes part in broadcasting.
        constant: The constant operand, if it is a single known number.
    """

    function: str
    constant_shape: Shape | None = None
    constant: float | None = None

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the shape that the operands broadcast to."""
        shapes = [tensor.shape for tensor in self.inputs if tensor.shape is not None]
        if len(shapes) != len(self.inputs):
            return (None,)
        if self.constant_shape is not None:
            shapes.append(self.constant_shape)
        return (broadcast(*shapes),)


class Add(Elementwise, frozen=True, kw_only=True, eq=False):
    """A sum of two or more activations: a residual connection, as a rule."""

    function: str = "add"


class Multiply(Elementwise, frozen=True, kw_only=True, eq=False):
    """A product of activations: a gate, as a rule."""

    function: str = "mul"


class Concat(Layer, frozen=True, kw_only=True, eq=False):
    """Tensors side by side.

    Attributes:
        axis: Along which they are joined; 1 for channels.
    """

    axis: int = 1

    def contradiction(self) -> str:
        """Return whether all tensors have one rank, and the axis."""
        ranks = {len(tensor.shape) for tensor in self.inputs if tensor.shape is not None}
        if len(ranks) > 1:
            return f"it joins tensors of {' and '.join(map(str, sorted(ranks)))} axes"
        return next((wrong for tensor in self.inputs if (wrong := no_axis(self.axis, tensor.shape))), "")

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the common shape with the extents along `axis` added up."""
        shapes = [tensor.shape for tensor in self.inputs]
        known = [shape for shape in shapes if shape is not None]
        if not known:
            return (None,)
        axis = self.axis % len(known[0])
        total: Dim = 0
        for shape in shapes:
            extent = None if shape is None else shape[axis]
            total = total + extent if isinstance(total, int) and isinstance(extent, int) else None
        result = [next((dim for dim in dims if isinstance(dim, int)), dims[0]) for dims in zip(*known, strict=True)]
        result[axis] = total
        return (tuple(result),)

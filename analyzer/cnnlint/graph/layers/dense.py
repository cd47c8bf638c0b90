"""Matrix products: dense layers, products of two activations, and Einstein sums."""

from __future__ import annotations

from typing import ClassVar

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Dim, Shape, known


class Dense(Layer, frozen=True, kw_only=True, eq=False):
    """A fully connected layer along one axis.

    Attributes:
        units: Output features.
        axis: The axis that holds the features: 1 for a vector and for a map, the last one for tokens.
        use_bias: Whether a bias is added.
    """

    units: int
    axis: int = 1
    use_bias: bool = True

    multiplies: ClassVar[bool] = True

    def contradiction(self) -> str:
        """Return whether it has units, and the axis that holds the features."""
        if self.units < 1:
            return f"its number of units is {self.units}"
        return no_axis(self.axis, self.input.shape)

    @property
    def in_features(self) -> int | None:
        """Input features: from the input, or else from the kernel's size; None if neither says."""
        shape = self.input.shape
        if shape is not None and isinstance(features := shape[self.axis], int):
            return features
        return self.weights[0].size // self.units if self.weights else None

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape with `units` along the feature axis."""
        if (shape := self.input.shape) is None:
            return (None,)
        axis = self.axis % len(shape)
        return ((*shape[:axis], self.units, *shape[axis + 1 :]),)

    def parameter_formula(self) -> Formula | None:
        """Return units × input features, and the biases."""
        features = self.in_features
        if not self.weights or features is None:
            return None
        if not self.use_bias:
            return Formula(((self.units, features),), "units × input features")
        return Formula(((self.units, features), (self.units,)), "(units × input features) + biases")

    def mac_formula(self) -> Formula | None:
        """Return positions × units × input features."""
        features, shape = self.in_features, self.output.shape
        if features is None or shape is None:
            return None
        axis = self.axis % len(shape)
        extents = known(tuple(dim for index, dim in enumerate(shape) if index not in (0, axis)))
        if extents is None:
            return None
        words = "units × input features"
        return Formula(((*extents, self.units, features),), f"positions × {words}" if extents else words)


class MatMul(Layer, frozen=True, kw_only=True, eq=False):
    """A matrix product of two activations, as in attention; broadcasts over the leading axes."""

    multiplies: ClassVar[bool] = True

    def contradiction(self) -> str:
        """Return whether there are two matrices."""
        return "" if len(self.inputs) == 2 else f"it multiplies {len(self.inputs)} tensors"

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the broadcast leading axes, rows of the first and columns of the second."""
        left, right = self.inputs[0].shape, self.inputs[1].shape
        if left is None or right is None or min(len(left), len(right)) < 2:
            return (None,)
        return ((*broadcast(left[:-2], right[:-2]), left[-2], right[-1]),)

    def mac_formula(self) -> Formula | None:
        """Return the elements of the output (of one batch entry) × the length of the sum."""
        left, shape = self.inputs[0].shape, self.output.shape
        if left is None or shape is None:
            return None
        numbers = known((*shape[1:], left[-1]))
        return None if numbers is None else Formula((numbers,), "output elements × length of the sum")


class Einsum(Layer, frozen=True, kw_only=True, eq=False):
    """An Einstein sum.

    Attributes:
        equation: With an explicit output: "bhqd,bhkd->bhqk".
        constant_operands: Places of the operands that are weights.
        constant_extents: Extents of those operands' labels.
    """

    equation: str
    constant_operands: tuple[int, ...] = ()
    constant_extents: tuple[tuple[str, int], ...] = ()

    multiplies: ClassVar[bool] = True

    def _extents(self) -> dict[str, Dim] | None:
        extents: dict[str, Dim] = dict(self.constant_extents)
        operands = self.equation.split("->", maxsplit=1)[0].split(",")
        moving = [labels for index, labels in enumerate(operands) if index not in self.constant_operands]
        for labels, tensor in zip(moving, self.inputs, strict=False):
            if tensor.shape is None or len(labels) != len(tensor.shape):
                return None
            extents.update(zip(labels, tensor.shape, strict=True))
        return extents

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the extents of the output's labels."""
        extents = self._extents()
        labels = self.equation.partition("->")[2]
        if extents is None or not labels or "." in self.equation:
            return (None,)
        return (tuple(extents.get(label) for label in labels),)

    def mac_formula(self) -> Formula | None:
        """Return the product of all labels' extents but the batch's, for two operands."""
        extents = self._extents()
        if extents is None or len(self.inputs) + len(self.constant_operands) != 2:
            return None
        batch = self.equation.partition("->")[2][:1]
        numbers = known(tuple(extent for label, extent in extents.items() if label != batch))
        return None if numbers is None else Formula((numbers,), "product of all extents")


def no_axis(axis: int, shape: Shape | None) -> str:
    """Return that a tensor of `shape` has no `axis`, as a clause; "" if it has one or its rank is unknown."""
    if shape is None or -len(shape) <= axis < len(shape):
        return ""
    return f"there is no axis {axis} in a tensor of {len(shape)} axes"


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that `shapes` broadcast to by NumPy's rules; None for an axis that cannot be told."""
    rank = max((len(shape) for shape in shapes), default=0)
    result = list[Dim]()
    for axis in range(-rank, 0):
        dims = [shape[axis] for shape in shapes if len(shape) >= -axis]
        wide = [dim for dim in dims if dim != 1]
        numbers = [dim for dim in wide if isinstance(dim, int)]
        if not wide:
            result.append(1)
        elif numbers:
            result.append(numbers[0])
        else:
            result.append(wide[0] if all(dim == wide[0] for dim in wide) else None)
    return tuple(result)

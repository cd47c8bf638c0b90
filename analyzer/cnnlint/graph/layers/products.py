"""Matrix products: dense layers, products of activations, recurrent cells, attention and embeddings."""

from __future__ import annotations

from typing import Literal

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer, always, trait
from cnnlint.graph.layers.pointwise import broadcast
from cnnlint.graph.tensor import Dim, Shape, known, no_axis
from cnnlint.graph.window import POINT, Span


class Dense(Layer, frozen=True, kw_only=True, eq=False):
    """A fully connected layer along one axis.

    Attributes:
        units: Output features.
        axis: The feature axis: 1 for a vector or a map, the last one for tokens.
        use_bias: Whether a bias is added.
    """

    units: int
    axis: int = 1
    use_bias: bool = True

    multiplies = True
    infers_shape = True
    starts_block = True
    term = always("FC")

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether the feature axis is not the batch."""
        return self.channel_axis > 0

    @property
    def channel_axis(self) -> int:
        """The axis of the output that a bias runs along, from the front: 1 unless it works on tokens."""
        return self.axis % self.output.rank if self.output.rank else 1

    @property
    def out_channels(self) -> int:
        """Output channels: the units."""
        return self.units

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points, unless the feature axis is one of the map's."""
        if axes == 0:
            return ()
        rank = self.input.rank
        return (POINT,) * axes if rank is not None and self.axis % rank < rank - axes else None

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
        held = self.weights[0].size if self.weights else None
        return None if held is None else held // self.units

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

    @property
    def mac_entries(self) -> Dim:
        """The extent of the first axis, or 1 if it is the feature axis."""
        return 1 if self.output.rank and self.channel_axis == 0 else super().mac_entries

    def mixed_axes(self) -> tuple[int, ...]:
        """Return the feature axis."""
        return (self.axis,)

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

    multiplies = True
    infers_shape = True

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether the batch is one of the leading axes of both factors."""
        ranks = {tensor.rank for tensor in self.inputs}
        return len(ranks) == 1 and (self.input.rank or 0) > 2

    def contradiction(self) -> str:
        """Return whether there are two matrices."""
        return "" if len(self.inputs) == 2 else f"it multiplies {len(self.inputs)} tensors"

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the broadcast leading axes, rows of the first and columns of the second."""
        left, right = self.inputs[0].shape, self.inputs[1].shape
        if not left or not right:
            return (None,)
        if len(left) == 1:
            return ((*right[:-2], right[-1]) if len(right) > 1 else (),)
        if len(right) == 1:
            return (left[:-1],)
        return ((*broadcast(left[:-2], right[:-2]), left[-2], right[-1]),)

    def mixed_axes(self) -> tuple[int, ...]:
        """Return the last axis, which is summed over."""
        return (-1,)

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
        constant_operands: Indices of the operands that are weights.
        constant_extents: Extents of those operands' labels.
    """

    equation: str
    constant_operands: tuple[int, ...] = ()
    constant_extents: tuple[tuple[str, int], ...] = ()

    multiplies = True
    infers_shape = True

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

    def mixed_axes(self) -> tuple[int, ...]:
        """Return the axes of the first non-constant operand that the result does not have."""
        operands, _, result = self.equation.partition("->")
        moving = [labels for at, labels in enumerate(operands.split(",")) if at not in self.constant_operands]
        return tuple(axis for axis, label in enumerate(moving[0] if moving else "") if label not in result)

    def mac_formula(self) -> Formula | None:
        """Return the product of all labels' extents but the batch's, for two operands."""
        extents = self._extents()
        if extents is None or len(self.inputs) + len(self.constant_operands) != 2:
            return None
        batch = self.equation.partition("->")[2][:1]
        numbers = known(tuple(extent for label, extent in extents.items() if label != batch))
        return None if numbers is None else Formula((numbers,), "product of all extents")


class Recurrent(Layer, frozen=True, kw_only=True, eq=False):
    """A recurrent cell run along a sequence.

    Attributes:
        cell: The kind of cell.
        units: Hidden units of one direction.
        directions: 1, or 2 for a bidirectional one.
        steps: Length of the sequence.
        input_features: Features of one step.
        shapes: Of its outputs, as the source defines them.
    """

    cell: Literal["lstm", "gru", "rnn"]
    units: int
    directions: int
    steps: Dim
    input_features: int | None
    shapes: tuple[Shape | None, ...]

    multiplies = True
    starts_block = True

    @trait
    def term(self) -> str:
        """The cell: LSTM."""
        return self.cell.upper()

    def contradiction(self) -> str:
        """Return whether it has hidden units."""
        return "" if self.units > 0 else f"its number of hidden units is {self.units}"

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return what the source says."""
        return self.shapes

    @property
    def mac_entries(self) -> Dim:
        """The sequences."""
        return self.input.shape[0] if self.input.shape else None

    def mixed_axes(self) -> tuple[int, ...]:
        """Return steps and features."""
        return (1, 2)

    def mac_formula(self) -> Formula | None:
        """Return directions × steps × gates × units × (input features + units)."""
        if not isinstance(self.steps, int) or self.input_features is None:
            return None
        gates = {"lstm": 4, "gru": 3, "rnn": 1}[self.cell]
        features = self.input_features + self.units
        return Formula(
            ((self.directions, self.steps, gates, self.units, features),),
            "directions × steps × gates × units × (input features + units)",
        )


class Attention(Layer, frozen=True, kw_only=True, eq=False):
    """A multi-head attention as one layer, with its projections if it has them.

    Attributes:
        heads: Attention heads.
        key_dim: Features of a query and a key, per head.
        value_dim: Features of a value, per head.
        projects: Whether the projections of query, key, value and output are part of it.
        tokens: Queries per sample and keys per sample.
        features: Features of a token going in and coming out.
        shape: Of the output; None for that of the first input.
    """

    heads: int
    key_dim: int
    value_dim: int
    projects: bool
    tokens: tuple[Dim, Dim]
    features: tuple[int, int] | None = None
    shape: Shape | None = None

    multiplies = True
    starts_block = True

    def contradiction(self) -> str:
        """Return whether it has heads."""
        return "" if self.heads > 0 else f"its number of heads is {self.heads}"

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return `shape`, or the shape of the query."""
        return (self.shape or self.input.shape,)

    def mixed_axes(self) -> tuple[int, ...]:
        """Return all but the first."""
        return tuple(range(1, self.input.rank or 1))

    def mac_formula(self) -> Formula | None:
        """Return projections, scores and weighted sums of all heads."""
        queries, keys = self.tokens
        if not isinstance(queries, int) or not isinstance(keys, int):
            return None
        score = (self.heads, queries, keys, self.key_dim)
        mix = (self.heads, queries, keys, self.value_dim)
        if not self.projects:
            return Formula((score, mix), "scores + weighted values")
        if self.features is None:
            return None
        entering, leaving = self.features
        return Formula(
            (
                (queries, entering, self.heads, self.key_dim),
                (keys, entering, self.heads, self.key_dim),
                (keys, entering, self.heads, self.value_dim),
                (queries, self.heads, self.value_dim, leaving),
                score,
                mix,
            ),
            "query + key + value + output projections + scores + weighted values",
        )


class Embedding(Layer, frozen=True, kw_only=True, eq=False):
    """A table of vectors looked up by index.

    Attributes:
        entries: Rows of the table.
        features: Extent of a row.
    """

    entries: int
    features: int

    multiplies = False
    infers_shape = True
    starts_block = True
    term = always("EMBED")
    is_batch_invariant = always(True)

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape, followed by the features."""
        return (None if self.input.shape is None else (*self.input.shape, self.features),)

"""Recurrent cells, attention and embeddings, for the networks that have them beside their convolutions."""

from __future__ import annotations

from typing import ClassVar, Literal

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Dim, Shape


class Recurrent(Layer, frozen=True, kw_only=True, eq=False):
    """A recurrent cell run along a sequence.

    Attributes:
        cell: Which one.
        units: Hidden units of one direction.
        directions: 1, or 2 for a bidirectional one.
        steps: Length of the sequence.
        input_features: Features of one step.
        shapes: Of its outputs, as the source's conventions have them.
    """

    cell: Literal["lstm", "gru", "rnn"]
    units: int
    directions: int
    steps: Dim
    input_features: int | None
    shapes: tuple[Shape | None, ...]

    def contradiction(self) -> str:
        """Return whether it has hidden units."""
        return "" if self.units > 0 else f"its number of hidden units is {self.units}"

    multiplies: ClassVar[bool] = True
    counts_sample: ClassVar[bool] = True

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return what the source says."""
        return self.shapes

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
    """A multi-head attention as one layer, its projections included where it holds them.

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

    def contradiction(self) -> str:
        """Return whether it has heads."""
        return "" if self.heads > 0 else f"its number of heads is {self.heads}"

    multiplies: ClassVar[bool] = True

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return `shape`, or the shape of the query."""
        return (self.shape or self.input.shape,)

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

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape with the features behind it."""
        return (None if self.input.shape is None else (*self.input.shape, self.features),)

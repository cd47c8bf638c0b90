"""Layers outside the vocabulary, which are kept and counted; their receptive field is unknown."""

from __future__ import annotations

from cnnlint.graph.layer import Layer, trait
from cnnlint.graph.tensor import Shape


class _Outside(Layer, frozen=True, kw_only=True, eq=False):
    """A layer with no name in the vocabulary; it keeps the source's."""

    op: str

    @trait
    def term(self) -> str:
        """The source's term."""
        return self.op.upper()

    @trait
    def label(self) -> str:
        """The source's term."""
        return self.op


class Operator(_Outside, frozen=True, kw_only=True, eq=False):
    """A standard operator outside the vocabulary that does no multiply-accumulates: TopK, Gather, ...

    Attributes:
        op: Its name in the source.
        shapes: Of its outputs, None where unknown.
    """

    shapes: tuple[Shape | None, ...]

    multiplies = False

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return what the source or onnx's inference says."""
        return self.shapes


class Opaque(_Outside, frozen=True, kw_only=True, eq=False):
    """A layer with unknown contents: custom operators and layers, control flow.

    Attributes:
        op: Its name in the source.
        reason: Why it is opaque, in a clause: "a subclassed layer", "operator of domain com.acme".
        shapes: Of its outputs, None where unknown.
        lacks_shapes: Whether it would be understood if the shapes of its inputs were known in numbers.
    """

    reason: str
    shapes: tuple[Shape | None, ...]
    lacks_shapes: bool = False

    starts_block = True

    @trait
    def unknown_reason(self) -> str:
        """Why it is opaque."""
        return f"is opaque ({self.reason})"

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return what the source says."""
        return self.shapes

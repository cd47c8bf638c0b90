"""What stands outside the vocabulary: kept, counted, never a crash."""

from __future__ import annotations

from typing import ClassVar

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Shape


class Operator(Layer, frozen=True, kw_only=True, eq=False):
    """A standard operator outside the vocabulary that does no multiply-accumulates: TopK, Gather, ...

    Attributes:
        op: The source's own term.
        shapes: Of its outputs, None where unknown.
    """

    op: str
    shapes: tuple[Shape | None, ...]

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return what the source or onnx's inference says."""
        return self.shapes


class Opaque(Layer, frozen=True, kw_only=True, eq=False):
    """A layer whose inside is not known: custom operators and layers, control flow.

    Attributes:
        op: The source's own term.
        reason: Why it is opaque, in a clause: "a subclassed layer", "operator of domain com.acme".
        shapes: Of its outputs, None where unknown.
    """

    op: str
    reason: str
    shapes: tuple[Shape | None, ...]

    multiplies: ClassVar[bool] = True

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return what the source says."""
        return self.shapes

    def mac_formula(self) -> Formula | None:
        """Return None: its cost is unknown."""
        return None

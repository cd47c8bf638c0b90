"""Networks in one line, in the notation of textbooks: `INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint.frontends.notation.syntax import NotationError, is_notation

if TYPE_CHECKING:
    import onnx

__all__ = ["NotationError", "is_notation", "to_onnx"]


def to_onnx(text: str, *, seed: int = 0) -> onnx.ModelProto:
    """Return the network that `text` describes as an ONNX model with seeded random weights.

    Args:
        text: In the notation of docs/notation.md.
        seed: Seed of the weights; the same seed gives the same bytes.

    Raises:
        NotationError: The text is malformed, or a step does not fit its input.
    """
    from cnnlint.frontends.notation.network import build
    from cnnlint.frontends.notation.syntax import parse

    return build(parse(text), seed=seed)

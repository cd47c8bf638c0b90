"""A network's pattern in the notation of the field: `INPUT -> [[CONV -> RELU]*2 -> POOL]*3 -> [FC -> RELU]*2 -> FC`."""

from __future__ import annotations

from cnnlint.analysis.pattern.decomposition import decompose
from cnnlint.analysis.pattern.elements import Element, Join, Repeat, Sequence, Step, Tangle, is_sequential, text
from cnnlint.analysis.pattern.repeats import compress
from cnnlint.analysis.pattern.textbook import Textbook, textbook
from cnnlint.graph.graph import Graph

__all__ = [
    "Element", "Join", "Repeat", "Sequence", "Step", "Tangle", "Textbook", "compress", "decompose", "is_sequential",
    "pattern", "text", "textbook",
]  # fmt: skip


def pattern(graph: Graph) -> str:
    """Return the pattern of `graph` with its repeats folded.

    Left out are layers that only prepare or carry values (flatten, reshape, padding, dropout, rescaling), the
    softmax or sigmoid that ends the network, and the projection on a residual's shortcut.
    """
    return text(compress(decompose(graph)))

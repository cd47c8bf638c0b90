"""A network's pattern in the notation of the field: `INPUT -> [[CONV -> RELU]*2 -> POOL]*3 -> [FC -> RELU]*2 -> FC`."""

from __future__ import annotations

from cnnlint.analysis.pattern.folding import compress, text
from cnnlint.analysis.pattern.structure import Element, Join, Repeat, Sequence, Step, Tangle, decompose
from cnnlint.graph.graph import Graph

__all__ = [
    "Element", "Join", "Repeat", "Sequence", "Step", "Tangle", "compress", "decompose", "pattern", "text",
]  # fmt: skip


def pattern(graph: Graph) -> str:
    """Return the pattern of `graph` with its repeats folded.

    Left out are layers that only prepare or carry values (flatten, reshape, padding, dropout, rescaling), the
    softmax or sigmoid that ends the network, and the projection on a residual's shortcut.
    """
    return text(compress(decompose(graph)))

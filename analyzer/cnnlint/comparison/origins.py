"""Where differences begin: layers that differ although nothing that they depend on does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from cnnlint.comparison.cause import causes
from cnnlint.comparison.pairing import LayerPair
from cnnlint.comparison.records import Origin, ValueRow
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer


def origins(before: Graph, after: Graph, pairs: Sequence[LayerPair], rows: Mapping[str, ValueRow]) -> Iterator[Origin]:
    """Yield the layers that differ although none ahead of them does, as far as values were seen.

    Args:
        before: The first network.
        after: The second.
        pairs: Their layers, two by two.
        rows: What was compared, by the layer of the first network.
    """
    tainted = set[str]()
    partners = {pair.left.name: pair for pair in pairs}
    through = {name for pair in pairs for name in pair.looked_through}
    known = {pair.left.name for pair in pairs} | through, {pair.right.name for pair in pairs} | through
    for layer in before.layers:
        inherited = any(source.name in tainted for source in before.predecessors(layer))
        row = rows.get(layer.name)
        differs = row is not None and row.verdict == "differs"
        if inherited or differs:
            tainted.add(layer.name)
        if row is None or not differs or inherited:
            continue
        pair = partners[layer.name]
        said = chain(
            causes(before, after, pair.left, pair.right, alike=pair.is_alike),
            _alone(before, pair.left, known[0], "first"),
            _alone(after, pair.right, known[1], "second"),
            ()
            if pair.is_alike
            else (f"{', '.join(pair.looked_through)} is in one model only, or folded in the other",),
        )
        yield Origin(before=layer.name, after=row.after, max_rel_error=row.max_rel_error, causes=tuple(said))


def _alone(graph: Graph, layer: Layer, matched: set[str], which: str) -> Iterator[str]:
    """Yield what only this network has between `layer` and the layers that both have."""
    seen, waiting = set[str](), [*graph.predecessors(layer)]
    while waiting:
        source = waiting.pop()
        if source.name in seen or source.name in matched:
            continue
        seen.add(source.name)
        waiting += graph.predecessors(source)
        if not source.is_view:
            yield f"only the {which} model has {source.name} ({source.kind}) ahead of it"

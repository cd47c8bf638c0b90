"""Drawings of the networks that rules show as examples, before and after, as SVG for the site.

A line of text for each layer, and beside it lanes that show what feeds what, as the log of a repository has it. The
colors are those of the site's style sheet, light and dark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from html import escape

from cnnlint.analysis.context import Context
from cnnlint.engine.drawing import Drawing, Node, draw
from cnnlint.engine.rule import Example, KerasRule, Rule
from cnnlint.graph.graph import Graph
from cnnlint.graph.quantity import count
from cnnlint.report.rule_page import conditions
from cnnlint.report.view import extents, shortened
from cnnlint.testing import keras_graph, rewritten, to_graph

LINE, LANE, LETTER, DIGIT = 21, 15, 6.8, 7.8
"""Pixels between two lines and two lanes, and of a letter and a digit of 12 pixels, generously."""

FAMILIES = {
    "conv": ("Conv",),
    "dense": ("Dense", "MatMul", "Attention", "LSTM", "GRU", "RNN", "Embedding"),
    "norm": ("Norm",),
    "pool": ("Pool", "Reduce", "Resize", "Upsample"),
    "act": ("Activation", "Softmax", "PRelu"),
    "join": ("Add", "Concat", "Multiply", "Elementwise", "Split"),
}
"""What a kind's name holds, by the color of its dot."""


def drawings(rule: type[Rule]) -> str:
    """Return a figure of the first network in which `rule` finds something, and one of what becomes of it.

    After it stands what the rule's rewrite makes of it, or else the first of the networks in which it finds
    nothing; "" for a rule without examples, which is about no network.
    """
    before = next((example for example in rule.examples if example.bad), None)
    if before is None:
        return ""
    at = f" at {', '.join(before.at)}" if before.at else ""
    first = picture(_graph(rule, before), before.at)
    figures = [_figure(first, "Before", f"found{at}", before)]
    if rule.is_fixable():
        after = to_graph(rewritten(rule, before.model, **before.options))
        figures.append(_figure(picture(after), "After", "as <code>cnnlint fix</code> rewrites it", None))
    elif (good := _twin(rule, before)) is not None:
        second = picture(_graph(rule, good))
        told = "nothing found"
        if second == first.replace(' class="found"', ""):
            told += "; what differs is below"
        figures.append(_figure(second, "Sound", told, good))
    return f'<div class="networks" data-search-exclude>{"".join(figures)}</div>'


def _graph(rule: type[Rule], example: Example) -> Graph:
    if issubclass(rule, KerasRule):
        return keras_graph(example.model)
    return to_graph(example.model, training=example.training)


def _twin(rule: type[Rule], before: Example) -> Example | None:
    """Return the first example without the fault; one of another network and the same options, if there is any."""
    good = [example for example in rule.examples if not example.bad]
    return min(good, key=lambda each: (each.model == before.model, each.options != before.options), default=None)


def _figure(svg: str, title: str, told: str, example: Example | None) -> str:
    said = "".join(f"<br>{escape(line)}" for line in (() if example is None else conditions(example)))
    return f"<figure>{svg}<figcaption><strong>{title}:</strong> {told}{said}</figcaption></figure>"


def picture(graph: Graph, found: Collection[str] = ()) -> str:
    """Return the drawing of `graph`, with the layers marked that were `found`."""
    drawing = draw(Context(graph))
    nodes = drawing.nodes
    of, last = lanes(nodes)
    rows = [(_label(node), extents(node.row.output_shape), _held(node)) for node in nodes]
    labels, shapes, held = (max(map(len, column), default=0) for column in zip(*rows, strict=True))
    start = 12 + LANE * (1 + max(of, default=0))
    at_shape = round(start + (labels + 2) * LETTER)
    width = round(at_shape + (shapes + 1 + held) * DIGIT) + 8
    height = len(nodes) * LINE + 6
    drawn = [*_marked(nodes, found, width), *_edges(nodes, of, last), *_dots(nodes, of)]
    for index, (label, shape, parameters) in enumerate(rows):
        y = _y(index) + 4
        drawn.append(f'<text x="{start}" y="{y}">{escape(label)}</text><text class="faint" x="{at_shape}" y="{y}">')
        drawn.append(f"{escape(shape)}</text>")
        if parameters:
            drawn.append(f'<text class="faint end" x="{width - 8}" y="{y}">{parameters}</text>')
    said = escape(_said(drawing))
    return f'<svg role="img" aria-label="{said}" viewBox="0 0 {width} {height}" width="{width}">{"".join(drawn)}</svg>'


def lanes(nodes: Sequence[Node]) -> tuple[list[int], list[int]]:
    """Return the lane of each node, and the last node that reads it.

    A node stands in the first lane that ends with it, or else in a free one; what it makes runs down its lane as far as
    its last reader, and others branch off. So a trunk stays straight while branches leave it and come back.
    """
    last = list(range(len(nodes)))
    for index, node in enumerate(nodes):
        for before in node.after:
            last[before] = index
    of, busy = list[int](), list[int]()  # for each lane, the line until which it is taken
    for index, node in enumerate(nodes):
        ending = [of[before] for before in node.after if last[before] == index]
        free = [lane for lane, until in enumerate(busy) if until < index]
        lane = min(ending, default=min(free, default=len(busy)))
        if lane == len(busy):
            busy.append(0)
        busy[lane] = last[index]
        of.append(lane)
    return of, last


def _edges(nodes: Sequence[Node], of: Sequence[int], last: Sequence[int]) -> Iterator[str]:
    """Yield one path: each lane down to the last reader of its node, and the curves that leave it."""
    drawn = list[str]()
    readers = [[index for index, node in enumerate(nodes) if before in node.after] for before in range(len(nodes))]
    for index, later in enumerate(readers):
        if not later:
            continue
        x, end = _x(of[index]), last[index]
        drawn.append(f"M{x} {_y(index)}V{_y(end if of[end] == of[index] else end - 1)}")
        for reader in later:
            if of[reader] != of[index]:
                upper, lower, to = _y(reader - 1), _y(reader), _x(of[reader])
                drawn.append(f"M{x} {upper}C{x} {lower - 4} {to} {upper + 4} {to} {lower}")
    if drawn:
        yield f'<path d="{"".join(drawn)}"/>'


def _dots(nodes: Sequence[Node], of: Sequence[int]) -> Iterator[str]:
    for index, node in enumerate(nodes):
        family = next((name for name, kinds in FAMILIES.items() if any(kind in node.row.kind for kind in kinds)), "")
        yield f'<circle class="{family or "other"}" cx="{_x(of[index])}" cy="{_y(index)}" r="4.5"/>'


def _marked(nodes: Sequence[Node], found: Collection[str], width: int) -> Iterator[str]:
    for index, node in enumerate(nodes):
        if node.row.name in found:
            top = _y(index) - LINE // 2
            yield f'<rect class="found" x="0" y="{top}" width="{width}" height="{LINE}" rx="3"/>'


def _label(node: Node) -> str:
    return shortened(node.label.removeprefix("Activation ") or node.row.kind, 34)


def _held(node: Node) -> str:
    return count(node.row.parameters) if node.row.parameters and node.row.shared_with is None else ""


def _said(drawing: Drawing) -> str:
    return f"A network: {' → '.join(_label(node) for node in drawing.nodes)}"


def _x(lane: int) -> int:
    return 10 + LANE * lane


def _y(index: int) -> int:
    return index * LINE + LINE // 2 + 3

"""A network as a still picture (SVG): a line of text for each step, and beside it lanes that show what feeds what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Literal

from msgspec import Struct

from cnnlint.engine.drawing import Drawing, Node, family
from cnnlint.graph.quantity import brief, count
from cnnlint.report.printable import printable
from cnnlint.report.view import extents, shortened
from cnnlint.results import Finding, ModelReport

SMALL = 40
"""Nodes up to which a network is drawn with its repeats unfolded."""

MOST = 120
"""Steps that are drawn; of more, those in the middle become one."""

FOLLOWERS = 3
"""Pointwise layers that join the step of the layer before them."""

WIDEST = 42
"""Letters of the label of a step."""

LANE, LINE, LETTER, GAP = 14, 19, 7.3, 16
"""Pixels between two lanes, two lines and two columns, and of a letter of 12 pixels."""

NUMBERS = (3, 4)
"""Columns that are set to the right."""

Cells = tuple[str, str, str, str, str]

BAR = 48
"""Pixels of the bar of the step that multiplies most."""


class SketchStep(Struct, frozen=True):
    """Nodes that are drawn as one: a layer with what is pointwise after it, or a stretch of layers.

    Attributes:
        nodes: Their indexes, in topological order.
        label: "Conv 3×3 + BatchNorm + relu", "3 × [Conv 1×1, Conv 3×3, Add]".
        folded: Whether it is a stretch.
    """

    nodes: tuple[int, ...]
    label: str
    folded: bool = False


class Lanes(Struct, frozen=True):
    """Where the steps stand, and what runs between them.

    Attributes:
        of: The lane of each step.
        edges: For each step, the steps that read it.
        width: How many lanes there are.
    """

    of: list[int]
    edges: list[list[int]]
    width: int


def sketch(drawing: Drawing, model: ModelReport) -> str:
    """Return the picture; of a network with many steps only the first and the last are drawn."""
    steps = list(steps_of(drawing))
    lanes = lay_out(steps, drawing.nodes)
    marks = _marks(steps, drawing, model)
    left = 12 + LANE * lanes.width
    text, at_bars = _text([_cells(step, drawing.nodes) for step in steps], left)
    parts = [*_wires(lanes), *_dots(steps, lanes, drawing.nodes), _line(-1, text[0])]
    multiplied = [_sum(step, drawing.nodes, "macs") or 0 for step in steps]
    for index, step in enumerate(steps):
        line = f"<title>{escape(_names(step, drawing.nodes))}</title>{text[index + 1]}"
        if multiplied[index]:
            length = max(1, round(BAR * multiplied[index] / max(multiplied)))
            line += f'<rect class="conv" x="{at_bars}" y="5" width="{length}" height="8" rx="1"/>'
        if (mark := marks[index]) is not None:
            line += f'<circle class="found {mark[0]}" cx="{at_bars + BAR + 12}" cy="9" r="4"/>'
            line += f'<text x="{at_bars + BAR + 22}" y="13" class="mark">{escape(mark[1])}</text>'
        parts.append(_line(index, line))
    width = at_bars + BAR + 26 + round(max((len(mark[1]) for mark in marks if mark), default=0) * LETTER)
    said = f"The network: {count(len(drawing.nodes))} inputs and layers in {count(len(steps))} steps"
    size = f'width="{width}" height="{(len(steps) + 1) * LINE + 4}"'
    return f'<svg role="img" aria-label="{said}" {size}>{"".join(parts)}</svg>'


def steps_of(drawing: Drawing) -> Iterator[SketchStep]:
    """Yield the steps in topological order; those in the middle of a network that has too many are one."""
    steps = list(_steps(drawing))
    if len(steps) <= MOST:
        yield from steps
        return
    first, last = 2 * MOST // 3, MOST // 3 - 1
    middle = steps[first : len(steps) - last]
    nodes = tuple(sorted(node for step in middle for node in step.nodes))
    yield from steps[:first]
    yield SketchStep(nodes, f"… {count(len(nodes))} more layers", folded=True)
    yield from steps[len(steps) - last :]


def _steps(drawing: Drawing) -> Iterator[SketchStep]:
    """Yield a step for each stretch that repeats, and one for each other node and the pointwise ones after it."""
    nodes = drawing.nodes
    readers = Counter(before for node in nodes for before in node.after)
    stretches = {} if len(nodes) <= SMALL else {repeat.start: repeat for repeat in drawing.repeats}
    followers = dict[int, list[int]]()  # by the node whose step they join
    heads = dict[int, int]()
    inside = {node for each in stretches.values() for node in range(each.start, each.start + each.period * each.times)}
    for index, node in enumerate(nodes):
        if index in inside or not node.after:
            continue
        before = node.after[0]
        head = heads.get(before, before)
        joined = followers.setdefault(head, [])
        if _is_pointwise(node, nodes) and readers[before] == 1 and head not in inside and len(joined) < FOLLOWERS:
            joined.append(index)
            heads[index] = head
    for index, node in enumerate(nodes):
        if (stretch := stretches.get(index)) is not None:
            yield _stretch(index, stretch.period, stretch.times, nodes)
        elif index not in inside and index not in heads:
            of = (index, *followers.get(index, ()))
            yield SketchStep(of, " + ".join([node.label, *(_short(nodes[at].label) for at in of[1:])]))


def _is_pointwise(node: Node, nodes: Sequence[Node]) -> bool:
    """Return whether a layer only changes values in their places, as far as its shapes and its costs tell."""
    (first, *others) = node.after
    before = nodes[first]
    same = node.row.output_shape == before.row.output_shape and node.row.output_shape is not None
    return (
        same and not others and bool(before.after) and node.row.macs == 0 and family(node.row.kind) in {"norm", "act"}
    )


def _short(label: str) -> str:
    return label.removeprefix("Activation ") or label


def _stretch(start: int, period: int, times: int, nodes: Sequence[Node]) -> SketchStep:
    block = nodes[start : start + period]
    telling = [node.label for node in block if node.row.macs or family(node.row.kind) in {"join", "pool"}]
    inside = f"[{', '.join(telling or [node.label for node in block])}]"
    return SketchStep(
        tuple(range(start, start + period * times)), f"{times} × {inside}" if times > 1 else inside, folded=True
    )


def lay_out(steps: Sequence[SketchStep], nodes: Sequence[Node]) -> Lanes:
    """Give each step a lane.

    A step stands on its own line, in the first lane that ends with it, or else in a free one; what it makes runs down
    its lane as far as its last reader, and others branch off to it. So a trunk stays straight while branches leave it
    and come back, as in the log of a repository.
    """
    owner = {node: index for index, step in enumerate(steps) for node in step.nodes}
    edges = [list[int]() for _ in steps]
    feeds = [list[int]() for _ in steps]
    for index, step in enumerate(steps):
        for before in sorted({owner[at] for node in step.nodes for at in nodes[node].after} - {index}):
            edges[before].append(index)
            feeds[index].append(before)
    of, busy = list[int](), list[int | None]()  # for each lane, the last line that it is needed on
    for index in range(len(steps)):
        ending = [of[before] for before in feeds[index] if edges[before][-1] <= index]
        for lane in ending:
            busy[lane] = None
        free = [lane for lane, until in enumerate(busy) if until is None]
        lane = min(ending, default=min(free, default=len(busy)))
        if lane == len(busy):
            busy.append(None)
        busy[lane] = edges[index][-1] if edges[index] and edges[index][-1] > index else None
        of.append(lane)
    return Lanes(of, edges, len(busy))


def _wires(lanes: Lanes) -> Iterator[str]:
    """Yield one path: the lane of each step down to its last reader, and the curves that leave it."""
    drawn = list[str]()
    for index, readers in enumerate(lanes.edges):
        later = [reader for reader in readers if reader > index]
        if not later:
            continue
        x = _x(lanes.of[index])
        turn = later[-1] if lanes.of[later[-1]] == lanes.of[index] else later[-1] - 1
        drawn.append(f"M{x} {_y(index)}V{_y(turn)}")
        for reader in later:
            if lanes.of[reader] != lanes.of[index]:
                upper, lower, to = _y(reader - 1), _y(reader), _x(lanes.of[reader])
                drawn.append(f"M{x} {upper}C{x} {lower - 4} {to} {upper + 4} {to} {lower}")
    yield f'<path class="w" d="{"".join(drawn)}"/>'


def _dots(steps: Sequence[SketchStep], lanes: Lanes, nodes: Sequence[Node]) -> Iterator[str]:
    for index, step in enumerate(steps):
        x, y = _x(lanes.of[index]), _y(index)
        if step.folded:
            yield f'<rect class="fold" x="{x - 5}" y="{y - 5}" width="10" height="10" rx="2"/>'
        else:
            yield f'<circle class="{family(nodes[step.nodes[0]].row.kind)}" cx="{x}" cy="{y}" r="4.5"/>'


def _x(lane: int) -> int:
    return 8 + LANE * lane


def _y(index: int) -> int:
    return (index + 1) * LINE + 9


def _line(index: int, content: str) -> str:
    return f'<g transform="translate(0 {(index + 1) * LINE})">{content}</g>'


TITLES = ("step", "layer", "output", "parameters", "MACs")


def _text(rows: Sequence[Cells], left: int) -> tuple[list[str], int]:
    """Return the texts of the heading and of each row, in columns from `left` on, and where the columns end."""
    columns = list(zip(*rows, strict=True))
    at, places = float(left), list[int]()
    for index, (title, column) in enumerate(zip(TITLES, columns, strict=True)):
        wide = max(len(title), *map(len, column)) * LETTER
        places.append(round(at + wide if index in NUMBERS else at))
        at += wide + GAP
    lines = list[str]()
    for row in (TITLES, *rows):
        line = ""
        for index, cell in enumerate(row):
            faint = row is TITLES or index == 1
            style = " ".join(("faint",) * faint + ("end",) * (index in NUMBERS))
            line += f'<text x="{places[index]}" y="13" class="{style}">{escape(cell)}</text>' if cell else ""
        lines.append(line.replace(' class=""', ""))
    return lines, round(at)


def _cells(step: SketchStep, nodes: Sequence[Node]) -> Cells:
    first, last = nodes[step.nodes[0]], nodes[step.nodes[-1]]
    name = shortened(printable(first.row.name), 28)
    if step.folded:
        name = " … ".join(shortened(printable(end.row.name), 12) for end in (first, last))
    label = printable(step.label)
    label = label if len(label) <= WIDEST else f"{label[: WIDEST - 1]}…"
    held, macs = _sum(step, nodes, "parameters"), _sum(step, nodes, "macs")
    shape = shortened(extents(last.row.output_shape), 16)
    return label, name, shape, "" if held == 0 else count(held), "" if macs == 0 else brief(macs)


def _sum(step: SketchStep, nodes: Sequence[Node], field: Literal["parameters", "macs"]) -> int | None:
    """Return what the layers of a step come to; None if unknown. Parameters count in one of the layers that share."""
    total = 0
    for at in step.nodes:
        row = nodes[at].row
        number = row.macs if field == "macs" else 0 if row.shared_with is not None else row.parameters
        if number is None:
            return None
        total += number
    return total


def _names(step: SketchStep, nodes: Sequence[Node]) -> str:
    """Return the names of a step's layers, which appear when the pointer rests on it."""
    if step.folded:
        return f"{count(len(step.nodes))} layers"
    return ", ".join(printable(nodes[at].row.name) for at in step.nodes)


def _marks(steps: Sequence[SketchStep], drawing: Drawing, model: ModelReport) -> list[tuple[str, str] | None]:
    """Return the severity and the codes of what was found in each step; None where nothing was."""
    found = dict[str, list[Finding]]()
    for finding in model.findings:
        for place in finding.places or (finding,):
            for name in place.layers[:1]:
                found.setdefault(name, []).append(finding)
    marks = list[tuple[str, str] | None]()
    for step in steps:
        here = [finding for at in step.nodes for finding in found.get(printable(drawing.nodes[at].row.name), ())]
        here.sort(key=lambda finding: -finding.severity.rank)
        codes = list(dict.fromkeys(finding.code for finding in here))
        more = f" +{len(codes) - 2}" if len(codes) > 2 else ""
        marks.append((here[0].severity, " ".join(codes[:2]) + more) if here else None)
    return marks

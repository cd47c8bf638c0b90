"""Plots in the terminal, legible without color: activation memory over the layers, costs by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from math import ceil

from cnnlint.graph.quantity import brief, ratio, share, size
from cnnlint.report.layer_table import EIGHTHS, bar
from cnnlint.report.view import View, shortened
from cnnlint.results import ModelSummary

HEIGHT = 9
"""Lines of the plot of memory."""

RISING = " ▁▂▃▄▅▆▇█"

MEMORY, PARAMETERS, MACS = "32", "36", "35"
"""ANSI styles."""

WIDEST_BAR = 24


def memory_plot(model: ModelSummary, view: View) -> Iterator[str]:
    """Yield the lines of the plot of all activations that are alive while each layer runs."""
    rows = [row for row in model.layers if row.merged_into is None]
    alive = [row.alive_bytes for row in rows]
    known = [number for number in alive if number is not None]
    yield _bold(f"activation memory over the layers, per {model.per}", view)
    if len(known) < len(alive) or not known or not max(known):
        yield "unknown\n\n"
        return
    peak = max(known)
    ticks = {HEIGHT: size(peak), ceil(HEIGHT / 2): size(peak * ceil(HEIGHT / 2) / HEIGHT), 1: size(peak / HEIGHT)}
    margin = max(map(len, ticks.values())) + 2
    columns = _resampled(known, view.across - margin)
    levels = [ratio(number, peak) * HEIGHT for number in columns]
    side, corner, dash = ("│", "└", "─") if view.unicode else ("|", "+", "-")
    for line in range(HEIGHT, 0, -1):
        drawn = "".join(_filled(level - line + 1, view) for level in levels).rstrip()
        yield f"{ticks.get(line, ''):>{margin - 2}} {side}{_colored(drawn, MEMORY, view)}\n"
    yield f"{' ' * (margin - 1)}{corner}{dash * len(columns)}\n"
    first = next((row.stage for row in rows if row.stage), "")
    names = [row.stage or first for row in rows]
    yield f"{' ' * margin}{_marks(_resampled_names(names, len(columns)), view)}\n"
    at = rows[alive.index(peak)]
    yield f"{' ' * margin}{shortened(f'peak of {size(peak)} at {at.name} ({at.kind})', view.across - margin)}\n\n"


def _resampled(numbers: Sequence[int], width: int) -> list[int]:
    """Return a number for each column: the largest of its layers, or that of the layer which has several columns."""
    if len(numbers) >= width:
        cuts = [len(numbers) * column // width for column in range(width + 1)]
        return [max(numbers[begin:end]) for begin, end in pairwise(cuts)]
    each = width // len(numbers)
    return [number for number in numbers for _ in range(each)]


def _resampled_names(names: Sequence[str], columns: int) -> list[str]:
    """Return the stage of each column: that of its first layer."""
    return [names[len(names) * column // columns] for column in range(columns)]


def _filled(rest: float, view: View) -> str:
    """Return the character of a line of which `rest` is filled, from below."""
    eighths = round(8 * min(max(rest, 0), 1))
    if view.unicode:
        return RISING[eighths]
    return "#" if eighths >= 4 else "." if eighths else " "


def _marks(names: Sequence[str], view: View) -> str:
    """Return the line that says where stages begin first, of those whose names have room."""
    tick = "╵" if view.unicode else "^"
    line = ""
    column = 0
    told = set[str]()
    for name, run in groupby(names):
        width = sum(1 for _ in run)
        text = f"{tick}{_plain(name, view)}"
        if name not in told and column >= len(line) + bool(line) and column + len(text) <= len(names):
            line = line.ljust(column) + text
        told.add(name)
        column += width
    return line


def stage_plot(model: ModelSummary, view: View) -> Iterator[str]:
    """Yield the lines of the bars of parameters and MACs by stage."""
    if not model.stages:
        return
    yield _bold("parameters and MACs by stage", view)
    names = [_plain(stage.name, view) for stage in model.stages]
    costs = [
        ("parameters", PARAMETERS, [stage.parameters for stage in model.stages]),
        ("MACs", MACS, [stage.macs for stage in model.stages]),
    ]
    width = max(len("stage"), *map(len, names))
    counts = [f"{stage.layers:,}" for stage in model.stages]
    wide = max(len("layers"), *map(len, counts))
    room = (view.across - width - wide - 2) // 2 - len("  ") - 7 - 2 - 6 - 1
    head = f"{'stage':<{width}}  {'layers':>{wide}}"
    lines = [f"{name:<{width}}  {layers:>{wide}}" for name, layers in zip(names, counts, strict=True)]
    for title, style, numbers in costs:
        drawn = max(0, min(WIDEST_BAR, room))
        whole = None if None in numbers else sum(number or 0 for number in numbers)
        most = max((number or 0 for number in numbers), default=0)
        head += f"  {title:<{16 + drawn}}" if title == "parameters" else f"  {title}"
        for index, number in enumerate(numbers):
            text = "?" if number is None else brief(number)
            part = share(ratio(number, whole)) if whole and number is not None else ""
            blocks = _plain(bar(number, most, drawn), view) if drawn else ""
            lines[index] += f"  {text:>7}  {part:>6} {_colored(blocks, style, view)}{' ' * (drawn - len(blocks))}"
    yield f"{head}\n"
    yield from (f"{line.rstrip()}\n" for line in lines)
    yield "\n"


def _plain(text: str, view: View) -> str:
    """Return `text` without what the terminal cannot show."""
    if view.unicode:
        return text
    return text.translate({ord("×"): "x", ord("█"): "#", **{ord(part): "." for part in EIGHTHS[1:-1]}})


def _bold(text: str, view: View) -> str:
    return f"{view.paint(text, 'strong')}\n"


def _colored(text: str, style: str, view: View) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if view.color and text else text

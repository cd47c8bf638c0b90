"""The few layers around a finding, one a line, with an arrow at the one meant."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.graph.quantity import count
from cnnlint.report.quantities import extents, shortened
from cnnlint.report.view import View
from cnnlint.results import Site

ARROW = "→"
MOST = 7
"""Lines of an excerpt before the middle of a long one is left out."""


def excerpt(layers: tuple[str, ...], sites: dict[str, Site], view: View) -> Iterator[str]:
    """Yield a line for each of `layers` (the one meant first), those just before and the one after.

    Names, kinds and shapes stand in columns; "⋮" stands where layers are left out.
    """
    named = sorted({name for name in layers if name in sites}, key=lambda name: sites[name].position)
    if not named:
        return
    meant = next(name for name in layers if name in sites)
    rows = _with_neighbours(named, sites)
    rows = _shortened(rows, meant)
    names = {row: shortened(row, max(16, view.width - 64)) for row in rows}
    across = max(len(name) for name in names.values())
    labels = max(len(sites[row].label) for row in rows)
    shapes = max(len(extents(sites[row].output_shape)) for row in rows)
    previous: str | None = None
    for row in rows:
        site = sites[row]
        if previous is not None and previous not in site.before:
            yield view.paint("   |   ", "accent") + view.paint("⋮", "faint")
        previous = row
        held = f"  {count(site.parameters)} parameters" if site.parameters != 0 else ""
        text = f"{names[row]:<{across}}  {site.label:<{labels}}  {extents(site.output_shape):<{shapes}}{held}".rstrip()
        mark = view.paint(ARROW, "strong") if row == meant else " "
        style = "strong" if row == meant else None if row in named else "faint"
        gutter = view.paint("   | ", "accent")
        yield f"{gutter}{mark} {view.paint(text, style) if style else text}"


def _with_neighbours(named: list[str], sites: dict[str, Site]) -> list[str]:
    rows = dict.fromkeys(named)
    first, last = sites[named[0]], sites[named[-1]]
    reach = 2 if len(named) == 1 else 1
    for _ in range(reach):
        if not first.before or first.before[0] not in sites:
            break
        rows[first.before[0]] = None
        first = sites[first.before[0]]
    if last.after and last.after[0] in sites:
        rows[last.after[0]] = None
    return sorted(rows, key=lambda name: sites[name].position)


def _shortened(rows: list[str], meant: str) -> list[str]:
    if len(rows) <= MOST:
        return rows
    kept = {*rows[: MOST // 2], *rows[-(MOST // 2) :], meant}
    return [row for row in rows if row in kept]

"""A terminal drawn as SVG: what a command of cnnlint prints, in its colors, as the README and the gallery show it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from rich.color import ColorType
from rich.console import Console
from rich.style import Style
from rich.text import Text

WIDTH, HEIGHT = 7.83, 18
"""Pixels of a character of 13 pixels, and of a line."""

COLORS = ("#484f58", "#ff7b72", "#3fb950", "#e3b341", "#58a6ff", "#bc8cff", "#39c5cf", "#e6edf3")
"""Those of a terminal, in its order, to be read on the dark ground that the picture brings along."""

STYLE = (
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#e6edf3}"
    ".b{font-weight:700}.d{fill:#8b949e}" + "".join(f".c{index}{{fill:{color}}}" for index, color in enumerate(COLORS))
)


def terminal(command: str, printed: str) -> str:
    """Return the picture of a terminal in which `command` was typed and `printed`, with its escapes for colors.

    Each stretch of text has its place of its own, so that columns stand below one another whatever font there is.
    """
    lines = [Text.assemble(("$ ", "bold green"), (command, "bold")), *map(Text.from_ansi, printed.rstrip().split("\n"))]
    width = round(max(line.cell_len for line in lines) * WIDTH) + 36
    height = len(lines) * HEIGHT + 54
    rows = (f'<text y="{54 + index * HEIGHT}">{"".join(_runs(line))}</text>' for index, line in enumerate(lines))
    lights = "".join(f'<circle cx="{20 + 18 * index}" cy="18" r="5.5"/>' for index in range(3))
    said = escape("\n".join(line.plain for line in lines), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<title>{said}</title>\n<style>{STYLE}</style>\n"
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="9" fill="#0d1117" stroke="#30363d"/>\n'
        f'<g fill="#30363d">{lights}</g>\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _runs(line: Text) -> Iterator[str]:
    console = Console(color_system="standard", force_terminal=True, width=1_000)
    column = 0
    for segment in line.render(console):
        classes = _classes(segment.style or Style())
        for run in re.finditer(r"\S+(?: \S+)*", segment.text):
            x = 18 + (column + run.start()) * WIDTH
            of = f' class="{classes}"' if classes else ""
            yield f'<tspan x="{x:.1f}"{of}>{escape(run[0])}</tspan>'
        column += len(segment.text)


def _classes(style: Style) -> str:
    color = style.color
    number = color.number if color is not None and color.type is not ColorType.DEFAULT else None
    found = [f"c{number % 8}"] if number is not None else []
    return " ".join([*found, *(["b"] if style.bold else []), *(["d"] if style.dim and not found else [])])

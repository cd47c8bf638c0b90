"""What a lint says about lines of files: remarks on findings and errors, and the layers that a line makes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import DefinitionError
from cnnlint.graph.quantity import brief, count
from cnnlint.report.view import extents, field
from cnnlint.results import Finding, Frame, Place, Severity

if TYPE_CHECKING:
    from cnnlint.definitions.target import Definition
    from cnnlint.editing.session import Look
    from cnnlint.engine.drawing import Node

LAYERS = 12
"""Layers that a hover lists."""

TRACED = re.compile(r'File "([^"\n]+)", line (\d{1,7})')
"""A frame of a traceback."""


class Remark(Struct, frozen=True, kw_only=True):
    """Something to say about a line of a file.

    Attributes:
        frames: The line, and those that called it, outward.
        severity: How bad it is.
        code: The rule; "" if it is no finding.
        message: What to say.
    """

    frames: tuple[Frame, ...]
    severity: Severity
    code: str
    message: str


def remarks(look: Look) -> Iterator[Remark]:
    """Yield what a lint has to say, once for each rule and line."""
    if look.error is not None:
        yield _failure(look)
        return
    for finding in look.report.shown().findings:
        grouped = dict[str, list[Place]]()
        for place in finding.places or (Place(layers=(), message=finding.message, evidence={}),):
            frames = place.frames or look.defined
            grouped.setdefault(frames[0].where if frames else "", []).append(place)
        for places in grouped.values():
            frames = places[0].frames or look.defined or _start(look.definition)
            yield Remark(
                frames=frames,
                severity=finding.severity,
                code=finding.code,
                message=_words(finding, places, whole=len(grouped) == 1),
            )


def _words(finding: Finding, places: Sequence[Place], *, whole: bool) -> str:
    more = f" ({count(len(places) - 1)} more {'layer' if len(places) == 2 else 'layers'} made here)"
    said = finding.message if whole else places[0].message + (more if len(places) > 1 else "")
    return f"{said}\n{finding.suggestion}" if finding.suggestion else said


def _failure(look: Look) -> Remark:
    """Return the remark that a definition gives no network, on the innermost line of the user's in the traceback."""
    error = look.error
    frames = _start(look.definition)
    root = os.path.realpath(look.definition.root or Path.cwd())
    if isinstance(error, DefinitionError):
        for file, line in TRACED.findall(error.trace):
            if os.path.realpath(file).startswith(root + os.sep) and "site-packages" not in file:
                frames = (Frame(file=os.path.realpath(file), line=int(line), function="", text=""),)
    return Remark(frames=frames, severity=Severity.ERROR, code="", message=str(error))


def _start(definition: Definition) -> tuple[Frame, ...]:
    """Return the line that defines the factory, as far as the text of its file says; else the first one."""
    if definition.file is None:
        return ()
    try:
        lines = Path(definition.file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    begins = re.compile(rf"(?:(?:async\s+)?def|class)\s+{definition.attribute}\b|{definition.attribute}\s*[:=]")
    number = next((number for number, line in enumerate(lines, 1) if begins.match(line)), 1)
    return (Frame(file=definition.file, line=number, function="", text=""),)


def layers_of(looks: Iterable[Look], file: str, line: int) -> str:
    """Return as Markdown the layers that a line makes, or that are made in what it calls; "" if there are none.

    Args:
        looks: The networks.
        file: The path of the file, resolved.
        line: Counted from 1.
    """
    parts = list[str]()
    for look in looks:
        nodes = () if look.drawing is None else look.drawing.nodes
        direct = [node for node in nodes if node.frames and _is(node.frames[0], file, line)]
        made = direct or [node for node in nodes if any(_is(frame, file, line) for frame in node.frames)]
        if made:
            parts += [f"**{look.definition.name}**", *(_layer(made[0]) if len(made) == 1 else _table(made))]
    return "\n\n".join(parts)


def _is(frame: Frame, file: str, line: int) -> bool:
    return frame.line == line and os.path.realpath(frame.file) == file


def _layer(node: Node) -> Iterator[str]:
    row = node.row
    yield f"`{row.name}` {node.label} → {extents(row.output_shape)}"
    facts = [
        ("parameters", row.formula or count(row.parameters)),
        ("MACs", row.mac_formula or brief(row.macs)),
        ("receptive field", field(row.receptive_field)),
    ]
    yield "\n".join(f"- {name}: {value}" for name, value in facts)


def _table(nodes: Sequence[Node]) -> Iterator[str]:
    lines = ["| Layer | | Output | Parameters | MACs | Receptive field |", "|---|---|---|--:|--:|--:|"]
    for node in nodes[:LAYERS]:
        row = node.row
        cells = (
            f"`{row.name}`", node.label, extents(row.output_shape), row.formula or count(row.parameters),
            brief(row.macs), field(row.receptive_field),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cell.replace('|', '∣') for cell in cells)} |")
    yield "\n".join(lines)
    counted = [(node.row.parameters, node.row.macs) for node in nodes]
    parameters = None if any(own is None for own, _ in counted) else sum(own or 0 for own, _ in counted)
    macs = None if any(own is None for _, own in counted) else sum(own or 0 for _, own in counted)
    yield f"{count(len(nodes))} layers, {count(parameters)} parameters, {brief(macs)} MACs"

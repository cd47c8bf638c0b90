"""The report of a conversion for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.comparison.conversion import ConversionReport
from cnnlint.comparison.text import origin_lines, table
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View, several

NAMED = 3
"""Layers that are named in one line."""


def render(report: ConversionReport, view: View) -> str:
    """Return what was converted and how, what the converter left, and how the result compares; the lint aside."""
    return without_commands("".join(f"{line}\n" for line in _lines(report, view)))


def _lines(report: ConversionReport, view: View) -> Iterator[str]:
    source, output = printable(report.source), printable(report.output)
    state = view.paint("written", "good") if report.written else view.paint("not written", "error")
    yield f"{view.paint(source, 'strong')} → {view.paint(output, 'strong')}  {state}"
    yield f"  {report.way} conversion in {report.seconds:.1f} s, opset {report.opset}, {several(report.nodes, 'node')}"
    yield f"  {'; '.join(_left(report))}"
    for opaque in report.opaque:
        yield f"  no rule looks into {printable(opaque)}"
    yield ""
    parity = report.parity
    verdict = view.paint("proved equal", "good") if parity.equal else view.paint("not equal", "error")
    errors = [row.max_rel_error for row in parity.outputs]
    absolute = max((row.max_abs_error or 0.0 for row in parity.outputs), default=0.0)
    if parity.outputs and None not in errors:
        relative = max(error for error in errors if error is not None)
        verdict += (
            f": largest error {absolute:.2g} absolute, {relative:.2g} relative (tolerance {parity.tolerance:.2g})"
        )
    yield verdict
    for condition in parity.conditions:
        yield view.paint(f"  inputs: {printable(condition)}", "faint")
    for sentence in parity.interface:
        yield f"  {printable(sentence)}"
    if not view.quiet:
        yield from (f"  {line}" for line in table(parity.outputs, view))
    if not parity.equal:
        yield from origin_lines(parity, view)
    yield ""


def _left(report: ConversionReport) -> Iterator[str]:
    yield several(report.transposes, "Transpose")
    if report.norms_folded is not None:
        yield f"{report.norms_folded} products and sums of norms folded"
    if report.norms_left:
        names = ", ".join(map(printable, report.norms_left[:NAMED]))
        more = f" and {len(report.norms_left) - NAMED} more" if len(report.norms_left) > NAMED else ""
        yield f"{several(len(report.norms_left), 'norm')} not folded: {names}{more}"
    else:
        yield "no norm left to fold"
    if report.leftover:
        kinds = ", ".join(f"{count} {printable(op)}" for op, count in report.leftover.items())
        yield f"operators that belong to no layer: {kinds}"
    else:
        yield "no leftover operators"

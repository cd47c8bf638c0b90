"""The report of a fix for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.comparison.compare import table
from cnnlint.comparison.diff_report import render as render_diff
from cnnlint.fixing.records import FixReport
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View, several


def render(report: FixReport, view: View, *, difference: bool) -> str:
    """Return what was rewritten and how it was proved; with `difference` what differs between the graphs."""
    text = without_commands("".join(f"{line}\n" for line in _lines(report, view)))
    if difference and report.diff is not None:
        text += "\n" + render_diff(report.diff, view)
    return text


def _lines(report: FixReport, view: View) -> Iterator[str]:
    path = view.paint(printable(report.path), "strong")
    if not report.applied:
        yield f"{path}: nothing to rewrite"
    else:
        target = f" → {view.paint(printable(report.output), 'strong')}" if report.output else ""
        state = f"  {view.paint('written', 'good')}" if report.written else ""
        yield f"{path}{target}{state}"
    for applied in report.applied:
        yield f"  rewrote {applied.code} {applied.name} at {printable(', '.join(applied.layers))}"
    for obstacle in report.obstacles:
        yield f"  {view.paint('not rewritten', 'warning')}: {printable(obstacle)}"
    proof, parity = report.proof, report.parity
    if proof is None or parity is None:
        return
    verdict = view.paint("proved equal", "good") if report.is_proved else view.paint("not equal", "error")
    yield (
        f"{verdict}: largest error {proof.max_abs_error:.2g} absolute, {proof.max_rel_error:.2g} relative "
        f"(tolerance {proof.tolerance:.2g})"
    )
    yield view.paint(
        f"  {several(len(proof.tensors), 'tensor')} over {several(proof.runs, 'seeded run')} of onnxruntime, "
        "all rewrites together, graph optimisation off; end to end:",
        "faint",
    )
    yield from (f"  {line}" for line in table(parity.outputs, view))

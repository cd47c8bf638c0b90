"""The records of a fix, which every format shares, and its report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from cnnlint.comparison.compare import table, verdict
from cnnlint.comparison.diff_report import DiffReport
from cnnlint.comparison.diff_report import render as render_diff
from cnnlint.errors import __version__
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View
from cnnlint.results import SCHEMA, Verification
from cnnlint.verification.records import ComparisonReport


class AppliedFix(Struct, frozen=True, kw_only=True):
    """A rewrite that was applied.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        layers: The finding's layers, the main one first.
    """

    code: str
    name: str
    layers: tuple[str, ...]


class FixReport(Struct, frozen=True, kw_only=True):
    """A model after the rewrites of rules.

    Attributes:
        path: The model.
        output: The file to write; "" for a preview.
        written: Whether it was written.
        applied: The rewrites, in the order in which they were made.
        obstacles: Why other findings could not be rewritten, a sentence each.
        verification: Of the rewritten parts; equivalent only if the whole models are.
        parity: The whole models compared as they would be stored, layer by layer and end to end.
        diff: The difference between the two graphs.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    path: str
    output: str = ""
    written: bool = False
    applied: tuple[AppliedFix, ...] = ()
    obstacles: tuple[str, ...] = ()
    verification: Verification | None = None
    parity: ComparisonReport | None = None
    diff: DiffReport | None = None

    @property
    def is_verified(self) -> bool:
        """Whether original and rewritten model were verified to be equal, in parts and as a whole."""
        return (
            self.verification is not None
            and self.verification.equivalent
            and self.parity is not None
            and self.parity.equal
        )


def render(report: FixReport, view: View, *, difference: bool) -> str:
    """Return what was rewritten and how it was verified; with `difference`, also the diff of the graphs."""
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
    verification, parity = report.verification, report.parity
    if verification is None or parity is None:
        return
    yield from verdict(verification, view)
    yield view.paint("  above: the rewritten parts; below: the whole model, layer by layer and end to end", "faint")
    yield from (f"  {line}" for line in verdict(parity.verification, view))
    yield from (f"  {line}" for line in table(parity.outputs, view))

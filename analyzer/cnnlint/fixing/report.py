"""The records of a fix, which every format shares, and its report for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct

from cnnlint.comparison.compare import table, verdict
from cnnlint.comparison.diff_report import DiffReport
from cnnlint.comparison.diff_report import render as render_diff
from cnnlint.errors import __version__
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View
from cnnlint.results import SCHEMA
from cnnlint.verification.records import ComparisonReport

SHOWN = 3
"""Places of a rule's rewrites that are named unless all are asked for."""


class AppliedFix(Struct, frozen=True, kw_only=True):
    """A rewrite that was applied.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        layers: The finding's layers, the main one first.
        nodes: How many nodes more the model has for it, before weights are worked out; mostly negative.
    """

    code: str
    name: str
    layers: tuple[str, ...]
    nodes: int = 0


class LeftOut(Struct, frozen=True, kw_only=True):
    """A rewrite that was not made.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        layers: The finding's layers, the main one first.
        cause: Why, as a clause.
    """

    code: str
    name: str
    layers: tuple[str, ...]
    cause: str


class Size(Struct, frozen=True, kw_only=True):
    """How large a model is as stored.

    Attributes:
        nodes: Nodes of its graph.
        nbytes: Bytes of its files.
    """

    nodes: int
    nbytes: int


Entry = TypeVar("Entry", AppliedFix, LeftOut)


class FixReport(Struct, frozen=True, kw_only=True):
    """A model after the rewrites of rules.

    Attributes:
        path: The model.
        output: The file to write; "" for a preview.
        written: Whether it was written.
        applied: The rewrites, in the order in which they were made.
        dropped: Rewrites that were left out because the model computes something else with them.
        obstacles: Rewrites that do not fit the model's nodes.
        before: The size of the model; None if nothing was rewritten.
        after: The size of the rewritten model.
        parity: The models compared as they are stored, layer by layer and end to end.
        diff: The difference between the two graphs.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    path: str
    output: str = ""
    written: bool = False
    applied: tuple[AppliedFix, ...] = ()
    dropped: tuple[LeftOut, ...] = ()
    obstacles: tuple[LeftOut, ...] = ()
    before: Size | None = None
    after: Size | None = None
    parity: ComparisonReport | None = None
    diff: DiffReport | None = None

    @property
    def is_verified(self) -> bool:
        """Whether original and rewritten model were verified to be equal."""
        return self.parity is not None and self.parity.equal


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
    if report.before is not None and report.after is not None:
        nodes, nbytes = (
            _change(getattr(report.before, name), getattr(report.after, name)) for name in ("nodes", "nbytes")
        )
        yield f"  nodes {nodes}, bytes {nbytes}"
    for (code, name), group in _grouped(report.applied, lambda each: (each.code, each.name)):
        yield f"  rewrote {code} {name} at {_places(group, every=view.verbose)}"
    for state, some in (("left out", report.dropped), ("not rewritten", report.obstacles)):
        for (code, name, cause), group in _grouped(some, lambda each: (each.code, each.name, each.cause)):
            where = _places(group, every=view.verbose)
            yield f"  {view.paint(state, 'warning')}: {code} {name} at {where}: {printable(cause)}"
    if report.parity is None:
        return
    yield from verdict(report.parity.verification, view)
    yield from (f"  {line}" for line in table(report.parity.outputs, view))


def _grouped(
    some: Iterable[Entry], key: Callable[[Entry], tuple[str, ...]]
) -> Iterable[tuple[tuple[str, ...], list[Entry]]]:
    groups = dict[tuple[str, ...], list[Entry]]()
    for each in some:
        groups.setdefault(key(each), []).append(each)
    return groups.items()


def _places(group: Sequence[AppliedFix | LeftOut], *, every: bool) -> str:
    places = [printable(" + ".join(each.layers)) for each in group if each.layers]
    if not places:
        return "the model"
    shown = places if every else places[:SHOWN]
    more = f" and {len(places) - len(shown):,} more places" if len(places) > len(shown) else ""
    return f"{', '.join(shown)}{more}"


def _change(before: int, after: int) -> str:
    return f"{before:,} → {after:,} ({(after - before) / before:+.1%})" if before else f"{before:,} → {after:,}"

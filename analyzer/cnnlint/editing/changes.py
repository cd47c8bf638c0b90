"""What a save changed: the numbers of a network, findings that are new, findings that are gone."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.graph.quantity import brief, count, size
from cnnlint.results import Finding, ModelReport, Place

NUMBERS = (
    ("parameters", "parameters", count),
    ("macs", "MACs", brief),
    ("weight_bytes", "weights", size),
    ("peak_activation_bytes", "peak activations", size),
)
"""Numbers of a report, what they are called, and how they are written."""

MOST = 20
"""New or gone places that are listed."""


def changes(before: ModelReport, after: ModelReport) -> Iterator[str]:
    """Yield a line for each number that changed, and for each place of a finding that is new or gone."""
    for name, label, form in NUMBERS:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            shown = form if form(old) != form(new) else count
            share = f" ({(new - old) / old:+.2%})" if old and new is not None else ""
            yield f"{label} {shown(old)} → {shown(new)}{share}"
    for held, was in zip(after.budgets, before.budgets, strict=False):
        if held.quantity == was.quantity and held.passed != was.passed:
            yield f"budget of {held.quantity} {'kept' if held.passed else 'broken'}"
    for word, those, others in (("new ", after, before), ("gone", before, after)):
        known = {key for finding, place in _places(others) for key in _keys(finding, place)}
        lines = [_line(*told) for told in _places(those) if known.isdisjoint(_keys(*told))]
        yield from (f"{word} {line}" for line in lines[:MOST])
        if len(lines) > MOST:
            yield f"{word} and {count(len(lines) - MOST)} more"


def _places(report: ModelReport) -> Iterator[tuple[Finding, Place]]:
    return ((finding, place) for finding in report.findings for place in finding.places)


def _keys(finding: Finding, place: Place) -> set[object]:
    """Return what a place is known by: a layer that changed has another identity, and one that moved another name."""
    return {(finding.code, place.identity), (finding.code, place.layers)}


def _line(finding: Finding, place: Place) -> str:
    where = place.source or ", ".join(place.layers)
    return f"{f'{where}: ' if where else ''}{finding.severity}[{finding.code}] {place.message}"

"""Findings on the lines of the user's code: which stand on one line, where services put them, and how text shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from cnnlint.definitions.target import IN_FILE
from cnnlint.graph.quantity import count
from cnnlint.report.view import View
from cnnlint.results import Finding, Frame, LintReport, ModelReport, Place, added_up, total

if TYPE_CHECKING:
    Found = tuple[ModelReport, Finding]

CALLERS = 4
"""Calls on the way to a line that are shown."""


def line_of(finding: Finding) -> Frame | None:
    """Return the line of the user's code that a finding is about: of its first place; None if nobody knows."""
    return finding.places[0].frames[0] if finding.places and finding.places[0].frames else None


def on_lines(report: LintReport) -> Iterator[Found]:
    """Yield every finding with its model, those of one rule on one line as one, and one that is on several as several.

    What a helper builds in each block, or in each of several models, is so told on the helper's line once.
    """
    groups = dict[object, list[tuple[ModelReport, Finding]]]()
    for model in report.models:
        for finding in model.findings:
            for part in _by_line(finding):
                frame = line_of(part)
                place = len(groups) if frame is None else (part.code, part.severity, frame.where)
                key = place, model.is_failing(part)
                groups.setdefault(key, []).append((model, part))
    for group in groups.values():
        model, _ = group[0]
        yield model, merged([finding for _, finding in group])


def merged_on_lines(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings of a model, those of one rule on one line as one."""
    groups = dict[object, list[Finding]]()
    for finding in findings:
        lines = {place.source for place in finding.places}
        shared = next(iter(lines)) if len(lines) == 1 else None
        groups.setdefault(len(groups) if shared is None else (finding.code, finding.severity, shared), []).append(
            finding
        )
    return [merged(group) for group in groups.values()]


def merged(findings: Sequence[Finding]) -> Finding:
    """Return one finding in place of several of a rule on one line; the first of them speaks for all."""
    first = findings[0]
    if len(findings) == 1:
        return first
    verifications = {each.verification for each in findings}
    return replace(
        first,
        layers=tuple(dict.fromkeys(name for each in findings for name in each.layers)),
        places=tuple(place for each in findings for place in each.places),
        evidence=cast("dict[str, int | float]", added_up(findings)),
        savings=total(each.savings for each in findings),
        verification=verifications.pop() if len(verifications) == 1 else None,
        fixable=any(each.fixable for each in findings),
    )


def _by_line(finding: Finding) -> list[Finding]:
    """Return a finding whose places are on several lines as one for each line."""
    if len({place.source for place in finding.places}) < 2:
        return [finding]
    places = sorted(finding.places, key=lambda place: place.source or "")
    parts = {source: [*group] for source, group in groupby(places, key=lambda place: place.source)}
    return [_part(finding, parts[source]) for source in dict.fromkeys(place.source for place in finding.places)]


def _part(finding: Finding, places: list[Place]) -> Finding:
    """Return what a finding says of some of its places: its numbers are of all."""
    return replace(
        finding,
        layers=tuple(dict.fromkeys(name for place in places for name in place.layers)),
        message=places[0].message,
        evidence=places[0].evidence if len(places) == 1 else {},
        places=tuple(places),
        savings=None,
    )


def file_of(path: str) -> str:
    """Return the file of a definition that is called `FILE.py:NAME`, and any other path as it is."""
    found = IN_FILE.fullmatch(path)
    return path if found is None else found["file"]


def source_lines(finding: Finding, view: View) -> Iterator[str]:
    """Yield the line of the user's code, with the call underlined, and who called."""
    frame = line_of(finding)
    if frame is None:
        return
    number = str(frame.line)
    margin = " " * max(2, len(number))
    text = frame.text.strip()
    cut = len(frame.text) - len(frame.text.lstrip())
    begin, end = max(frame.begin - cut, 0), min(frame.end - cut, len(text))
    room = view.width - len(margin) - 4
    shown = text if len(text) <= room else f"{text[: room - 1]}…"
    yield view.paint(f"{margin} |", "accent")
    yield f"{view.paint(f'{number:>{len(margin)}} |', 'accent')} {shown}"
    mark = "^" * (min(end, len(shown)) - begin) if end > begin else ""
    under = f" {' ' * begin}{view.paint(mark, 'strong')}" if mark else ""
    yield f"{view.paint(f'{margin} |', 'accent')}{under}"


def callers(finding: Finding, *, all_of_them: bool = False) -> Iterator[str]:
    """Yield the calls on the way to the line, the nearest first: "train.py:57 in make_model: head(x)"."""
    frames = finding.places[0].frames if finding.places else ()
    shown = frames if all_of_them else frames[: CALLERS + 1]
    for frame in shown[1:]:
        call = frame.text[frame.begin : frame.end] or frame.text.strip()
        yield f"{frame.where} in {frame.function}: {call}"
    if frames[len(shown) :]:
        yield f"… and {count(len(frames) - len(shown))} more"


def further_lines(finding: Finding) -> str:
    """Return the lines of a finding's other places: "train.py:57, train.py:60 (4 places)"; "" if there are none."""
    numbers = dict[str, int]()
    for place in finding.places:
        if place.source is not None:
            numbers[place.source] = numbers.get(place.source, 0) + 1
    frame = line_of(finding)
    others = [(source, number) for source, number in numbers.items() if frame is None or source != frame.where]
    said = [source if number == 1 else f"{source} ({number} places)" for source, number in others[:CALLERS]]
    more = f" and {len(others) - CALLERS} more" if len(others) > CALLERS else ""
    return ", ".join(said) + more

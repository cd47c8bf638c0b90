"""The figures as a page of the documentation, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.comparisons import Bound, Comparison
from benchmarks.process import Figures


class Verdict(NamedTuple):
    """What became of a bound.

    Attributes:
        value: None if a contender failed, which is no pass.
    """

    words: str
    value: float | None
    most: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether the figure is known and within the bound."""
        return self.value is not None and self.value <= self.most


class Result(NamedTuple):
    """A comparison and its figures."""

    comparison: Comparison
    figures: Mapping[str, Figures]

    def verdicts(self) -> list[Verdict]:
        """Return what became of each bound."""
        return [self._verdict(bound) for bound in self.comparison.bounds]

    def _verdict(self, bound: Bound) -> Verdict:
        failed = any(self.figures[name].failure for name in bound.needs)
        value = None if failed else bound.value(self.figures)
        return Verdict(bound.words, value, bound.most, bound.unit)


def markdown(results: Sequence[Result], about: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """Return the page."""
    return "\n".join(_page(results, about, absent)) + "\n"


def _page(results: Sequence[Result], about: Mapping[str, str], absent: Mapping[str, str]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Written by `python -m benchmarks`; run it to get the figures of your machine. Every figure is of a whole"
    yield f"process, start-up included: the median of {about['runs']} runs or more, in turns with those beside it,"
    yield "files in the page cache, compiled modules kept. Ratios are what counts; seconds are those of one machine."
    yield ""
    yield from (f"- {name}: {value}" for name, value in about.items() if name != "runs")
    bounds = [(result, verdict) for result in results for verdict in result.verdicts()]
    if bounds:
        yield ""
        yield "## Bounds"
        yield ""
        yield "| What | Figure | Bound | |"
        yield "|---|---:|---:|---|"
        for result, verdict in bounds:
            yield f"| {result.comparison.title}: {verdict.words} | {_amount(verdict)} | {_most(verdict)} |" + (
                " met |" if verdict.holds else " **missed** |"
            )
    for result in results:
        yield ""
        yield from section(result)
    if absent:
        yield ""
        yield "## Absent"
        yield ""
        yield from (f"- {name}: {reason}" for name, reason in absent.items())


def section(result: Result) -> Iterator[str]:
    """Yield the lines of one comparison."""
    comparison, figures = result
    yield f"## {comparison.title}"
    yield ""
    yield comparison.text
    yield ""
    yield "| | Time, s | Ratio | Processor time, s | Peak, MB |"
    yield "|---|---:|---:|---:|---:|"
    reference = figures[comparison.reference]
    for name, taken in figures.items():
        if taken.failure:
            yield f"| {name} | {taken.failure} | | | |"
            continue
        part = "" if reference.failure else f"{taken.wall / reference.wall:.2f} ×"
        yield f"| {name} | {taken.wall:.3f} | {part} | {taken.cpu:.3f} | {taken.peak:,.0f} |"


def encoded(results: Sequence[Result], about: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """Return everything as JSON: seconds, and mebibytes."""
    document = {
        "schema": 1,
        "about": dict(about),
        "comparisons": [
            {
                "key": result.comparison.key,
                "title": result.comparison.title,
                "reference": result.comparison.reference,
                "figures": {
                    name: {"failure": taken.failure}
                    if taken.failure
                    else {
                        "wall": round(taken.wall, 4),
                        "cpu": round(taken.cpu, 4),
                        "peak": round(taken.peak, 1),
                        "runs": taken.runs,
                    }
                    for name, taken in result.figures.items()
                },
                "bounds": [
                    {
                        "what": verdict.words,
                        "value": None if verdict.value is None else round(verdict.value, 3),
                        "most": verdict.most,
                        "unit": verdict.unit,
                        "holds": verdict.holds,
                    }
                    for verdict in result.verdicts()
                ],
            }
            for result in results
        ],
        "absent": dict(absent),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _amount(verdict: Verdict) -> str:
    if verdict.value is None:
        return "unknown"
    return f"{verdict.value:.2f} ×" if verdict.unit == "×" else f"{verdict.value:.0f} {verdict.unit}"


def _most(verdict: Verdict) -> str:
    return f"{verdict.most:g} {verdict.unit}"

"""The quick look at a report as one JSON text finds whatever the look at each of its strings does."""

from __future__ import annotations

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from cnnlint.report.printable import UNSAFE, printable, printable_report

PIECES = [*'an"\\:, \n\r\t\x1b\x7f\x00é\u200b{}', "suggestion", '"suggestion":"']
NASTY = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


class Told(msgspec.Struct, frozen=True):
    message: str
    suggestion: str
    evidence: dict[str, str]


class Many(msgspec.Struct, frozen=True):
    findings: tuple[Told, ...]


def expected(told: Told) -> Told:
    lines = "\n".join(map(printable, told.suggestion.split("\n")))
    evidence = {printable(key): _value(key, value) for key, value in told.evidence.items()}
    return Told(printable(told.message), lines, evidence)


def _value(key: str, value: str) -> str:
    return "\n".join(map(printable, value.split("\n"))) if key == "suggestion" else printable(value)


@given(st.lists(st.builds(Told, NASTY, NASTY, st.dictionaries(NASTY, NASTY, max_size=2)), max_size=3))
@example([Told("a", 'one\ntwo "three" \\', {})])
@example([Told('"suggestion":"\n', "", {"suggestion": "a\nb"})])
@example([Told("\n", "\n", {}), Told("", "\r", {})])
def test_every_string_of_a_report_is_safe_and_nothing_else_changes(findings: list[Told]) -> None:
    report = Many(tuple(findings))
    made = printable_report(report)
    assert made == Many(tuple(map(expected, findings)))
    for told in made.findings:
        assert not UNSAFE.search(told.message)


def test_a_report_whose_help_has_lines_is_not_taken_apart() -> None:
    report = Many((Told('the layer "conv"', 'Add an activation:\n  x = Conv(activation="relu")', {"a": "C:\\b"}),))
    assert printable_report(report) is report

"""Ignores of the configuration and of the model."""

from __future__ import annotations

from datetime import date

import pytest

from cnnlint.engine.housekeeping import UnusedIgnore
from cnnlint.engine.ignoring import Ignore, ignores_of_model, parse_reason, suppress
from cnnlint.engine.telling import Hit
from cnnlint.results import Confidence, Finding, Place, Severity

TODAY = date(2026, 6, 15)


def finding(code="FC001", name="flatten-dense-dominates", layers=("head/fc1",)):
    said = Finding(
        code=code, name=name, severity=Severity.WARNING, confidence=Confidence.EXACT, layers=layers, message="m",
        evidence={}, places=(Place(layers=layers, message="m", evidence={}, identity="0123456789abcdef"),),
    )  # fmt: skip
    return Hit(UnusedIgnore(), (), said)


@pytest.mark.parametrize(
    ("selector", "layers", "hidden"),
    [
        ("FC001", (), True), ("fc001", (), True), ("flatten-dense-dominates", (), True), ("FC", (), True),
        ("ALL", (), True),
        ("FC002", (), False), ("BN", (), False), ("flatten", (), False),
        ("FC001", ("head/fc1",), True), ("FC001", ("head/*",), True), ("FC001", ("fc1",), False),
        ("FC001", ("stem", "*"), True), ("FC001", ("*/fc?",), True), ("FC001", ("0123456789abcdef",), True),
    ],
)  # fmt: skip
def test_an_ignore_covers_what_it_names(selector, layers, hidden):
    result = suppress([finding()], [Ignore(selector=selector, layers=layers)], today=TODAY)
    assert (result.suppressed, len(result.hits)) == ((1, 0) if hidden else (0, 1))
    assert len(result.unused) == (0 if hidden else 1)


def test_the_layer_that_is_meant_decides_and_the_whole_model_has_none():
    both = finding(layers=("a", "b"))
    assert suppress([both], [Ignore(selector="FC001", layers=("b",))], today=TODAY).suppressed == 0
    whole = finding(layers=())
    assert suppress([whole], [Ignore(selector="FC001", layers=("a",))], today=TODAY).suppressed == 0
    assert suppress([whole], [Ignore(selector="FC001", layers=("*",))], today=TODAY).suppressed == 1


def test_a_name_with_brackets_is_met_as_it_stands():
    odd = finding(layers=("block[0]/fc",))
    assert suppress([odd], [Ignore(selector="FC001", layers=("block[0]/fc",))], today=TODAY).suppressed == 1


def test_an_ignore_counts_until_its_day_and_no_longer():
    until = Ignore(selector="FC001", until=date(2026, 6, 16))
    assert suppress([finding()], [until], today=date(2026, 6, 15)).suppressed == 1
    assert suppress([finding()], [until], today=date(2026, 6, 16)).suppressed == 0


def test_codes_that_do_not_yield_hear_the_configuration_and_not_the_model():
    over = finding("BG001", "over-budget", ())
    of_model, of_config = Ignore(selector="BG001", by_model=True), Ignore(selector="BG001")
    assert suppress([over], [of_model], today=TODAY, protected=["BG001"]).suppressed == 0
    assert suppress([over], [of_config], today=TODAY, protected=["BG001"]).suppressed == 1


def test_findings_are_counted_once_however_many_ignores_cover_them():
    result = suppress([finding(), finding("BN001", "x")], [Ignore(selector="FC"), Ignore(selector="ALL")], today=TODAY)
    assert result.suppressed == 2
    assert result.unused == ()


@pytest.mark.parametrize(
    ("written", "reason", "until"),
    [
        ("old head", "old head", None),
        ("old head (until 2027-01)", "old head", date(2027, 2, 1)),
        ("old head (until 2026-12)", "old head", date(2027, 1, 1)),
        ("old head (until 2027-01-31)", "old head", date(2027, 2, 1)),
        ("waits (see ticket 12) (Until 2027-02)", "waits (see ticket 12)", date(2027, 3, 1)),
    ],
)
def test_a_month_counts_to_its_end(written, reason, until):
    assert parse_reason(written) == (reason, until)


@pytest.mark.parametrize("written", ["x (until soon)", "x (until 2027-13)", "x (until 2027-02-30)", "x (until )"])
def test_what_is_no_date_is_refused(written):
    with pytest.raises(ValueError, match="is not a date"):
        parse_reason(written)


def test_a_model_names_layers_reason_and_end():
    ((ignore,), flaws) = ignores_of_model([("FC001", "fc1, head/*:0: trained before (until 2027-01)")])
    assert ignore.layers == ("fc1", "head/*:0")
    assert ignore.reason == "trained before"
    assert ignore.until == date(2027, 2, 1)
    assert ignore.by_model
    assert flaws == ()


@pytest.mark.parametrize(
    "value", ["fc1", "fc1:", "fc1: ", ": reason", "", "fc1: (until 2027-01)", "fc1: x (until then)"]
)
def test_a_model_must_give_layers_and_a_reason(value):
    ignores, flaws = ignores_of_model([("FC001", value)])
    assert ignores == ()
    assert [flaw.origin for flaw in flaws] == ["cnnlint.ignore.FC001"]

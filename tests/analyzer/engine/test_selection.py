"""Which rules run."""

from __future__ import annotations

import pytest

from cnnlint.engine.registry import RuleSet, load_rules
from cnnlint.engine.selection import Request, choose, severities
from cnnlint.errors import ConfigError
from cnnlint.results import Confidence, Severity

RULES = load_rules()
OPINIONS = {rule.code for rule in RULES if rule.confidence is Confidence.OPINION}
ALWAYS = {rule.code for rule in RULES if rule.code.startswith("CF")} | {"BG001", "DP001", "RT006"}
DENSE = {rule.code for rule in RULES if rule.code.startswith("FC")}


def codes(*requests: Request, pedantic: bool = False) -> set[str]:
    return {rule.code for rule in choose(RULES, requests, pedantic=pedantic).rules}


def test_by_default_all_rules_but_matters_of_opinion_run():
    assert OPINIONS
    assert codes() == set(RULES.by_code) - OPINIONS
    assert codes(pedantic=True) == set(RULES.by_code)


def test_select_replaces_the_default_and_budgets_and_housekeeping_stay():
    assert codes(Request(select=("FC",))) == (DENSE - OPINIONS) | ALWAYS
    assert codes(Request(select=())) == ALWAYS
    assert codes(Request(select=("flatten-dense-dominates",))) == {"FC001"} | ALWAYS


def test_extend_select_adds_and_ignore_removes():
    assert codes(Request(select=("FC001",), extend_select=("BN",))) >= {"FC001", "BN001", "BN002"}
    assert codes(Request(ignore=("FC",))) == set(RULES.by_code) - OPINIONS - DENSE
    assert "BG001" not in codes(Request(ignore=("BG001",)))


def test_the_more_specific_selector_wins_whatever_the_order():
    assert "FC001" in codes(Request(select=("FC001",), ignore=("FC",)))
    assert "FC001" not in codes(Request(select=("FC",), ignore=("FC001",)))
    assert "FC001" in codes(Request(select=("FC00",), ignore=("FC",)))
    assert "FC001" not in codes(Request(select=("FC",), ignore=("FC00",)))


def test_at_a_tie_ignoring_wins():
    assert "FC001" not in codes(Request(select=("FC001",), ignore=("flatten-dense-dominates",)))


def test_the_command_line_outweighs_the_file():
    file = Request(select=("BN",), ignore=("FC001",))
    assert codes(file, Request(select=("FC",))) == (DENSE - OPINIONS) | ALWAYS
    assert codes(file, Request(extend_select=("FC001",))) >= {"FC001", "BN002"}
    assert "BN002" not in codes(file, Request(ignore=("BN002",)))


def test_a_matter_of_opinion_runs_when_it_is_selected_by_its_own_code():
    opinion = min(OPINIONS)
    assert opinion in codes(Request(extend_select=(opinion,)))
    assert opinion not in codes(Request(select=("ALL",)))
    assert opinion not in codes(Request(select=("ALL",), ignore=(opinion,)), pedantic=True)


def test_a_family_of_opinions_alone_says_that_it_selects_nothing():
    smells = RuleSet(tuple(rule for rule in RULES if rule.code[:2] != "AR" or rule.code in OPINIONS), RULES.origins)
    (note,) = choose(smells, [Request(select=("AR",))]).notes
    assert "AR" in note
    assert "--pedantic" in note
    assert choose(smells, [Request(select=("AR",))], pedantic=True).notes == ()


@pytest.mark.parametrize("request_", [{"select": ("FC01",)}, {"extend_select": ("FC01",)}, {"ignore": ("FC01",)}])
def test_an_unknown_selector_is_an_error_with_a_suggestion_and_its_place(request_):
    with pytest.raises(ConfigError, match=r"cnnlint\.toml: there is no rule FC01 \(did you mean FC0\d1?\d?"):
        codes(Request(where="cnnlint.toml", **request_))


def test_severities_are_overridden_by_code_name_or_family():
    found = severities(RULES, {"flatten-dense-dominates": Severity.ERROR, "FC": Severity.INFO})
    assert found["FC001"] is Severity.ERROR
    assert {found[code] for code in DENSE - {"FC001"}} == {Severity.INFO}
    with pytest.raises(ConfigError, match="no rule flaten-before-dense"):
        severities(RULES, {"flaten-before-dense": Severity.INFO})

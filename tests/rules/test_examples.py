"""Every rule's page is complete, and its examples hold: what Bad says is found, in Good nothing is."""

from __future__ import annotations

import pytest

from cnnlint.engine.housekeeping import HousekeepingRule
from cnnlint.engine.registry import load_rules
from cnnlint.engine.rule import Example, Rule
from cnnlint.testing import check_example, check_page

RULES = load_rules().rules
CHECKS = [rule for rule in RULES if not issubclass(rule, HousekeepingRule)]
"""Rules that look at models; housekeeping rules look at what cnnlint was told."""

EXAMPLES = [
    pytest.param(rule, example, id=f"{rule.code}-{'bad' if example.bad else 'good'}-{number}")
    for rule in CHECKS
    for number, example in enumerate(rule.examples, 1)
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_page_is_complete(rule: type[Rule]) -> None:
    check_page(rule)


@pytest.mark.parametrize("rule", CHECKS, ids=lambda rule: rule.code)
def test_rule_shows_both_sides(rule: type[Rule]) -> None:
    assert any(example.bad for example in rule.examples)
    assert any(not example.bad for example in rule.examples)
    assert "## When not" in (rule.__doc__ or "")


@pytest.mark.parametrize(("rule", "example"), EXAMPLES)
def test_example_holds(rule: type[Rule], example: Example) -> None:
    check_example(rule, example)

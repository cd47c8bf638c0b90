"""What a save changed: numbers and places of findings, by what a lint of both networks says."""

from __future__ import annotations

import cnnlint
from cnnlint.editing.changes import changes
from cnnlint.frontends.notation import to_onnx

SMALL = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL -> CONV 16 3x3 -> RELU -> GAP -> FC 10"
FLAT = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL -> CONV 16 3x3 -> RELU -> FLATTEN -> FC 10"


def linted(notation: str, **arguments: object) -> cnnlint.ModelReport:
    return cnnlint.lint(to_onnx(notation), static=True, isolated=True, **arguments)[0]


def test_nothing_changes_between_equal_networks():
    assert list(changes(linted(SMALL), linted(SMALL))) == []


def test_numbers_and_findings_are_told_with_what_they_were():
    before, after = linted(SMALL), linted(FLAT)
    lines = list(changes(before, after))
    assert (
        f"parameters {before.parameters:,} → {after.parameters:,} ({after.parameters / before.parameters - 1:+.2%})"
        in lines
    )
    assert any(line.startswith("new ") and "warning[FC001]" in line for line in lines)
    back = list(changes(after, before))
    assert any(line.startswith("gone ") and "warning[FC001]" in line for line in back)
    assert not any(line.startswith("new ") and "FC001" in line for line in back)


def test_a_finding_whose_layer_has_other_sizes_is_the_same_finding():
    wider = FLAT.replace("CONV 16", "CONV 24")
    lines = list(changes(linted(FLAT), linted(wider)))
    assert not any("FC001" in line for line in lines)
    assert any(line.startswith("parameters ") for line in lines)


def test_a_budget_that_breaks_is_told():
    budget = cnnlint.Budget(params=2_000)
    lines = list(changes(linted(SMALL, budget=budget), linted(FLAT, budget=budget)))
    assert "budget of params broken" in lines

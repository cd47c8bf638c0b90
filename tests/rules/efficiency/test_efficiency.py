"""The numbers of rules on efficiency, held against the papers' and against counts by hand."""

from __future__ import annotations

from math import isclose

import pytest

from cnnlint import load_rules
from cnnlint.testing import findings

RULES = {rule.code: rule for rule in load_rules()}


def test_a_separable_convolution_costs_what_mobilenet_says():
    # Howard et al., section 3.1: 1/N + 1/D_K², "8 to 9 times less computation" for 3 × 3
    (found,) = findings(RULES["EF002"], "INPUT 512x14x14 -> CONV 512 3x3 nobias -> RELU -> GAP -> FC 10")
    assert isclose(found.evidence["ratio"], 1 / 512 + 1 / 9)
    assert found.savings is not None
    assert found.savings.parameters == 512 * 512 * 9 - (512 * 9 + 512 * 512)
    assert found.savings.macs == 14 * 14 * found.savings.parameters


@pytest.mark.parametrize(("narrow", "wide", "extent"), [(24, 144, 56), (32, 256, 7), (10, 1000, 4)])
def test_equal_widths_move_the_fewest_values_for_the_same_work(narrow: int, wide: int, extent: int):
    text = f"INPUT {narrow}x{extent}x{extent} -> CONV {wide} 1x1 -> RELU -> CONV 64 3x3 -> RELU -> GAP -> FC 10"
    (found,) = findings(RULES["EF003"], text)
    positions, product = extent * extent, narrow * wide
    moved = {
        a: positions * (a + product / a) + product for a in [width / 8 for width in range(8, 8 * wide)]
    }  # every other way to part the same work
    least = min(moved.values())
    assert isclose(found.evidence["moved"], moved[narrow] / least, rel_tol=1e-3)
    assert abs(min(moved, key=lambda a: moved[a]) - product**0.5) < 1


def test_a_gate_and_the_scores_have_the_width_that_they_need():
    gated = "INPUT 24x28x28 -> GATE[ID | GAP keep -> CONV 6 1x1 -> RELU -> CONV 24 1x1 -> SIGMOID] -> GAP -> FC 10"
    assert not findings(RULES["EF001"], gated)
    assert not findings(RULES["EF003"], "INPUT 64x28x28 -> CONV 10 1x1 -> GAP -> SOFTMAX")
    assert not findings(RULES["EF001"], "INPUT 64x28x28 -> CONV 10 1x1 -> GAP -> SOFTMAX")


@pytest.mark.parametrize(("filters", "padded", "wasted"), [(33, 40, 7 / 40), (4, 8, 0.5), (63, 64, 1 / 64)])
def test_hardware_pads_to_the_next_multiple(filters: int, padded: int, wasted: float):
    text = f"INPUT 3x32x32 -> CONV {filters} 3x3 -> RELU -> CONV 64 3x3 -> RELU -> GAP -> FC 10"
    (found,) = findings(RULES["EF001"], text)
    assert (found.evidence["rounded"], found.evidence["wasted"]) == (padded, wasted)


def test_branches_of_a_join_within_a_join_are_counted_with_it():
    inner = "CAT[CONV 8 1x3 | CONV 8 3x1 | CONV 8 3x3]"
    text = f"INPUT 32x28x28 -> CAT[CONV 8 1x1 | CONV 8 5x5 | {inner}] -> RELU -> GAP -> FC 10"
    (found,) = findings(RULES["EF005"], text)
    assert found.evidence["branches"] == 5


def test_layers_that_densenet_joins_again_are_no_branches():
    block = "CAT[ID | CONV 8 1x1 -> RELU -> CONV 8 3x3]"
    assert not findings(RULES["EF005"], f"INPUT 16x28x28 -> [{block}]*12 -> GAP -> FC 10")

import pytest

from cnnlint.graph.quantity import brief, size
from cnnlint.report.view import count, extents, several


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"), (999, "999"), (1000, "1.00 k"), (9_994, "9.99 k"), (9_996, "10.0 k"), (99_960, "100 k"),
        (999_400, "999 k"), (999_600, "1.00 M"), (15_470_264_320, "15.5 G"), (-2_500_000, "−2.50 M"),
        (5 * 10**18, "5000 P"), (None, "unknown"),
    ],
)  # fmt: skip
def test_brief_numbers_have_three_digits(number, shown):
    assert brief(number) == shown


def test_sizes_are_decimal():
    assert size(553_430_176) == "553 MB"
    assert size(78_861) == "78.9 kB"
    assert size(512) == "512 B"


def test_counts_are_exact():
    assert count(138_357_544) == "138,357,544"
    assert count(None) == "unknown"


def test_shapes_show_what_is_unknown():
    assert extents((64, 112, 112)) == "64×112×112"
    assert extents((64, None, "width")) == "64×?×width"
    assert extents(None) == "?"


def test_nouns_agree_with_their_number():
    assert [several(number, "model") for number in (0, 1, 2)] == ["0 models", "1 model", "2 models"]

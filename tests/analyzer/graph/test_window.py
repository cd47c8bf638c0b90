"""Window arithmetic agrees with windows that are counted one by one."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from cnnlint.graph.window import Window, same_pads

EXTENTS = st.integers(1, 40)
WINDOWS = st.builds(
    Window,
    kernel=st.integers(1, 7),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    before=st.integers(0, 3),
    after=st.integers(0, 3),
)


def starts(window: Window, extent: int) -> list[int]:
    """Place windows from the first padded element on, as long as they fit."""
    last = extent + window.after - window.effective_kernel
    return list(range(-window.before, last + 1, window.stride))


@given(window=WINDOWS, extent=EXTENTS)
def test_the_output_has_as_many_elements_as_windows_fit(window: Window, extent: int) -> None:
    assert window.output(extent) == len(starts(window, extent))


@example(window=Window(kernel=1, stride=3, dilation=1, before=2, after=0), extent=1)  # all of it in the padding
@given(window=WINDOWS, extent=EXTENTS)
def test_unseen_elements_are_those_behind_the_last_window(window: Window, extent: int) -> None:
    placed = starts(window, extent)
    seen_to = placed[-1] + window.effective_kernel if placed else 0
    assert window.unseen(extent) == max(extent - max(seen_to, 0), 0)


@given(extent=EXTENTS, kernel=st.integers(1, 7), stride=st.integers(1, 4), dilation=st.integers(1, 3))
def test_same_padding_gives_extent_over_stride_rounded_up(extent: int, kernel: int, stride: int, dilation: int) -> None:
    for lower in (False, True):
        before, after = same_pads(extent, kernel, stride, dilation, lower=lower)
        assert Window(kernel, stride, dilation, before, after).output(extent) == -(-extent // stride)
        assert abs(before - after) <= 1
        assert (before >= after) if lower else (after >= before)


def test_the_formula_shows_its_numbers() -> None:
    assert Window(2).explain(224) == "⌊(224 + 0 − 2) / 1⌋ + 1 = 223"


def test_a_symbol_passes_where_nothing_changes() -> None:
    assert Window(3, before=1, after=1).output("height") == "height"
    assert Window(3, stride=2, before=1, after=1).output("height") is None

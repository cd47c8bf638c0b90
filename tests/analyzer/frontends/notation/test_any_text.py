"""Whatever is written, the answer is a sound model or one clear line; and the page lists every step there is."""

from __future__ import annotations

from pathlib import Path

import onnx
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlint.frontends.notation import NotationError, to_onnx
from cnnlint.frontends.notation.network import STEPS
from cnnlint.frontends.notation.syntax import JOINS

PAGE = Path(__file__).parents[4] / "docs" / "notation.md"

WORDS = st.sampled_from([
    *STEPS, *JOINS, "SE", "ID", "INPUT", *["->"] * 4, "[", "]", "|", "*", "*2", "@x", "16", "3", "2", "1", "0",
    "3x3", "1x1", "2x2x2", "0x3", "3x", "x", "HxW", "stride", "same", "valid", "pad", "dilation", "groups", "nobias",
    "multiplier", "keep", "training", "ceil", "linear", "reflect", "0.5", "1.5.2", "99999999999", "-1", "é", "²",
])  # fmt: skip

LINES = st.tuples(
    st.sampled_from(["INPUT 3x8x8 ->", "INPUT 4x9 ->", "INPUT 6 ->", "INPUT 3xHxW ->", "INPUT 2x5x5x5 batch 2 ->", ""]),
    st.lists(WORDS, max_size=12).map(" ".join),
).map(" ".join)

CHAINS = st.lists(
    st.tuples(
        st.sampled_from([*STEPS, "SE", "RES[CONV 3x3]", "CAT[ID | RELU]"]),
        st.lists(
            st.sampled_from(
                ["4", "3x3", "2", "1", "stride 2", "pad 1", "same", "valid", "groups 2", "dilation 2", "ceil"]
            ),
            max_size=4,
        ),
    ).map(lambda step: " ".join([step[0], *step[1]])),
    min_size=1,
    max_size=5,
).map(lambda steps: " -> ".join(["INPUT 4x9x9", *steps]))


@given(st.one_of(st.text(max_size=40), LINES, CHAINS))
@settings(max_examples=settings.default.max_examples * 3, deadline=None)
def test_any_text_is_a_sound_model_or_a_clear_error(text: str) -> None:
    error, model = None, None
    try:
        model = to_onnx(text)
    except NotationError as caught:
        error = caught
    if error is not None:
        assert 1 <= error.column <= len(text) + 1
        assert error.cause
        assert error.pointer.endswith("^")
    if model is not None:
        onnx.checker.check_model(model, full_check=True)


def test_page_lists_every_step_and_join() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in (*STEPS, *JOINS, "SE") if f"`{kind}" not in page] == []

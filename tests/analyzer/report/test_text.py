import re
from dataclasses import dataclass

import pytest

from analyzer.report.reports import BUDGETS, FLATTENED, SITES, finding, model, report, site
from cnnlint.report import render
from cnnlint.report.view import View
from cnnlint.results import Savings, Severity, Verification

PLAIN = View()


def text(*models, **view):
    return render(report(*models), "text", View(**view))


def test_a_finding_looks_like_this():
    assert text(model(findings=(FLATTENED,), budgets=BUDGETS, notes=("Run time checks were left out: --static.",))) == (
        """\
vgg16.onnx (onnx)
  138,357,544 parameters · 15.5 G MACs · weights 553 MB · peak activations 25.7 MB

warning[FC001] flatten-dense-dominates: fc1 holds 102,764,544 of 138,357,544 parameters (74 %).
  --> vgg16.onnx › fc1 (Gemm)
   |
   |   pool5     MaxPool 2×2  512×7×7
   |   flatten   Flatten      25088
   | → fc1       Dense        4096     102,764,544 parameters
   |   fc1/relu  relu         4096
   |
   = help: Average each channel over the map:
             x = keras.layers.GlobalAveragePooling2D()(x)
   = saves: 100,663,296 parameters, 101 M MACs, 403 MB
   = verified: largest error 1e-09 absolute, 3e-07 relative (tolerance 1e-05) over 3 seeded runs, 2
               tensors compared
   = see: cnnlint explain FC001

budgets
  OVER  parameters          138,357,544 of     5,000,000  133,357,544 over (27.7 × the limit)
        The phone has room for 20 MB.
  kept  share of one layer        74.3% of         80.0%  5.7% left
  FAIL  MACs per sample         unknown of 1,000,000,000  custom_1 is opaque

note: Run time checks were left out: --static.

1 model: 1 warning; 1 of 3 budgets kept
"""
    )


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_line_is_wider_than_the_terminal_unless_a_word_is(width):
    long = finding(
        message="word " * 60, suggestion="advice " * 40, layers=("a/very/long/keras/scope/" * 4 + "conv2d_1",)
    )
    sites = {long.layers[0]: site(1, "Conv 3×3", (64, 56, 56), 36_928)}
    shown = text(model(findings=(long, FLATTENED), sites={**SITES, **sites}, budgets=BUDGETS), width=width)
    too_wide = [line for line in shown.splitlines() if len(line) > width]
    unbreakable = [line for line in too_wide if "-->" in line or "keras." in line or " of " in line]
    excerpts = [line for line in too_wide if line.startswith("   |")]
    assert [line for line in too_wide if line not in unbreakable + excerpts] == []
    assert width < 80 or not excerpts


def test_color_adds_nothing_but_escape_sequences():
    models = model(findings=(FLATTENED, finding(severity=Severity.ERROR)), budgets=BUDGETS, suppressed=2)
    painted = text(models, color=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == text(models)


def many(count):
    return tuple(
        finding("BN002", (f"conv{index}",), message=f"Bias of conv{index}.", savings=Savings(parameters=64))
        for index in range(count)
    )


def test_many_findings_of_a_rule_are_summed_up_after_three():
    shown = text(model(findings=many(53), sites={}))
    assert shown.count("Bias of conv") == 3
    assert "… and 50 more; --verbose shows each" in shown
    assert "saves: 3,200 parameters in all 50" in shown
    assert "53 warnings" in shown


def test_verbose_shows_every_finding():
    assert text(model(findings=many(53), sites={}), verbose=True).count("Bias of conv") == 53


def test_a_fourth_finding_is_shown_and_not_summed_up():
    shown = text(model(findings=many(4), sites={}))
    assert shown.count("Bias of conv") == 4
    assert "more" not in shown


def test_an_excerpt_marks_where_layers_are_left_out():
    sites = {
        "a": site(0, "Conv 3×3", (8, 9, 9), before=(), after=("b",)),
        "z": site(9, "Conv 3×3", (8, 9, 9), before=("y",), after=()),
    }
    shown = text(model(findings=(finding(layers=("z", "a")),), sites=sites))
    assert "   |   a  Conv 3×3  8×9×9\n   |   ⋮\n   | → z  Conv 3×3  8×9×9\n" in shown


def test_an_excerpt_of_many_layers_is_shortened_around_the_one_meant():
    names = [f"dense{index}" for index in range(30)]
    sites = {
        name: site(index, "Dense", (8,), 72, before=tuple(names[max(0, index - 1) : index]), after=())
        for index, name in enumerate(names)
    }
    shown = text(model(findings=(finding(layers=("dense15", *names)),), sites=sites))
    drawn = [line for line in shown.splitlines() if line.startswith("   | ") and line.strip(" |")]
    assert len(drawn) < 12
    assert sum("→ dense15" in line for line in drawn) == 1


def test_unknown_extents_and_counts_are_said_to_be_unknown():
    sites = {"x": site(0, "Conv 3×3", (8, None, 112)), "y": site(1, "Custom", None, before=("x",))}
    shown = text(model(findings=(finding(layers=("y", "x")),), sites=sites, macs=None, peak_activation_bytes=None))
    assert "8×?×112" in shown
    assert "unknown MACs" in shown
    assert "peak activations unknown" in shown


def test_a_proof_that_failed_is_not_called_one():
    failed = Verification(
        equivalent=False, max_abs_error=0.5, max_rel_error=0.1, tolerance=1e-5, runs=1, tensors=("y",)
    )
    shown = text(model(findings=(finding(verification=failed),)))
    assert "= not verified: largest error 0.5 absolute" in shown
    assert "over 1 seeded run, 1" in shown


def test_quiet_prints_errors_failing_findings_and_broken_budgets_only():
    shown = text(model(findings=(FLATTENED,), budgets=BUDGETS, notes=("A note.",), fail_on="warning"), quiet=True)
    assert shown.startswith("warning[FC001]")
    assert "FC001" not in text(model(findings=(FLATTENED,)), quiet=True)
    assert "error[FC001]" in text(model(findings=(finding(severity=Severity.ERROR),), fail_on="never"), quiet=True)
    assert "OVER" in shown
    for hidden in ("kept", "A note", "1 model", "15.5 G"):
        assert hidden not in shown


def test_information_takes_a_line_unless_it_fails_the_run():
    mild = finding(severity=Severity.INFO)
    assert "-->" not in text(model(findings=(mild,)))
    assert "-->" in text(model(findings=(mild,), fail_on="info"))
    assert "-->" in text(model(findings=(mild,)), verbose=True)


def test_a_clean_model_of_several_takes_a_line_and_what_holds_for_all_stands_once():
    note = "It is a dry day."
    shown = text(model("a.onnx", notes=(note,)), model("b.onnx", notes=(note, "It rains here.")))
    assert shown.count(note) == 1
    clean = [line for line in shown.splitlines() if ".onnx" in line]
    assert clean == ["a.onnx (onnx)  no findings", "b.onnx (onnx)  no findings"]
    assert "MACs" not in shown


def test_a_note_of_some_of_several_models_stands_once_and_names_them():
    note = "It is a dry day"
    dry = [model(f"{name}.onnx", notes=(note,)) for name in "abcd"]
    shown = text(*dry, model("e.onnx", notes=("It rains here.",)))
    assert shown.count(note) == 1
    assert f"note: {note} (a.onnx, b.onnx, c.onnx and 1 more)" in shown
    assert shown.index("e.onnx") < shown.index("It rains here") < shown.index(note)


def test_information_in_a_line_says_where_it_is_unless_its_message_does():
    here = finding("PL001", ("pool_1",), name="stride-misfit", message="Windows miss a row.", severity=Severity.INFO)
    assert "info[PL001] stride-misfit at pool_1: Windows miss a row." in text(model(findings=(here,)))
    named = finding("PL001", ("pool_1",), message="pool_1 misses a row.", severity=Severity.INFO)
    assert " at " not in text(model(findings=(named,)))
    word = finding("PL001", ("row",), message="It misses a row.", severity=Severity.INFO)
    assert " at row:" in text(model(findings=(word,)))


def test_a_place_that_its_message_names_is_not_named_beside_it():
    places = ("bn_1", "conv_1"), ("bn_2", "conv_2")
    folded = finding(places=places, message="Folded into conv_1, this would save a little.")
    shown = text(model(findings=(folded,)), verbose=True)
    assert "   = at bn_1: Folded into conv_1, this" in shown
    assert "   = at bn_2, conv_2: Folded into conv_1, this" in shown
    named = finding(places=places[:1] * 2, message="bn_1 goes into conv_1.")
    assert "   = place: bn_1 goes into conv_1." in text(model(findings=(named,)), verbose=True)


def test_what_a_message_says_is_saved_is_not_said_twice():
    saving = Savings(parameters=53_120)
    assert "saves" not in text(model(findings=(finding(message="It frees 53,120 parameters.", savings=saving),)))
    assert "= saves: 53,120" in text(model(findings=(finding(message="It frees 153,120 parameters.", savings=saving),)))


def test_a_broken_budget_is_told_once_to_who_asks_for_quiet():
    over = finding("BG001", (), message="The network is over its budget.", severity=Severity.ERROR)
    shown = text(model(findings=(over,), budgets=BUDGETS), quiet=True)
    assert "BG001" in shown
    assert "OVER" not in shown


def test_a_model_without_findings_says_so():
    assert "clean.onnx (onnx)  no findings" in text(model("clean.onnx"))


@dataclass
class Counted:
    last: str
    models: tuple


@pytest.mark.parametrize(
    "case",
    [
        Counted("1 model: no findings", (model(),)),
        Counted("2 models: 1 error, 2 warnings", (
            model(findings=(finding(severity=Severity.ERROR), finding())), model(findings=(finding(),)),
        )),
        Counted("1 model: 1 info (3 suppressed)", (model(findings=(finding(severity=Severity.INFO),), suppressed=3),)),
        Counted("1 model: no findings; 1 model could not be read", (model(), model("bad.onnx", error="empty"))),
        Counted("1 model: no findings; 1 of 1 budget kept", (model(budgets=BUDGETS[1:2]),)),
    ],
    ids=lambda case: case.last,
)  # fmt: skip
def test_the_last_line_counts(case):
    assert text(*case.models).splitlines()[-1] == case.last

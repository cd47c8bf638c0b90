"""What stands in a model is no command in a log, whatever the format, and no value changes by it."""

from __future__ import annotations

import json
import re
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cnnlint.cli.explain import _text as explained  # pyright: ignore[reportPrivateUsage]
from cnnlint.engine.registry import load_rules
from cnnlint.operations.compare import render as render_comparison
from cnnlint.operations.diff_report import DiffReport, LayerDiff
from cnnlint.operations.diff_report import render as render_diff
from cnnlint.operations.fix_report import AppliedFix, FixReport, LeftOut
from cnnlint.operations.fix_report import render as render_fix
from cnnlint.report import FORMATS, render
from cnnlint.report.json import encode
from cnnlint.report.summary_text import render as render_summary
from cnnlint.report.view import View
from cnnlint.results import (
    Confidence,
    Finding,
    LayerSummary,
    LintReport,
    ModelReport,
    ModelSummary,
    NearMiss,
    Severity,
    Site,
    SummaryReport,
)
from cnnlint.verification.differences import Change
from cnnlint.verification.records import ComparisonReport, Origin, ValueRow

COMMANDS = (
    "::error::x", "::set-env name=A::b", "##[group]x", "##[add-mask]x", "##vso[task.setvariable variable=a]b",
    "##VSO[task.complete]", "section_start:1:x\r\x1b[0K", "section_end:1:x\r\x1b[0K",
)  # fmt: skip
SIGNS = (
    "\r", "\n", "\t", "\v", "\f", "\x1c", "\x1b[31m", "\x7f", "\x85", "\xa0", "\xad", "\u034f", "\u061c", "\u115f",
    "\u180e", "\u200b", "\u200d", "\u200e", "\u2028", "\u2029", "\u202e", "\u2060", "\u2066", "\u3000", "\u3164",
    "\ufe0f",
    "\ufeff", "\ufff9", "\U000e0041", " ", ":", "#", "|", "`", "<b>", "&", "]]>", "[red]", "\\", "a", "漢",
)  # fmt: skip
NAMES = st.lists(st.sampled_from((*COMMANDS, *SIGNS)) | st.characters(exclude_categories=("Cs",)), max_size=8).map(
    "".join
)

UNSEEN = {"Cf", "Cc", "Zl", "Zp"}


def commands_in(text: str, *, own: bool = False) -> list[str]:
    """Return the lines that a service takes for a command, split as .NET's reader and Python do, both."""
    lines = re.split("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", text)
    # what the runners do: TrimStart and StartsWith, IndexOf
    plain = [re.sub("\x1b\\[[0-9;]*m", "", line).lstrip() for line in lines]
    found = [line for line in plain if "##[" in line or "##vso[" in line.lower()]
    if not own:
        found += [line for line in plain if line.startswith(("::", "section_start:", "section_end:"))]
    return found


def unseen_in(text: str) -> set[str]:
    return {sign for sign in text if unicodedata.category(sign) in UNSEEN and sign not in "\n\x1b"}


def lint_of(name: str) -> LintReport:
    finding = Finding(
        code="FC001",
        name="flatten-dense-dominates",
        severity=Severity.WARNING,
        confidence=Confidence.EXACT,
        layers=(name,),
        message=f"A dense layer after {name} holds {name} of it.",
        evidence={},
        suggestion=f"Do it:\n{name}\n  {name}",
    )
    site = Site(position=0, kind="Dense", op=name, label=name, output_shape=(3,), parameters=1)
    read = ModelReport(
        path=name,
        format="onnx",
        findings=(finding,),
        notes=(name, f"said of {name}"),
        sites={name: site},
        near_misses={"FC001": (NearMiss((name,), name),)},
        incomplete=(name,),
    )
    return LintReport(models=(read, ModelReport(path=name, format=None, error=f"{name}: {name}")))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("color", [False, True])
@given(name=NAMES)
def test_no_format_of_a_lint_holds_a_command_or_a_sign_that_is_not_seen(form: str, color: bool, name: str) -> None:
    text = render(lint_of(name), form, View(color=color, width=44))
    assert commands_in(text, own=form == "github") == []
    assert unseen_in(text) == set()
    if form == "github":
        lines = [line for line in text.split("\n") if line.startswith("::")]
        assert len(lines) == 3  # the finding, what is incomplete and the error


@given(name=NAMES)
def test_structured_formats_keep_every_value(name: str) -> None:
    name = f"n{name}n"
    report = lint_of(name)
    (read, unread) = json.loads(render(report, "json", View()))["models"]
    assert read["findings"][0]["layers"] == [name]
    assert unread["path"] == name
    first, *_ = render(report, "jsonl", View()).split("\n")
    assert json.loads(first)["suggestion"] == f"Do it:\n{name}\n  {name}"
    sarif = json.loads(render(report, "sarif", View()))
    location = sarif["runs"][0]["results"][0]["locations"][0]
    assert location["logicalLocations"][0]["fullyQualifiedName"] == name
    issues = json.loads(render(report, "gitlab", View()))
    assert name in issues[0]["description"]
    assert json.loads(encode({"terminal": name}, View(terminal=True))) == {"terminal": name}
    junit = ElementTree.fromstring(render(report, "junit", View()))
    held = re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", f"A dense layer after {name}")
    shown = [case.text or "" for case in junit.iter("system-out")]
    assert any(held in text for text in shown)


@given(name=NAMES, other=NAMES, color=st.booleans())
def test_no_other_report_holds_a_command_or_a_sign_that_is_not_seen(name: str, other: str, color: bool) -> None:
    view = View(color=color, width=44)
    layer = LayerSummary(
        name=name, kind=other, output_shape=(3, 4), parameters=3, macs=4, receptive_field=(1, 1), formula="3 = 3",
        formula_words=other, shared_with=other,
    )  # fmt: skip
    summary = SummaryReport(models=(ModelSummary(path=name, format="onnx", pattern=other, layers=(layer,)),))
    row = ValueRow(
        before=name, after=other, kind="Conv", shape=(1, 2), max_abs_error=0.1, max_rel_error=0.1, verdict="differs",
        note=other,
    )  # fmt: skip
    origin = Origin(before=name, after=other, max_rel_error=0.1, causes=(other,))
    comparison = ComparisonReport(
        cnnlint="", before=name, after=other, equal=False, tolerance=0.1, conditions=(name,), interface=(other,),
        outputs=(row,), layers=(row,), origins=(origin,),
    )  # fmt: skip
    changed = LayerDiff(
        status="changed", before=name, after=other, kind="Conv", label=name, parameters=1, macs=1,
        changes=(Change("x", name, other),),
    )  # fmt: skip
    findings = lint_of(name).models[0].findings
    difference = DiffReport(
        cnnlint="", before=name, after=other, measures=(), layers=(changed,), unchanged=0, fixed=findings,
        new=findings, kept=(), growth=(),
    )  # fmt: skip
    fix = FixReport(
        cnnlint="",
        path=name,
        applied=(AppliedFix(code="FC001", name="x", layers=(name, other)),),
        obstacles=(LeftOut(code="FC001", name="x", layers=(other,), cause=name),),
    )
    texts = [
        render_summary(summary, view, explain=True),
        render_comparison(comparison, view, every=True),
        render_diff(difference, view, every=True),
        render_fix(replace(fix, diff=difference), view, difference=True),
        explained([load_rules().require("FC001")], lint_of(name), view),
    ]
    for text in texts:
        assert commands_in(text) == []
        assert unseen_in(text) == set()

"""JUnit XML: a suite for each model, a case for each finding and each budget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cnnlint.engine.telling import relative
from cnnlint.report.lines import line_of, merged_on_lines
from cnnlint.report.parts import amount, budget_label, sentence
from cnnlint.report.printable import in_markup, visible, without_commands
from cnnlint.report.view import View
from cnnlint.results import BudgetResult, LintReport, ModelReport

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

BUDGETS = "BG001"
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped; layer names may."""


def render(report: LintReport, view: View) -> str:
    """Return the document; what is below a model's `fail_on` stands in cases that pass."""
    from xml.etree.ElementTree import Element, indent, tostring

    root = Element("testsuites", name="cnnlint")
    for model in report.models:
        cases = list(_cases(model))
        suite = Element("testsuite", name=_clean(relative(model.path)))
        suite.extend(cases)
        for name, tag in (("failures", "failure"), ("errors", "error")):
            suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
        suite.set("tests", str(len(cases)))
        root.append(suite)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    indent(root)
    body = without_commands(visible(tostring(root, encoding="unicode"), in_markup), in_markup)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _cases(model: ModelReport) -> Iterator[Element]:
    if model.error is not None:
        yield _case(model, "readable", "error", "the model could not be read", model.error)
        return
    yield _case(model, "readable")
    for shortcoming in model.incomplete:
        yield _case(model, "complete", "error", "the model was not linted in full", shortcoming)
    gates = any(finding.code == BUDGETS and model.is_failing(finding) for finding in model.findings)
    for budget in model.budgets:
        verdict = "" if budget.passed else "failure" if gates else "system-out"
        yield _case(model, f"budget: {budget_label(budget, model.per)}", verdict, _budget(budget), "")
    for finding in merged_on_lines(model.findings):
        if finding.code == BUDGETS and model.budgets:
            continue
        name = f"{finding.code} {finding.name}" + (f": {finding.layers[0]}" if finding.layers else "")
        kind = "failure" if model.is_failing(finding) else "system-out"
        frame = line_of(finding)
        where = f"{frame.where}: " if frame is not None else ""
        yield _case(model, name, kind, f"{where}{sentence(finding)}", finding.suggestion)


def _case(model: ModelReport, name: str, kind: str = "", message: str = "", text: str = "") -> Element:
    from xml.etree.ElementTree import Element, SubElement

    case = Element("testcase", classname=_clean(relative(model.path)), name=_clean(name))
    if kind == "system-out":
        SubElement(case, kind).text = _clean(f"{message}\n{text}".strip())
    elif kind:
        SubElement(case, kind, message=_clean(message)).text = _clean(text)
    return case


def _budget(budget: BudgetResult) -> str:
    return f"{amount(budget, budget.measured)} of {amount(budget, budget.limit)}"


def _clean(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)

"""The report as Markdown, for a step summary or a pull request: budgets first, then what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint.engine.telling import relative
from cnnlint.graph.quantity import count
from cnnlint.report.lines import line_of, merged_on_lines
from cnnlint.report.parts import (
    amount,
    budget_label,
    facts,
    failing,
    saves,
    summary_line,
    with_notes_once,
)
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import View
from cnnlint.results import BudgetResult, Finding, LintReport, ModelReport, Severity

SIGNS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.INFO: "ℹ️"}
MOST = 100
"""Findings of a model that are listed; a step summary holds 1 MiB."""


def render(report: LintReport, view: View) -> str:
    """Return the count, the budgets of all models, and a section for each model."""
    report, notes = with_notes_once(printable_report(report))
    lines = ["## cnnlint", "", summary_line(report, view.plain()), ""]
    budgets = [(model, budget) for model in report.models for budget in model.budgets]
    if budgets:
        lines += ["### Budgets", "", "| | Model | Budget | Measured | Limit | Margin |", "|---|---|---|--:|--:|--:|"]
        broken_first = sorted(budgets, key=lambda entry: entry[1].passed)
        lines += [_budget(model, budget) for model, budget in broken_first]
        lines.append("")
    fails = failing(report) if len(report.models) > 1 else ()
    if fails:
        lines += ["### What fails the run", "", "| | Model | Rule | Layer | Finding |", "|---|---|---|---|---|"]
        lines += [finding_row(finding, model) for model, finding in fails[:MOST]]
        lines += ["", f"… and {count(len(fails) - MOST)} more.", ""] if len(fails) > MOST else [""]
    clean_ones = [model for model in report.models if _is_clean(model)] if len(report.models) > 1 else []
    for model in report.models:
        if model not in clean_ones:
            lines += _model(model, told=bool(fails))
    if clean_ones:
        lines += ["### Without findings", "", *map(_in_a_line, clean_ones), ""]
    for note in notes:
        lines += [f"> {cell(note)}", ""]
    return without_commands("\n".join(lines).rstrip() + "\n")


def _budget(model: ModelReport, budget: BudgetResult) -> str:
    sign = "✅" if budget.passed else SIGNS[Severity.ERROR]
    measured, limit = cell(amount(budget, budget.measured)), amount(budget, budget.limit)
    margin = "" if budget.margin is None else amount(budget, budget.margin)
    name = budget_label(budget, model.per) + (f": {budget.message}" if budget.message else "")
    return f"| {sign} | {code(relative(model.path))} | {cell(name)} | {measured} | {limit} | {margin} |"


def _is_clean(model: ModelReport) -> bool:
    return model.error is None and not (model.findings or model.incomplete or model.notes)


def _in_a_line(model: ModelReport) -> str:
    hidden = f" ({count(model.hidden)} below --min-severity)" if model.hidden else ""
    return f"- {code(relative(model.path))}{hidden}: {', '.join(facts(model))}"


def _model(model: ModelReport, *, told: bool) -> Iterator[str]:
    """Yield a model's section; without the findings that fail the run if these are `told` already."""
    yield from (f"### {code(relative(model.path))}", "")
    if model.error is not None:
        yield from (f"{SIGNS[Severity.ERROR]} {cell(model.error)}", "")
        return
    yield ", ".join(facts(model))
    yield ""
    for sentence in model.incomplete:
        yield from (f"{SIGNS[Severity.ERROR]} {cell(sentence)}", "")
    findings = [finding for finding in merged_on_lines(model.findings) if not (told and model.is_failing(finding))]
    if findings:
        yield from ("| | Rule | Layer | Finding |", "|---|---|---|---|")
        yield from (finding_row(finding) for finding in findings[:MOST])
        yield ""
        if len(findings) > MOST:
            yield from (f"… and {count(len(findings) - MOST)} more.", "")
    for note in model.notes:
        yield from (f"> {cell(note)}", "")


def finding_row(finding: Finding, model: ModelReport | None = None) -> str:
    """Return a row of a table, with the model's name if the table is of several models."""
    frame = line_of(finding)
    layer = code(finding.layers[0]) if finding.layers else ""
    more = len(finding.places) - 1
    layer += f" and {count(more)} more" if layer and more > 0 else ""
    layer = f"{code(frame.where)}<br>{layer}".removesuffix("<br>") if frame is not None else layer
    text = cell(finding.message)
    if finding.suggestion:
        sentence, *lines = finding.suggestion.splitlines()
        text += f"<br>**Help:** {cell(sentence)}"
        text += snippet(lines)
    if savings := saves(finding):
        text += f"<br>**Saves:** {savings}"
    if finding.verification is not None and finding.verification.equivalent:
        text += f"<br>**Verified:** largest relative error {finding.verification.max_rel_error:.2g}"
    mark = " [\\*]" if finding.fixable else ""
    of = f" {code(relative(model.path))} |" if model is not None else ""
    return f"| {SIGNS[finding.severity]} |{of} {finding.code} {finding.name}{mark} | {layer} | {text} |"


def code(text: str) -> str:
    """Return `text` as code; the backticks are more than any in it, and a table's bars are escaped."""
    text = " ".join(text.split()).replace("|", "\\|")
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def snippet(lines: Sequence[str]) -> str:
    """Return lines of code for a table's cell, which holds no fence: as they are to be pasted, indented as they are."""
    return f"<pre>{'<br>'.join(map(escaped, lines))}</pre>" if lines else ""


def cell(text: str) -> str:
    """Return `text` as that of a table's cell, on one line, without markup."""
    return escaped(" ".join(text.split()))


def escaped(text: str) -> str:
    """Return `text` without markup, each blank where it is."""
    for sign in "\\|<>*_`[]":
        text = text.replace(sign, {"<": "&lt;", ">": "&gt;"}.get(sign, f"\\{sign}"))
    return text.replace("@", "@<!-- -->")  # a name in a model is no mention of somebody

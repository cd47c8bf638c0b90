"""The report as one HTML file that needs nothing else: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from cnnlint.engine.telling import relative
from cnnlint.graph.quantity import count
from cnnlint.report.parts import (
    amount,
    budget_label,
    clean,
    excerpt,
    facts,
    failing,
    saved,
    sentence,
    summary_line,
)
from cnnlint.report.printable import in_markup, printable_report, without_commands
from cnnlint.report.view import View
from cnnlint.results import BudgetResult, Finding, LintReport, ModelReport, Per

STYLE = """
:root { color-scheme: light dark; --error: #c62828; --warning: #a15c00; --info: #00708a; --good: #2e7d32;
  --line: color-mix(in srgb, currentColor 20%, transparent); }
@media (prefers-color-scheme: dark) {
  :root { --error: #ff8a80; --warning: #ffca6a; --info: #6fd3ee; --good: #8fd694; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem } h2 { font-size: 1.1rem; margin: 2rem 0 .2rem; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: .8rem 0 } th, td { padding: .2rem .8rem .2rem 0; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums } th { border-bottom: 1px solid var(--line) }
details { border-top: 1px solid var(--line); padding: .4rem 0 } summary { cursor: pointer; overflow-wrap: anywhere }
pre { overflow-x: auto; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 4px; font-size: 13px }
.label { font: 600 12px ui-monospace, monospace } .error { color: var(--error) } .warning { color: var(--warning) }
.info { color: var(--info) } .good { color: var(--good) } .facts { opacity: .75 }
"""


def render(report: LintReport, view: View) -> str:
    """Return the page: the count, then each model with its budgets and its findings, the grave ones opened."""
    report = printable_report(report)
    body = [line for model in report.models for line in _model(model)]
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>cnnlint</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>cnnlint {escape(report.cnnlint)}</h1>",
        f"<p>{escape(summary_line(report, View()))}</p>",
        *_failing(report),
        *body,
        "</body></html>",
    ]
    return without_commands("\n".join(lines) + "\n", in_markup)


def _failing(report: LintReport) -> Iterator[str]:
    """Yield a list of what fails the run, if there are several models to look for it in."""
    fails = failing(report) if len(report.models) > 1 else ()
    if not fails:
        return
    yield "<section><h2>What fails the run</h2><ul>"
    for model, finding in fails:
        yield f'<li><span class="label {finding.severity}">{escape(finding.code)}</span>'
        yield f"{escape(relative(model.path))}: {escape(sentence(finding))}</li>"
    yield "</ul></section>"


def _model(model: ModelReport) -> Iterator[str]:
    yield f"<section><h2>{escape(relative(model.path))}</h2>"
    if model.error is not None:
        yield f'<p class="error">{escape(model.error)}</p></section>'
        return
    yield f'<p class="facts">{" · ".join(facts(model))}</p>'
    yield from (f'<p class="error">{escape(sentence)}</p>' for sentence in model.incomplete)
    if model.budgets:
        yield "<table><tr><th></th><th>Budget</th><th>Measured</th><th>Limit</th><th>Margin</th></tr>"
        yield from (_budget(budget, model.per) for budget in model.budgets)
        yield "</table>"
    for finding in model.findings:
        yield from _finding(finding, model)
    if not model.findings:
        yield f'<p class="good">{clean(model.hidden)}</p>'
    yield from (f"<p>{escape(note)}</p>" for note in model.notes)
    yield "</section>"


def _budget(budget: BudgetResult, per: Per) -> str:
    verdict = '<span class="good">kept</span>' if budget.passed else '<strong class="error">over</strong>'
    margin = "" if budget.margin is None else amount(budget, budget.margin)
    name = budget_label(budget, per) + (f" ({budget.message})" if budget.message else "")
    numbers = "".join(
        f'<td class="number">{escape(text)}</td>'
        for text in (amount(budget, budget.measured), amount(budget, budget.limit), margin)
    )
    return f"<tr><td>{verdict}</td><td>{escape(name)}</td>{numbers}</tr>"


def _finding(finding: Finding, model: ModelReport) -> Iterator[str]:
    opened = " open" if model.is_failing(finding) else ""
    where = f" <code>{escape(finding.layers[0])}</code>" if finding.layers else ""
    where += f" and {count(len(finding.places) - 1)} more" if len(finding.places) > 1 else ""
    mark = " [*]" if finding.fixable else ""
    yield f'<details{opened}><summary><span class="label {finding.severity}">{finding.severity} {escape(finding.code)}'
    yield f"{mark}</span>{where}{':' if where else ''} {escape(finding.message)}</summary>"
    first = finding.places[0].layers if finding.places else finding.layers
    if drawn := list(excerpt(first, model.sites, View())):
        yield f"<pre>{escape(chr(10).join(line.removeprefix('   | ') for line in drawn))}</pre>"
    if finding.suggestion:
        sentence, *code = finding.suggestion.splitlines()
        yield f"<p><strong>Help:</strong> {escape(sentence)}</p>"
        if code:
            yield f"<pre>{escape(chr(10).join(code))}</pre>"
    if len(finding.places) > 1:
        yield f"<details><summary>all {count(len(finding.places))} places</summary><ul>"
        yield from (
            f"<li><code>{escape(', '.join(at.layers))}</code> {escape(at.message)}</li>" for at in finding.places
        )
        yield "</ul></details>"
    if savings := saved(finding.savings):
        yield f"<p><strong>Saves:</strong> {escape(savings)}</p>"
    if finding.verification is not None and finding.verification.equivalent:
        yield f"<p>Verified with onnxruntime: {finding.verification.words}.</p>"
    yield f"<p><code>cnnlint explain {escape(finding.code)}</code></p></details>"

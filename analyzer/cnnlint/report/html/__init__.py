"""The report as one HTML file that makes no request: what can be read without a script, and what the script draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from msgspec.structs import replace

from cnnlint.engine.telling import relative
from cnnlint.graph.quantity import brief, count, size
from cnnlint.report.html.document import document, prose
from cnnlint.report.html.network import network
from cnnlint.report.html.rules import rule_pages
from cnnlint.report.lines import callers, line_of, merged_on_lines, source_lines
from cnnlint.report.parts import (
    amount,
    budget_label,
    clean,
    excerpt,
    failing,
    saves,
    sentence,
    summary_line,
    unsaid_layer,
    with_notes_once,
)
from cnnlint.report.printable import printable_report
from cnnlint.report.view import View
from cnnlint.results import (
    BudgetResult,
    Finding,
    LintReport,
    ModelReport,
    ModelSummary,
    Per,
    Severity,
    SummaryReport,
)

VERDICTS = {0: ("good", "Passed"), 1: ("error", "Failed"), 2: ("error", "Not done")}
"""How the exit code of a run is said."""


def render(report: LintReport, view: View) -> str:
    """Return the page: verdict and budgets, the table of models, then each model with its network and findings."""
    paths = [model.path for model in report.models]
    report, notes = with_notes_once(printable_report(report))
    said = prose(summary_line(report, view.plain()))
    color, verdict = VERDICTS[report.exit_code if view.exit_code is None else view.exit_code]
    body = [
        f'<header class="verdict {color}"><h1>{verdict}</h1><p>{said}</p></header>',
        *budget_table(report),
        *_failing(report),
        *_table(report.models),
        *_notes(notes, 2),
    ]
    for index, (path, model) in enumerate(zip(paths, report.models, strict=True)):
        body += _model(index, path, model, view, alone=len(paths) == 1, linted=True)
    codes = sorted({finding.code for model in report.models for finding in model.findings})
    body += rule_pages(codes)
    return document(_title("cnnlint", report.models), body, report.cnnlint)


def render_summary(report: SummaryReport, view: View) -> str:
    """Return the page of summaries: the table of models, then each model with its network, and no findings."""
    paths = [model.path for model in report.models]
    report = printable_report(report)
    models = [unlinted(model) for model in report.models]
    body = [f'<header class="verdict"><h1>{escape(_title("Summary", models))}</h1></header>', *_table(models)]
    for index, (path, model, summary) in enumerate(zip(paths, models, report.models, strict=True)):
        said = [summary.pattern or "", summary.head or ""]
        timed = list[str]()
        if summary.latency is not None:
            from cnnlint.report.html.latency import latency_section

            timed += latency_section(summary.latency)
        body += _model(index, path, model, view, alone=len(paths) == 1, linted=False, said=said, timed=timed)
    return document(_title("cnnlint summary", models), body, report.cnnlint)


def unlinted(model: ModelSummary) -> ModelReport:
    """Return a summary as a report without findings."""
    return ModelReport(
        path=model.path,
        format=model.format,
        parameters=model.parameters,
        macs=model.macs,
        weight_bytes=model.weight_bytes,
        peak_activation_bytes=model.peak_activation_bytes,
        error=model.error,
        notes=model.notes,
        per=model.per,
    )


def _title(what: str, models: Sequence[ModelReport]) -> str:
    of = relative(models[0].path) if len(models) == 1 else f"{count(len(models))} models"
    return f"{what}: {of}"


def budget_table(report: LintReport) -> Iterator[str]:
    """Yield the table of all budgets, broken ones first."""
    budgets = [(model, budget) for model in report.models for budget in model.budgets]
    if not budgets:
        return
    of = "<th>Model</th>" if len(report.models) > 1 else ""
    yield '<section aria-labelledby="budgets"><h2 id="budgets">Budgets</h2><div class="wide"><table class="budgets">'
    yield f'<thead><tr><th>Verdict</th>{of}<th>Budget</th><th class="number">Measured</th>'
    yield '<th class="number">Limit</th><th class="number">Margin</th></tr></thead><tbody>'
    for model, budget in sorted(budgets, key=lambda entry: entry[1].passed):
        yield _budget(budget, model.per, escape(relative(model.path)) if of else "")
    yield "</tbody></table></div></section>"


def _budget(budget: BudgetResult, per: Per, of: str) -> str:
    verdict = '<span class="good">✓ kept</span>' if budget.passed else '<strong class="error">✗ over</strong>'
    margin = "" if budget.margin is None else amount(budget, budget.margin)
    name = budget_label(budget, per) + (f" ({budget.message})" if budget.message else "")
    numbers = "".join(
        f'<td class="number">{escape(text)}</td>'
        for text in (amount(budget, budget.measured), amount(budget, budget.limit), margin)
    )
    cell = f"<td>{of}</td>" if of else ""
    return f"<tr><td>{verdict}</td>{cell}<td>{escape(name)}</td>{numbers}</tr>"


def _failing(report: LintReport) -> Iterator[str]:
    """Yield a list of what fails the run, if there are several models to look for it in."""
    fails = failing(report) if len(report.models) > 1 else ()
    if not fails:
        return
    yield "<section><h2>What fails the run</h2><ul>"
    for model, finding in fails:
        yield f"<li>{_badge(finding)} {escape(relative(model.path))}: {escape(sentence(finding))}</li>"
    yield "</ul></section>"


def _table(models: Sequence[ModelReport]) -> Iterator[str]:
    """Yield the table of all models if there are several; the script sorts and filters it."""
    if len(models) < 2:
        return
    heads = ("Errors", "Warnings", "Info", "Parameters", "MACs", "Weights", "Peak activations")
    yield '<section aria-labelledby="models"><h2 id="models">Models</h2>'
    yield '<div class="wide"><table class="models sortable"><thead><tr><th>Model</th><th>Format</th>'
    yield "".join(f'<th class="number">{head}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for index, model in enumerate(models):
        yield _row(index, model)
    yield "</tbody></table></div></section>"


def _row(index: int, model: ModelReport) -> str:
    name = f'<a href="#model-{index}">{escape(relative(model.path))}</a>'
    if model.error is not None:
        cell = f'<td colspan="8" class="error">{escape(model.error)}</td>'
        return f'<tr><td class="name">{name}</td>{cell}</tr>'
    found = [sum(finding.severity is severity for finding in model.findings) for severity in Severity]
    counts = dict(zip(Severity, found, strict=True))
    severities = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    cells = [(counts[each], count(counts[each]), each.value if counts[each] else "none") for each in severities]
    cells += [(model.parameters, count(model.parameters), ""), (model.macs, brief(model.macs), "")]
    sizes = (model.weight_bytes, model.peak_activation_bytes)
    cells += [(nbytes, size(nbytes), "") for nbytes in sizes]
    numbers = "".join(
        f'<td class="number {color}" data-value="{-1 if value is None else value}">{escape(text)}</td>'
        for value, text, color in cells
    )
    return f'<tr><td class="name">{name}</td><td>{model.format}</td>{numbers}</tr>'


def _model(
    index: int,
    path: str,
    model: ModelReport,
    view: View,
    *,
    alone: bool,
    linted: bool,
    said: Sequence[str] = (),
    timed: Sequence[str] = (),
) -> Iterator[str]:
    """Yield a model's section; of several models only those that fail are opened."""
    name = escape(relative(model.path))
    model = replace(model, findings=tuple(merged_on_lines(model.findings)))
    opened = " open" if alone or model.error is not None or model.fails() else ""
    yield f'<details class="model" id="model-{index}"{opened}><summary><h2>{name}</h2></summary>'
    if model.error is not None:
        yield f'<p class="error">{escape(model.error)}</p></details>'
        return
    yield from _facts(model)
    yield from (f'<p class="error">{escape(text)}</p>' for text in model.incomplete)
    yield from (f'<p class="pattern">{escape(text)}</p>' for text in said if text)
    if linted:
        yield "<section><h3>Findings</h3>"
        for number, finding in enumerate(model.findings):
            yield from _finding(f"m{index}f{number}", finding, model)
        if not model.findings:
            yield f'<p class="good">{clean(model.hidden)}</p>'
        yield "</section>"
    yield from _notes(model.notes, 3)
    yield from timed
    if (drawing := view.drawings.get(path)) is not None:
        yield '<p class="scriptless">The network and its charts are drawn by the script in this file.</p>'
        yield f'<div class="network" data-model="{index}"></div>'
        yield network(drawing, model, index)
    yield "</details>"


def _notes(notes: Sequence[str], level: int) -> Iterator[str]:
    if notes:
        told = "".join(f"<li>{escape(note)}</li>" for note in notes)
        yield f'<section><h{level}>Notes</h{level}><ul class="notes">{told}</ul></section>'


def _facts(model: ModelReport) -> Iterator[str]:
    facts = (
        ("Parameters", count(model.parameters)),
        (f"MACs per {model.per}", brief(model.macs)),
        ("Weights", size(model.weight_bytes)),
        ("Peak activations", size(model.peak_activation_bytes)),
    )
    yield '<dl class="facts">'
    yield from (f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in facts)
    yield "</dl>"


def _finding(identifier: str, finding: Finding, model: ModelReport) -> Iterator[str]:
    link = f'<a href="#rule-{escape(finding.code)}">{escape(finding.name)}: why, and what else</a>'
    yield from finding_parts(finding, model, identifier=identifier, below=f'<p class="links">{link}</p>')


def finding_parts(finding: Finding, model: ModelReport, *, identifier: str = "", below: str = "") -> Iterator[str]:
    """Yield the lines of an element that opens to what a finding says, `below` at its end."""
    opened = f' id="{identifier}"' if identifier else ""
    opened += " open" if model.is_failing(finding) else ""
    first = finding.layers[0] if len(finding.places) > 1 and finding.layers else unsaid_layer(finding)
    where = f" <code>{escape(first)}</code>" if first else ""
    where += f" and {count(len(finding.places) - 1)} more" if len(finding.places) > 1 else ""
    yield f'<details class="finding"{opened}><summary>{_badge(finding)}'
    yield f"<span>{where}{':' if where else ''} {prose(finding.message)}</span></summary>"
    if (frame := line_of(finding)) is not None:
        lines = [f"{frame.where} in {frame.function}", *source_lines(finding, View()), *callers(finding)]
        yield f'<pre tabindex="0">{escape(chr(10).join(lines))}</pre>'
    place = finding.places[0].layers if finding.places else finding.layers
    if drawn := list(excerpt(place, model.sites, View())):
        yield f'<pre tabindex="0">{escape(chr(10).join(line.removeprefix("   | ") for line in drawn))}</pre>'
    if finding.suggestion:
        sentence, *code = finding.suggestion.splitlines()
        yield f"<p><strong>Help:</strong> {escape(sentence)}</p>"
        if code:
            yield f'<pre tabindex="0">{escape(chr(10).join(code))}</pre>'
    if len(finding.places) > 1:
        yield f"<details><summary>all {count(len(finding.places))} places</summary><ul>"
        yield from (
            f"<li><code>{escape(', '.join(at.layers))}</code> {escape(at.message)}</li>" for at in finding.places
        )
        yield "</ul></details>"
    if savings := saves(finding):
        yield f"<p><strong>Saves:</strong> {escape(savings)}</p>"
    if finding.verification is not None and finding.verification.equivalent:
        yield f"<p>Verified with onnxruntime: {finding.verification.words}.</p>"
    yield f"{below}</details>"


def _badge(finding: Finding) -> str:
    mark = " [*]" if finding.fixable else ""
    return f'<span class="badge {finding.severity}">{finding.severity} {escape(finding.code)}{mark}</span>'

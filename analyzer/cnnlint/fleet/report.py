"""The page about a fleet: each section is a question to the tables, answered by DuckDB and shown as lint reports are.

All questions are of sums, or of the worst few: the page does not grow with the fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

from cnnlint.errors import __version__
from cnnlint.fleet.query import Questions
from cnnlint.graph.quantity import brief, count, size
from cnnlint.report.html.document import document
from cnnlint.report.html.rules import rule_pages
from cnnlint.report.printable import printable
from cnnlint.report.view import several

MOST = 20
"""Rows of a table, and models that are named of a group or a rule."""

NAMED = 5

TOTALS = """
SELECT count(*), count_if(linted_in = run AND status = 'linted'), count_if(status = 'failed'), sum(parameters),
    sum(file_bytes), sum(macs), sum(errors)::BIGINT, sum(warnings)::BIGINT, sum(infos)::BIGINT,
    count_if(errors > 0), count_if(broken_budgets > 0)
FROM latest_models
"""

BUDGETS = """
SELECT model, severity, code, message FROM latest_findings WHERE code LIKE 'BG%' ORDER BY severity, model LIMIT {most}
"""

FINDINGS = """
SELECT code, any_value(name), max_by(severity, rank) AS severity, count(DISTINCT model), sum(greatest(places, 1)),
    sum(coalesce(saved_parameters, 0)), array_slice(array_agg(model ORDER BY places DESC, model), 1, {named})
FROM (SELECT *, CASE severity WHEN 'error' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END AS rank FROM latest_findings)
GROUP BY code ORDER BY max(rank) DESC, 4 DESC, code
"""

SPREAD = """
SELECT floor(log10({column}))::INTEGER AS power, count(*), min({column}), max({column}) FROM latest_models
WHERE {column} > 0 GROUP BY power ORDER BY power
"""

EXACT = """
SELECT count(*), any_value(file_bytes), array_slice(array_agg(model ORDER BY model), 1, {named}),
    bool_or(sha256 IS NULL AND content LIKE 'places:%')
FROM latest_models WHERE content IS NOT NULL GROUP BY coalesce(sha256, content) HAVING count(*) > 1
ORDER BY (count(*) - 1) * coalesce(any_value(file_bytes), 0) DESC, min(model) LIMIT {most}
"""

NEAR = """
SELECT count(*), count(DISTINCT coalesce(sha256, content)), any_value(layer_count), max(parameters),
    array_slice(array_agg(model ORDER BY model), 1, {named})
FROM latest_models WHERE structure IS NOT NULL GROUP BY structure HAVING count(DISTINCT coalesce(sha256, content)) > 1
ORDER BY 2 DESC, min(model) LIMIT {most}
"""

PRODUCERS = """
SELECT coalesce(nullif(producer, ''), 'unknown'), format, count(*) FROM latest_models WHERE format IS NOT NULL
GROUP BY ALL ORDER BY 3 DESC, 1 LIMIT {most}
"""

OPSETS = "SELECT opset, count(*) FROM latest_models WHERE opset IS NOT NULL GROUP BY opset ORDER BY opset"

ERRORS = """
SELECT kind, cause, count(*), array_slice(array_agg(model ORDER BY model), 1, {named})
FROM latest_errors GROUP BY kind, cause ORDER BY 3 DESC, cause LIMIT {most}
"""

GROWTH = """
SELECT run, count(*), count_if(linted_in = run AND status = 'linted'), sum(parameters), sum(file_bytes),
    sum(errors)::BIGINT, sum(warnings)::BIGINT, count_if(status = 'failed')
FROM models GROUP BY run ORDER BY run DESC LIMIT {most}
"""

CHANGES = """
SELECT count_if(old.model IS NULL), count_if(new.model IS NULL), count_if(old.stamp <> new.stamp)
FROM (SELECT model, stamp FROM latest_models) new
FULL JOIN (SELECT model, stamp FROM models WHERE run = '{previous}') old ON old.model = new.model
"""

Cell = tuple[str, str]
"""How a cell is classed, and the HTML in it."""


def render(questions: Questions) -> str:
    """Return the page about a run of a fleet."""
    totals = questions.ask(TOTALS)[1][0]
    number, linted, failed, _, _, _, errors, warnings, infos, broken, over = totals
    color = "error" if errors or failed else "good"
    said = (
        f"{several(number, 'model')}, {count(linted)} linted in this run; {several(errors or 0, 'error')} in"
        f" {several(broken, 'model')}, {several(warnings or 0, 'warning')}, {count(infos or 0)} info;"
        f" {several(over, 'model')} over budget, {count(failed)} could not be linted"
    )
    body = [f'<header class="verdict {color}"><h1>Fleet, run {escape(questions.run.run)}</h1><p>{said}</p></header>']
    body += _facts(questions, totals)
    body += _table(questions, "Budgets", BUDGETS, ("Model", "Budget"), _breach, noun="budget")
    heads = ("Kind", "Cause", "#Models", "Such as")
    body += _table(questions, "Could not be linted", ERRORS, heads, _error, noun="cause")
    heads = ("Rule", "#Models", "#Places", "#Parameters saved", "Worst models")
    body += _table(questions, "Findings by rule", FINDINGS, heads, _finding, noun="rule")
    for title, column in (("Parameters", "parameters"), ("MACs", "macs")):
        body += _spread(questions, title, column)
    heads = ("#Models", "#Bytes each", "Models")
    body += _table(questions, "Exact duplicates", EXACT, heads, _copies, noun="group")
    heads = ("#Models", "#Different weights", "#Layers", "#Parameters", "Models")
    body += _table(questions, "Near duplicates: the same layers and shapes", NEAR, heads, _alike, noun="group")
    body += _table(questions, "Producers", PRODUCERS, ("Producer", "Format", "#Models"), _plain, noun="producer")
    body += _table(questions, "Opsets", OPSETS, ("#Opset", "#Models"), _plain, noun="opset")
    heads = ("Run", "#Models", "#Linted", "#Parameters", "#Bytes", "#Errors", "#Warnings", "#Failed")
    body += _table(questions, "Runs", GROWTH, heads, _run, noun="run")
    codes = [row[0] for row in questions.ask("SELECT DISTINCT code FROM latest_findings ORDER BY code")[1]]
    body += rule_pages(codes)
    return document(f"cnnlint fleet: {count(number)} models", body, __version__)


def _facts(questions: Questions, totals: Sequence[Any]) -> Iterator[str]:
    facts = [
        ("Models", count(totals[0])),
        ("Parameters", brief(totals[3])),
        ("Bytes", size(totals[4])),
        ("MACs, one sample each", brief(totals[5])),
    ]
    if questions.run.previous:
        new, gone, changed = questions.ask(CHANGES.format(previous=questions.run.previous))[1][0]
        facts += [("New since the last run", count(new)), ("Gone", count(gone)), ("Changed", count(changed))]
    yield '<dl class="facts">'
    yield from (f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in facts)
    yield "</dl>"


def _table(
    questions: Questions,
    title: str,
    sql: str,
    heads: Sequence[str],
    cells: Callable[[Sequence[Any]], Sequence[Cell]],
    *,
    noun: str,
) -> Iterator[str]:
    """Yield a section with the answer to a question, if there is one.

    Args:
        questions: Are asked.
        title: Of the section.
        sql: The question, which has places for the most rows and the most names.
        heads: Of the columns; one with # is of a column of numbers.
        cells: Returns the cells of a row.
        noun: What a row is about.
    """
    rows = questions.ask(sql.format(most=MOST, named=NAMED))[1]
    if not rows:
        return
    total = len(rows)
    if total == MOST:
        ((total,),) = questions.ask(f"SELECT count(*) FROM ({sql.format(most=1 << 40, named=NAMED)})")[1]  # noqa: S608
    kinds = ['<th class="number">' if head.startswith("#") else "<th>" for head in heads]
    yield f"<section><h2>{title}</h2>"
    if total > len(rows):
        yield f"<p>The first {len(rows)} of {several(total, noun)}.</p>"
    yield f'<div class="wide"><table class="sortable" data-noun="{noun}"><thead><tr>'
    yield "".join(f"{kind}{head.removeprefix('#')}</th>" for kind, head in zip(kinds, heads, strict=True))
    yield "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td {kind}>{text}</td>" for kind, text in cells(row)) + "</tr>"
    yield "</tbody></table></div></section>"


def _text(value: object) -> Cell:
    return "", escape(printable(str(value)))


def _name(value: str) -> Cell:
    return 'class="name"', escape(printable(value))


def _number(value: float | None, shown: Callable[[float | None], str] = count) -> Cell:
    return f'class="number" data-value="{-1 if value is None else value}"', escape(shown(value))


def _names(models: Sequence[str], total: int) -> Cell:
    more = f" and {count(total - len(models))} more" if total > len(models) else ""
    return 'class="name"', "<br>".join(escape(printable(model)) for model in models) + more


def _breach(row: Sequence[Any]) -> Sequence[Cell]:
    model, severity, code, message = row
    return _name(model), ("", f"{_badge(severity, code)} {escape(printable(message))}")


def _badge(severity: str, code: str) -> str:
    return f'<a class="badge {escape(severity)}" href="#rule-{escape(code)}">{escape(severity)} {escape(code)}</a>'


def _error(row: Sequence[Any]) -> Sequence[Cell]:
    kind, cause, number, models = row
    return _text(kind), _text(cause), _number(number), _names(models, number)


def _finding(row: Sequence[Any]) -> Sequence[Cell]:
    code, name, severity, models, places, saved, worst = row
    rule = "", f"{_badge(severity, code)} {escape(name)}"
    return rule, _number(models), _number(int(places)), _number(int(saved), brief), _names(worst, models)


def _copies(row: Sequence[Any]) -> Sequence[Cell]:
    number, nbytes, models, is_guess = row
    kind, names = _names(models, number)
    doubt = " <em>(values were not compared: run with --hash)</em>" if is_guess else ""
    return _number(number), _number(nbytes, size), (kind, names + doubt)


def _alike(row: Sequence[Any]) -> Sequence[Cell]:
    number, different, layers, parameters, models = row
    return _number(number), _number(different), _number(layers), _number(parameters, brief), _names(models, number)


def _plain(row: Sequence[Any]) -> Sequence[Cell]:
    return [_number(value) if isinstance(value, int) else _text(value) for value in row]


def _run(row: Sequence[Any]) -> Sequence[Cell]:
    run, number, linted, parameters, nbytes, *found = row
    kept = [_number(each or 0) for each in found]
    return _text(run), _number(number), _number(linted), _number(parameters, brief), _number(nbytes, size), *kept


def _spread(questions: Questions, title: str, column: str) -> Iterator[str]:
    """Yield how many models have how many parameters or MACs, by powers of ten."""
    rows = questions.ask(SPREAD.format(column=column))[1]
    most = max((row[1] for row in rows), default=0)
    if not most:
        return
    yield f'<section><h2>{title}</h2><table class="kinds"><thead><tr><th>{title}</th>'
    yield '<th class="number">Least</th><th class="number">Most</th><th>Models</th></tr></thead><tbody>'
    for power, number, least, largest in rows:
        scale = f"{brief(10**power)} to {brief(10 ** (power + 1))}"
        bar = f'<td class="bar" style="--part: {number / most:.3f}">{count(number)}</td>'
        ends = "".join(f'<td class="number">{brief(end)}</td>' for end in (least, largest))
        yield f"<tr><td>{scale}</td>{ends}{bar}</tr>"
    yield "</tbody></table></section>"

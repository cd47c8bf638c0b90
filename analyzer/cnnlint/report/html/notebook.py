"""A report as the output of a notebook's cell: what is read at once, drawings included, and the whole page on request.

All but the page needs no script, and takes its colors from the text around it, so that it is legible in any theme. The
page is packed into a frame, which unpacks it when it is opened: it may run its scripts there and see nothing else.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator, Sequence
from html import escape

from msgspec.structs import replace

from cnnlint.engine.telling import relative
from cnnlint.graph.quantity import brief, count, size
from cnnlint.report import html
from cnnlint.report.html.document import asset, prose
from cnnlint.report.html.sketch import sketch
from cnnlint.report.layer_table import layer_table
from cnnlint.report.parts import clean, facts, summary_line
from cnnlint.report.printable import in_markup, printable_report, without_commands
from cnnlint.report.view import View, several
from cnnlint.results import LintReport, ModelReport, ModelSummary, Severity, SummaryReport

DRAWN = 8
"""Models up to which the networks are drawn: what is shown is kept in the notebook."""

WIDTH, ROWS = 110, 400
"""Columns of the table of layers, and rows up to which it stands in the output."""

UNPACKING = """<!doctype html><meta charset="utf-8"><script>
(async () => {
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const page = await new Response(stream).text();
  document.open(); document.write(page); document.close();
})();
</script>"""


def render(report: LintReport, view: View) -> str:
    """Return the element that a notebook shows of a lint report."""
    view = _drawing_few(report, view)
    page = html.render(report, view)
    paths = [model.path for model in report.models]
    report = printable_report(report)
    color, verdict = html.VERDICTS[report.exit_code if view.exit_code is None else view.exit_code]
    line = prose(summary_line(report, View()))
    parts = [f'<p><span class="badge {color}">{verdict}</span> {line}</p>', *html.budget_table(report)]
    parts += _table(report.models)
    for path, model in zip(paths, report.models, strict=True):
        parts += _opened(model, [*_model(model), *_drawn(path, model, view)], alone=len(paths) == 1)
    return _element(parts, page)


def render_summary(report: SummaryReport, view: View) -> str:
    """Return the element that a notebook shows of a summary: drawings, and the table of all layers."""
    view = _drawing_few(report, view)
    page = html.render_summary(report, view)
    paths = [model.path for model in report.models]
    report = printable_report(report)
    models = [html.unlinted(model) for model in report.models]
    parts = list(_table(models))
    for path, model, summary in zip(paths, models, report.models, strict=True):
        lines = [f"<p>{escape(text)}</p>" for text in (summary.head, *model.notes) if text]
        if summary.pattern:
            lines.insert(0, f"<p><code>{escape(summary.pattern)}</code></p>")
        lines += [*_drawn(path, model, view), *_layers(summary)]
        parts += _opened(model, lines, alone=len(paths) == 1)
    return _element(parts, page)


def _drawing_few(report: LintReport | SummaryReport, view: View) -> View:
    return view if len(report.models) <= DRAWN else replace(view, drawings={})


def _element(parts: Sequence[str], page: str) -> str:
    packed = base64.b64encode(gzip.compress(page.encode(), 9, mtime=0)).decode()
    inside = escape(UNPACKING % packed)
    frame = f'<iframe sandbox="allow-scripts" loading="lazy" title="The full report" srcdoc="{inside}"></iframe>'
    button = f'<details class="full"><summary>Full view</summary>{frame}</details>'
    shown = without_commands("\n".join(parts), in_markup)
    return f'<div class="cnnlint"><style>{asset("notebook.css")}</style>\n{shown}\n{button}</div>'


def _table(models: Sequence[ModelReport]) -> Iterator[str]:
    """Yield the table of all models if there are several."""
    if len(models) < 2:
        return
    heads = ("errors", "warnings", "info", "parameters", "MACs", "weights", "peak activations")
    yield "<table><thead><tr><th>model</th>" + "".join(f'<th class="number">{head}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for model in models:
        yield f"<tr><td>{escape(relative(model.path))}</td>"
        if model.error is not None:
            yield f'<td colspan="7">{escape(model.error)}</td></tr>'
            continue
        found = [finding.severity for finding in model.findings]
        cells = [count(found.count(each)) for each in (Severity.ERROR, Severity.WARNING, Severity.INFO)]
        cells += [count(model.parameters), brief(model.macs), size(model.weight_bytes)]
        cells.append(size(model.peak_activation_bytes))
        yield "".join(f'<td class="number">{cell}</td>' for cell in cells) + "</tr>"
    yield "</tbody></table>"


def _opened(model: ModelReport, lines: Sequence[str], *, alone: bool) -> Iterator[str]:
    """Yield a model's part; of several models only those that fail are opened."""
    opened = " open" if alone or model.error is not None or model.fails() else ""
    form = f" ({model.format})" if model.format else ""
    yield f'<details class="model"{opened}><summary><b>{escape(relative(model.path))}</b>{form}</summary>'
    if model.error is not None:
        yield f'<p><span class="badge error">error</span> {escape(model.error)}</p></details>'
        return
    yield f"<p>{' · '.join(map(escape, facts(model)))}</p>"
    yield from (f'<p><span class="badge error">error</span> {escape(text)}</p>' for text in model.incomplete)
    yield from lines
    yield "</details>"


def _model(model: ModelReport) -> Iterator[str]:
    for finding in model.findings:
        yield from html.finding_parts(finding, model)
    if not model.findings:
        yield f"<p>{clean(model.hidden)}</p>"
    yield from (f"<p>{escape(note)}</p>" for note in model.notes)


def _layers(model: ModelSummary) -> Iterator[str]:
    said = several(len(model.layers), "layer")
    if len(model.layers) > ROWS:
        yield f"<p>The table of all {said} is in the full view.</p>"
    elif model.layers:
        rows = escape("".join(layer_table(model, View(width=WIDTH))))
        yield f'<details><summary>Table of {said}</summary><pre tabindex="0">{rows}</pre></details>'


def _drawn(path: str, model: ModelReport, view: View) -> Iterator[str]:
    if (drawing := view.drawings.get(path)) is not None:
        yield f'<div class="pane" tabindex="0">{sketch(drawing, model)}</div>'

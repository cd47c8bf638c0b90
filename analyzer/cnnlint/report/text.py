"""The report for a person at a terminal, in the manner of rustc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from cnnlint.graph.quantity import brief, count, size
from cnnlint.report.parts import budget_lines, excerpt, facts, summary_line
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import View
from cnnlint.results import Finding, LintReport, ModelReport, Savings

SHOWN = 3
"""Findings of one rule in one model that are shown in full."""


def render(report: LintReport, view: View) -> str:
    """Return every model's headline, findings, budgets and notes, and a last line that counts."""
    report = printable_report(report)
    lines = list[str]()
    for model in report.models:
        if model.error is None:
            lines += _model(model, view)
    if not view.quiet:
        lines.append(summary_line(report, view))
    return without_commands("".join(f"{line}\n" for line in lines))


def _model(model: ModelReport, view: View) -> Iterator[str]:
    if not view.quiet:
        yield from _headline(model, view)
        yield ""
    explained = set[str]()
    for finding, hidden in _grouped(model.findings, view):
        if finding is not None:
            yield from _finding(finding, model, view)
            if finding.code not in explained:
                yield from _labeled("see", f"cnnlint explain {finding.code}", view)
            explained.add(finding.code)
        else:
            yield from _summed_up(hidden, view)
        yield ""
    budgets = [budget for budget in model.budgets if not (view.quiet and budget.passed)]
    if budgets:
        yield from budget_lines(budgets, model.per, view)
        yield ""
    for sentence in model.incomplete:
        yield from _labeled("incomplete", sentence, view)
        yield ""
    if not view.quiet and model.notes:
        for note in model.notes:
            yield from _labeled("note", note, view)
        yield ""


def _headline(model: ModelReport, view: View) -> Iterator[str]:
    form = f" ({model.format})" if model.format else ""
    clean = "" if model.findings else view.paint("  no findings", "good")
    yield f"{view.paint(model.path, 'strong')}{view.paint(form, 'faint')}{clean}"
    yield from _joined(facts(model), view.width)


def _joined(parts: Iterable[str], width: int) -> Iterator[str]:
    line = ""
    for part in parts:
        if line and len(line) + len(part) + 5 > width:
            yield f"  {line}"
            line = ""
        line = f"{line} · {part}" if line else part
    yield f"  {line}"


def _grouped(findings: Iterable[Finding], view: View) -> Iterator[tuple[Finding | None, list[Finding]]]:
    """Yield each finding to show, and (None, the rest) behind the last one shown of a rule with too many."""
    by_rule = dict[tuple[str, str], list[Finding]]()
    for finding in findings:
        by_rule.setdefault((finding.code, finding.severity), []).append(finding)
    for group in by_rule.values():
        # a line that hides a single finding would save nothing
        shown = len(group) if view.verbose or len(group) <= SHOWN + 1 else SHOWN
        for finding in group[:shown]:
            yield finding, []
        if group[shown:]:
            yield None, group[shown:]


def _finding(finding: Finding, model: ModelReport, view: View) -> Iterator[str]:
    label = f"{finding.severity}[{finding.code}]"
    head, *rest = wrap(
        f"{label} {finding.name}: {finding.message}",
        view.width,
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    yield view.paint(label, finding.severity.value) + view.paint(head[len(label) :], "strong")
    for line in rest:
        yield view.paint(line, "strong")
    yield view.paint("  --> ", "accent") + _place(finding, model)
    around = list(excerpt(finding.layers, model.sites, view))
    if around:
        gutter = view.paint("   |", "accent")
        yield gutter
        yield from around
        yield gutter
    sentence, *code = finding.suggestion.splitlines() or [""]
    if sentence:
        yield from _labeled("help", sentence, view)
        for line in code:
            yield f"{' ' * len('   = help:   ')}{line}".rstrip()
    if saved := _saved(finding.savings):
        yield from _labeled("saves", saved, view)
    if finding.proof is not None:
        yield from _labeled(finding.proof.label, finding.proof.words, view)


def _place(finding: Finding, model: ModelReport) -> str:
    if not finding.layers:
        return model.path
    site = model.sites.get(finding.layers[0])
    origin = f" ({site.op or site.kind})" if site else ""
    return f"{model.path} › {finding.layers[0]}{origin}"


def _summed_up(hidden: list[Finding], view: View) -> Iterator[str]:
    first = hidden[0]
    label = f"{first.severity}[{first.code}]"
    names = list(dict.fromkeys(finding.layers[0] for finding in hidden if finding.layers))
    text = f"{label} {first.name}: … and {len(hidden)} more; --verbose shows each"
    yield view.paint(label, first.severity.value) + view.paint(text[len(label) :], "strong")
    if names:
        listed = ", ".join(names[:4]) + (f", … {names[-1]}" if len(names) > 4 else "")
        yield from _labeled("at", listed, view)
    savings = [finding.savings for finding in hidden if finding.savings]
    total = Savings(
        parameters=sum(saved.parameters for saved in savings),
        macs=sum(saved.macs for saved in savings),
        bytes=sum(saved.bytes for saved in savings),
    )
    if saved := _saved(total):
        yield from _labeled("saves", f"{saved} in all {len(hidden)}", view)


def _saved(savings: Savings | None) -> str:
    if savings is None:
        return ""
    parts = [
        f"{count(savings.parameters)} parameters" if savings.parameters else "",
        f"{brief(savings.macs)} MACs" if savings.macs else "",
        size(savings.bytes) if savings.bytes else "",
    ]
    return ", ".join(part for part in parts if part)


def _labeled(label: str, text: str, view: View) -> Iterator[str]:
    prefix = f"   = {label}: "
    first, *rest = wrap(text, view.width - len(prefix), break_on_hyphens=False) or [""]
    yield f"   {view.paint('=', 'accent')} {view.paint(f'{label}:', 'strong')} {first}"
    for line in rest:
        yield " " * len(prefix) + line

"""The report for a person at a terminal, in the manner of rustc; information in one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from textwrap import wrap

from cnnlint.report.lines import callers, further_lines, line_of, merged_on_lines, source_lines
from cnnlint.report.parts import (
    budget_lines,
    clean,
    excerpt,
    facts,
    placed,
    saved,
    saves,
    says,
    summary_line,
    with_notes_once,
)
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import Style, View, several
from cnnlint.results import Finding, LintReport, ModelReport, Severity, total

BUDGETS = "BG001"
SHOWN = 3
"""Findings of one rule in one model that are shown in full."""
PLACE = len("   = at ")
"""Columns ahead of the further lines of a place, whose label may be as long as a line."""


def render(report: LintReport, view: View) -> str:
    """Return every model's headline, findings, budgets and notes, what holds for all, and a last line that counts."""
    report, shared = with_notes_once(printable_report(report))
    read = [model for model in report.models if model.error is None]
    lines = list[str]()
    for model in read:
        block = list(_model(model, view, one_of_many=len(read) > 1))
        if len(block) > 1 and lines and lines[-1]:
            lines.append("")
        lines += block
    if not view.quiet:
        lines += [""] if lines and lines[-1] else []
        if shared:
            lines += [line for note in shared for line in _remarked("note", note, view)]
            lines.append("")
        if not view.verbose and any(_is_brief(finding, model, view) for model in read for finding in model.findings):
            hint = "--verbose shows information in full; `cnnlint explain CODE` explains a rule"
            lines.append(view.paint(hint, "faint"))
        lines += _in_clauses(summary_line(report, view), view.width)
    return without_commands("".join(f"{line}\n" for line in lines))


def _in_clauses(sentence: str, width: int) -> list[str]:
    """Return a sentence in lines that are broken after semicolons, where it is too long."""
    first, *rest = sentence.split("; ")
    lines = [first]
    for clause in rest:
        longer = f"{lines[-1]}; {clause}"
        if len(re.sub(r"\x1b\[[\d;]*m", "", longer)) <= width:
            lines[-1] = longer
        else:
            lines[-1] += ";"
            lines.append(f"  {clause}")
    return lines


def _model(model: ModelReport, view: View, *, one_of_many: bool) -> Iterator[str]:
    told = model.findings if view.verbose else merged_on_lines(model.findings)
    findings = [each for each in told if not view.quiet or each.severity == "error" or model.is_failing(each)]
    # to be quiet is to say of a broken budget what its finding says, and no more
    said = view.quiet and any(each.code == BUDGETS for each in findings)
    budgets = [budget for budget in model.budgets if not (view.quiet and (said or budget.passed))]
    notes = () if view.quiet else model.notes
    nothing = not findings and not model.incomplete and all(budget.passed for budget in budgets)
    if not view.quiet:
        yield _headline(model, view, brief=one_of_many and nothing)
        if one_of_many and nothing:
            for note in notes:
                yield from _remarked("note", note, view)
            return
        yield from _joined(facts(model), view.width)
        yield ""
    explained = set[str]()
    for finding, hidden in _grouped(findings, view):
        if finding is None:
            yield from _summed_up(hidden, view)
        elif _is_brief(finding, model, view):
            yield from _message(finding, view, style=None)
            if (frame := line_of(finding)) is not None:
                yield view.paint("  --> ", "accent") + frame.where
            continue
        else:
            yield from _finding(finding, model, view)
            if finding.code not in explained:
                yield from _labeled("see", f"cnnlint explain {finding.code}", view)
            explained.add(finding.code)
        yield ""
    if any(_is_brief(finding, model, view) for finding in findings):
        yield ""
    if budgets:
        yield from budget_lines(budgets, model.per, view)
        yield ""
    for sentence in model.incomplete:
        yield from _remarked("incomplete", sentence, view)
        yield ""
    if notes:
        for note in notes:
            yield from _remarked("note", note, view)
        yield ""


def _headline(model: ModelReport, view: View, *, brief: bool) -> str:
    form = f" ({model.format})" if model.format else ""
    kept = f", {several(len(model.budgets), 'budget')} kept" if brief and model.budgets else ""
    none = "" if model.findings else view.paint(f"  {clean(model.hidden)}{kept}", "good")
    return f"{view.paint(model.path, 'strong')}{view.paint(form, 'faint')}{none}"


def _joined(parts: Iterable[str], width: int) -> Iterator[str]:
    line = ""
    for part in parts:
        if line and len(line) + len(part) + 5 > width:
            yield f"  {line}"
            line = ""
        line = f"{line} · {part}" if line else part
    yield f"  {line}"


def _is_brief(finding: Finding, model: ModelReport, view: View) -> bool:
    """Return whether a finding is told in one line: information that fails no run."""
    return finding.severity is Severity.INFO and not view.verbose and not model.is_failing(finding)


def _grouped(findings: Iterable[Finding], view: View) -> Iterator[tuple[Finding | None, list[Finding]]]:
    """Yield each finding to show, and (None, the rest) after the last one shown of a rule with too many."""
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


def _message(finding: Finding, view: View, *, style: Style | None) -> Iterator[str]:
    label = f"{finding.severity}[{finding.code}]"
    mark = " [*]" if finding.fixable else ""
    at = "" if style else _unsaid_layer(finding)
    head, *rest = wrap(
        f"{label}{mark} {finding.name}{at}: {finding.message}",
        view.width,
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    yield view.paint(label, finding.severity.value) + _styled(head[len(label) :], style, view)
    for line in rest:
        yield _styled(line, style, view)


def _unsaid_layer(finding: Finding) -> str:
    """Return where a finding of one line is, as a clause; "" if its message says so, or it has several places."""
    if not finding.layers or len(finding.places) > 1 or any(says(finding.message, name) for name in finding.layers):
        return ""
    return f" at {finding.layers[0]}"


def _styled(text: str, style: Style | None, view: View) -> str:
    return view.paint(text, style) if style else text


def _finding(finding: Finding, model: ModelReport, view: View) -> Iterator[str]:
    yield from _message(finding, view, style="strong")
    yield view.paint("  --> ", "accent") + _place(finding, model)
    yield from source_lines(finding, view)
    for call in callers(finding, all_of_them=view.verbose):
        yield from _labeled("called at", call, view)
    first = finding.places[0].layers if finding.places else finding.layers
    around = list(excerpt(first, model.sites, view))
    if around:
        gutter = view.paint("   |", "accent")
        yield gutter
        yield from around
        yield gutter
    yield from _places(finding, view)
    sentence, *code = finding.suggestion.splitlines() or [""]
    if sentence:
        yield from _labeled("help", sentence, view)
        for line in code:
            yield f"{' ' * len('   = help:   ')}{line}".rstrip()
    if savings := saves(finding):
        yield from _labeled("saves", savings, view)
    if finding.verification is not None:
        yield from _labeled(finding.verification.label, finding.verification.words, view)


def _places(finding: Finding, view: View) -> Iterator[str]:
    """Yield the places of a finding that has several: each with its message, or the first of them."""
    if others := further_lines(finding):
        yield from _labeled("lines", others, view)
    if view.verbose and len(finding.places) > 1:
        for place in finding.places:
            at = f"{place.source} › " if place.source else ""
            unsaid = ", ".join(name for name in place.layers if at or not says(place.message, name))
            label = f"at {at}{unsaid}" if at or unsaid else "place"
            yield from _labeled(label, place.message, view, margin=PLACE)
    elif names := placed(finding):
        yield from _labeled("places", names, view)


def _place(finding: Finding, model: ModelReport) -> str:
    frame = line_of(finding)
    file = model.path if frame is None else frame.where
    if not finding.layers:
        return file
    site = model.sites.get(finding.layers[0])
    origin = f" ({site.op or site.kind})" if site else ""
    more = f" and {len(finding.places) - 1} more" if len(finding.places) > 1 else ""
    return f"{file} › {finding.layers[0]}{origin}{more}"


def _summed_up(hidden: list[Finding], view: View) -> Iterator[str]:
    first = hidden[0]
    label = f"{first.severity}[{first.code}]"
    names = list(dict.fromkeys(finding.layers[0] for finding in hidden if finding.layers))
    text = f"{label} {first.name}: … and {len(hidden)} more; --verbose shows each"
    yield view.paint(label, first.severity.value) + view.paint(text[len(label) :], "strong")
    if names:
        listed = ", ".join(names[:4]) + (f", … {names[-1]}" if len(names) > 4 else "")
        yield from _labeled("at", listed, view)
    if savings := saved(total(finding.savings for finding in hidden)):
        yield from _labeled("saves", f"{savings} in all {len(hidden)}", view)


def _remarked(label: str, text: str, view: View) -> Iterator[str]:
    """Yield what is said of the whole model, at the margin: further in it would read as a part of the last finding."""
    first, *rest = wrap(f"{label}: {text}", view.width, subsequent_indent="    ", break_on_hyphens=False)
    yield f"{view.paint(f'{label}:', 'strong')}{first[len(label) + 1 :]}"
    yield from rest


def _labeled(label: str, text: str, view: View, *, margin: int = 0) -> Iterator[str]:
    prefix = f"   = {label}: "
    margin = margin or len(prefix)
    room = max(view.width - margin, 20)
    taken = " " * min(len(prefix) - margin, room - 20)
    first, *rest = wrap(text, room, initial_indent=taken, break_on_hyphens=False) or [""]
    yield f"   {view.paint('=', 'accent')} {view.paint(f'{label}:', 'strong')} {first.lstrip()}".rstrip()
    for line in rest:
        yield " " * margin + line

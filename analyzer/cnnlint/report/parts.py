"""What reports are made of: the summary line, budgets, an excerpt of the network, and how a finding is addressed."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from textwrap import wrap

from msgspec.structs import replace

from cnnlint.engine.budget import QUANTITIES
from cnnlint.engine.telling import relative
from cnnlint.graph.quantity import UNKNOWN, brief, count, ratio, share, size
from cnnlint.report.lines import file_of, line_of
from cnnlint.report.view import View, extents, several, shortened
from cnnlint.results import BudgetResult, Finding, LintReport, ModelReport, Per, Savings, Severity, Site, digest

NOUNS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "info"}


def summary_line(report: LintReport, view: View) -> str:
    """Return "2 models: 1 error, 3 warnings, 1 info (2 suppressed, 40 in the baseline)"."""
    read = [model for model in report.models if model.error is None]
    unread = len(report.models) - len(read)
    counts = Counter(finding.severity for model in read for finding in model.findings)
    parts = [
        view.paint(
            f"{count(number)} info" if severity is Severity.INFO else several(number, NOUNS[severity]), severity.value
        )
        for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO)
        if (number := counts[severity])
    ]
    lost = view.paint(f"{several(unread, 'model')} could not be read", "error")
    if not read:
        return lost if unread else "no models"
    hidden = sum(model.hidden for model in read)
    text = f"{several(len(read), 'model')}: " + (", ".join(parts) if parts else view.paint(clean(hidden), "good"))
    text += view.paint(f", {count(hidden)} below --min-severity", "faint") if hidden and parts else ""
    broken = sum(not budget.passed for model in read for budget in model.budgets)
    kept = sum(budget.passed for model in read for budget in model.budgets)
    if kept or broken:
        held = f"{kept} of {several(kept + broken, 'budget')} kept"
        text += f"; {view.paint(held, 'error') if broken else held}"
    suppressed, known = sum(model.suppressed for model in read), sum(model.baselined for model in read)
    left_out = [f"{count(suppressed)} suppressed"] if suppressed else []
    left_out += [f"{count(known)} {view.known}"] if known else []
    if left_out:
        text += view.paint(f" ({', '.join(left_out)})", "faint")
    if fixable := sum(finding.fixable for model in read for finding in model.findings):
        text += f"; [*] {count(fixable)} fixable with `cnnlint fix`"
    if incomplete := sum(bool(model.incomplete) for model in read):
        partly = f"{several(incomplete, 'model')} not linted in full"
        text += f"; {view.paint(partly, 'error')}"
    if unread:
        text += f"; {lost}"
    return text


def clean(hidden: int) -> str:
    """Return "no findings", or that so many are too mild to be shown."""
    return f"no findings but {count(hidden)} below --min-severity" if hidden else "no findings"


def facts(model: ModelReport) -> tuple[str, ...]:
    """Return what a model costs: "138,357,544 parameters", "15.5 G MACs", and so on."""
    return (
        f"{count(model.parameters)} parameters",
        f"{brief(model.macs)} MACs",
        f"weights {size(model.weight_bytes)}",
        f"peak activations {size(model.peak_activation_bytes)}",
    )


def budget_lines(budgets: Sequence[BudgetResult], per: Per, view: View) -> Iterator[str]:
    """Yield a heading and a line for each of `budgets`, in columns, every number in full."""
    rows = [_row(budget, per) for budget in budgets]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    yield view.paint("budgets", "strong")
    for budget, (name, measured, limit, left) in zip(budgets, rows, strict=True):
        verdict = "kept" if budget.passed else "OVER" if budget.measured is not None else "FAIL"
        painted = view.paint(verdict, "good" if budget.passed else "error")
        line = f"{name:<{widths[0]}}  {measured:>{widths[1]}} of {limit:>{widths[2]}}"
        if budget.measured is None and len(line) + len(left) + 10 > view.width:
            yield f"  {painted}  {line}"
            yield from (f"        {part}" for part in wrap(left, view.width - 8))
        else:
            yield f"  {painted}  {line}  {left}".rstrip()
        if budget.message and not budget.passed:
            yield from (f"        {part}" for part in wrap(budget.message, view.width - 8))


def _row(budget: BudgetResult, per: Per) -> tuple[str, str, str, str]:
    name, limit = budget_label(budget, per), amount(budget, budget.limit)
    if budget.measured is None or budget.margin is None:
        return name, UNKNOWN, limit, budget.reason
    side = "left" if budget.margin >= 0 else "over"
    left = f"{amount(budget, abs(budget.margin))} {side}"
    if QUANTITIES[budget.quantity].unit != "share" and budget.limit:
        left += f" ({_relative(budget.measured, budget.limit)})"
    return name, amount(budget, budget.measured), limit, left


def _relative(measured: float, limit: float) -> str:
    if measured > 2 * limit:
        return f"{count(round(ratio(measured, limit), 1))} × the limit"
    return share(ratio(abs(limit - measured), limit))


def budget_label(budget: BudgetResult, per: Per) -> str:
    """Return what a budget limits: "MACs per sample"."""
    return QUANTITIES[budget.quantity].labeled(per)


def amount(budget: BudgetResult, number: float | None) -> str:
    """Return an amount of what a budget limits: "1,234", or "43.5%" of a share; what is unknown by its reason."""
    if number is None:
        return budget.reason or UNKNOWN
    return share(number) if QUANTITIES[budget.quantity].unit == "share" else count(number)


ARROW = "→"
MOST = 7
"""Lines of an excerpt before the middle of a long one is left out."""


def excerpt(layers: tuple[str, ...], sites: dict[str, Site], view: View) -> Iterator[str]:
    """Yield a line for each of `layers` (the one meant first), those just before and the one after.

    Names, kinds and shapes stand in columns; "⋮" stands where layers are left out.
    """
    named = sorted({name for name in layers if name in sites}, key=lambda name: sites[name].position)
    if not named:
        return
    meant = next(name for name in layers if name in sites)
    rows = _with_neighbors(named, sites)
    rows = _shortened(rows, meant)
    labels = max(len(sites[row].label) for row in rows)
    shapes = max(len(extents(sites[row].output_shape)) for row in rows)
    held = {row: f"  {count(sites[row].parameters)} parameters" if sites[row].parameters != 0 else "" for row in rows}
    others = len("   | → ") + 2 + labels + 2 + max(shapes + len(text) for text in held.values())
    names = {row: shortened(row, max(16, view.across - others)) for row in rows}
    across = max(len(name) for name in names.values())
    previous: str | None = None
    for row in rows:
        site = sites[row]
        if previous is not None and previous not in site.before:
            yield view.paint("   |   ", "accent") + view.paint("⋮", "faint")
        previous = row
        shape = extents(site.output_shape)
        text = f"{names[row]:<{across}}  {site.label:<{labels}}  {shape:<{shapes}}{held[row]}".rstrip()
        mark = view.paint(ARROW, "strong") if row == meant else " "
        style = "strong" if row == meant else None if row in named else "faint"
        gutter = view.paint("   | ", "accent")
        yield f"{gutter}{mark} {view.paint(text, style) if style else text}"


def _with_neighbors(named: list[str], sites: dict[str, Site]) -> list[str]:
    rows = dict.fromkeys(named)
    first, last = sites[named[0]], sites[named[-1]]
    reach = 2 if len(named) == 1 else 1
    for _ in range(reach):
        if not first.before or first.before[0] not in sites:
            break
        rows[first.before[0]] = None
        first = sites[first.before[0]]
    if last.after and last.after[0] in sites:
        rows[last.after[0]] = None
    return sorted(rows, key=lambda name: sites[name].position)


def _shortened(rows: list[str], meant: str) -> list[str]:
    if len(rows) <= MOST:
        return rows
    kept = {*rows[: MOST // 2], *rows[-(MOST // 2) :], meant}
    return [row for row in rows if row in kept]


def in_repository(path: str) -> str:
    """Return `path` as services name files: relative to the root of the repository that the working directory is in.

    Outside a repository, and for what does not lie in it, it is as `relative` gives it.
    """
    below = relative(path)
    if below.startswith("<") or "://" in below:
        return below
    here = Path.cwd()
    root = _repository(here)
    # by names alone, as git has it: a model may be a symbolic link out of the repository
    whole = Path(os.path.normpath(here / below))
    return whole.relative_to(root).as_posix() if root is not None and whole.is_relative_to(root) else below


@cache
def _repository(folder: Path) -> Path | None:
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), None)


def site_of(model: ModelReport, finding: Finding) -> tuple[str, int]:
    """Return the file and the line that services show a finding at: of the user's code, or the first of the model."""
    frame = line_of(finding)
    return (in_repository(file_of(model.path)), 1) if frame is None else (in_repository(frame.file), frame.line)


class FindingHashes:
    """Gives every finding of a report a hash of its fingerprint; on a line of the user's code, of file and function.

    Findings that agree in that are told apart by their order.
    """

    def __init__(self) -> None:
        self._seen = Counter[str]()

    def of(self, model: ModelReport, finding: Finding) -> str:
        """Return the hash of `finding`; the same twice for the same finding counts as a second one."""
        if (frame := line_of(finding)) is not None:  # lines move, and functions are moved less often
            key = f"{in_repository(frame.file)}\0{frame.function}\0{finding.code}"
        else:
            identity = finding.fingerprint or "\0".join([finding.code, *finding.layers])
            key = f"{in_repository(model.path)}\0{finding.code}\0{identity}"
        self._seen[key] += 1
        return digest(f"{key}\0{self._seen[key]}", size=16)


def findings(report: LintReport) -> Iterator[tuple[ModelReport, Finding]]:
    """Yield every finding with its model."""
    for model in report.models:
        for finding in model.findings:
            yield model, finding


def shortcomings(model: ModelReport) -> Iterator[str]:
    """Yield why the model could not be linted, or not in full."""
    if model.error is not None:
        yield model.error
    yield from model.incomplete


def with_notes_once(report: LintReport) -> tuple[LintReport, tuple[str, ...]]:
    """Return the report without the notes that several of its models have, and these notes.

    One that some of the models do not have names those that do.
    """
    read = [model for model in report.models if model.error is None]
    of = dict[str, list[str]]()
    for model in read:
        for note in dict.fromkeys(model.notes):
            of.setdefault(note, []).append(relative(model.path))
    shared = {note: paths for note, paths in of.items() if len(paths) > 1}
    if not shared:
        return report, ()
    models = tuple(
        replace(model, notes=tuple(note for note in model.notes if note not in shared)) for model in report.models
    )
    told = (note if len(paths) == len(read) else f"{note} ({listed(paths)})" for note, paths in shared.items())
    return replace(report, models=models), tuple(told)


def failing(report: LintReport) -> tuple[tuple[ModelReport, Finding], ...]:
    """Return the findings that fail the run, the gravest first."""
    found = [(model, finding) for model, finding in findings(report) if model.is_failing(finding)]
    return tuple(sorted(found, key=lambda entry: -entry[1].severity.rank))


NAMED = 3
"""Places of a finding that are named."""


def placed(finding: Finding, most: int = NAMED) -> str:
    """Return "bn1, bn2, bn3 and 56 more": the layer meant at each place; "" if there is only one place."""
    if len(finding.places) < 2:
        return ""
    return listed([place.layers[0] for place in finding.places if place.layers], most)


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Return "bn1, bn2, bn3 and 56 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {count(more)} more" if more > 0 else "")


def sentence(finding: Finding) -> str:
    """Return the message with its place if it does not name that, for services that show a message and no layer."""
    if where := placed(finding):
        return f"{finding.message} Places: {where}."
    layer = unsaid_layer(finding)
    return f"{layer}: {finding.message}" if layer else finding.message


def unsaid_layer(finding: Finding) -> str:
    """Return the first layer that a finding is about; "" if it has none, or its message names that."""
    if not finding.layers or says(finding.message, finding.layers[0]):
        return ""
    return finding.layers[0]


def says(message: str, name: str) -> bool:
    """Return whether `message` has `name`, a layer's or an amount, as a whole; a name of letters may be any word."""
    return not name.isalpha() and re.search(rf"(?<![\w./:-]){re.escape(name)}(?![\w/:-]|[.,]\w)", message) is not None


def saved(savings: Savings | None) -> str:
    """Return what is saved: "38,080 parameters, 22.6 M MACs"; "" if nothing."""
    if savings is None:
        return ""
    parts = [
        f"{count(savings.parameters)} parameters" if savings.parameters else "",
        f"{brief(savings.macs)} MACs" if savings.macs else "",
        size(savings.bytes) if savings.bytes else "",
    ]
    return ", ".join(part for part in parts if part)


def saves(finding: Finding) -> str:
    """Return what following a finding saves; "" if nothing, or if its message says so."""
    amounts = saved(finding.savings)
    return "" if all(says(finding.message, part) for part in amounts.split(", ") if part) else amounts

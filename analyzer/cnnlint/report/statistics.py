"""How often each rule found something, for `--statistics`: a line for each, the most frequent first."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.graph.quantity import count
from cnnlint.report.parts import findings, summary_line
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import View, several
from cnnlint.results import Finding, LintReport


def render(report: LintReport, view: View) -> str:
    """Return a line for each rule and severity, with its places and models, and a last line that counts."""
    report = printable_report(report)
    groups = dict[tuple[str, str], list[tuple[str, Finding]]]()
    for model, finding in findings(report):
        groups.setdefault((finding.code, finding.severity), []).append((model.path, finding))
    lines = [*_rows(list(groups.values()), view), "", summary_line(report, view)]
    return without_commands("".join(f"{line}\n" for line in (lines if groups else lines[-1:])))


def _rows(groups: list[list[tuple[str, Finding]]], view: View) -> Iterator[str]:
    def places(group: list[tuple[str, Finding]]) -> int:
        return sum(max(1, len(finding.places)) for _, finding in group)

    across = max((len(count(places(group))) for group in groups), default=0)
    for group in sorted(groups, key=lambda group: (-places(group), group[0][1].code)):
        first = group[0][1]
        label = view.paint(f"{first.severity}[{first.code}]", first.severity.value)
        mark = " [*]" if any(finding.fixable for _, finding in group) else ""
        models = several(len({path for path, _ in group}), "model")
        yield f"{count(places(group)):>{across}}  {label}{mark} {first.name} in {models}"

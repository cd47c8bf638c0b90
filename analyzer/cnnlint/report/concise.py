"""One line for each finding, for editors and grep."""

from __future__ import annotations

from cnnlint.report.lines import line_of, merged_on_lines
from cnnlint.report.parts import summary_line
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.view import View
from cnnlint.results import LintReport


def render(report: LintReport, view: View) -> str:
    """Return "PATH › LAYER (+58): severity[CODE] name: message" for each finding, and a last line that counts.

    Where the line of the user's code is known, it is "train.py:42: CODE severity name: LAYER (+58): message".
    The number in parentheses is of the finding's further places; `[*]` marks what `cnnlint fix` rewrites.
    """
    report = printable_report(report)
    lines = list[str]()
    for model in report.models:
        for finding in merged_on_lines(model.findings):
            if view.quiet and finding.severity != "error" and not model.is_failing(finding):
                continue
            more = f" (+{len(finding.places) - 1})" if len(finding.places) > 1 else ""
            frame = line_of(finding)
            if frame is not None:
                label = view.paint(finding.code, finding.severity.value)
                layer = f"{finding.layers[0]}{more}: " if finding.layers else ""
                mark = " [*]" if finding.fixable else ""
                text = f"{label} {finding.severity}{mark} {finding.name}: {layer}{finding.message}"
                lines.append(f"{view.paint(frame.where, 'strong')}: {text}")
                continue
            place = f"{model.path} › {finding.layers[0]}{more}" if finding.layers else model.path
            label = view.paint(f"{finding.severity}[{finding.code}]", finding.severity.value)
            mark = " [*]" if finding.fixable else ""
            lines.append(f"{view.paint(place, 'strong')}: {label}{mark} {finding.name}: {finding.message}")
        lines += [f"{view.paint(model.path, 'strong')}: incomplete: {sentence}" for sentence in model.incomplete]
    if not view.quiet:
        lines.append(summary_line(report, view))
    return without_commands("".join(f"{line}\n" for line in lines))

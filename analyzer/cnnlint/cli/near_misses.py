"""`cnnlint explain CODE --on MODEL`: what a rule found, and where it stayed silent and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from cnnlint.cli.discovery import models
from cnnlint.cli.run import run
from cnnlint.cli.streams import complain, complain_of, write
from cnnlint.engine.config.settings import Flags
from cnnlint.engine.rule import Rule, RuntimeRule
from cnnlint.report import rendered
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.quantities import several
from cnnlint.report.view import Style, View
from cnnlint.results import LintReport, ModelReport


def explain_on(
    rule: type[Rule],
    paths: Sequence[str],
    view: View,
    *,
    config: Path | None = None,
    isolated: bool = False,
    verbose: bool = False,
    allow_config_code: tuple[Path, ...] = (),
    ignore_config_code: bool = False,
) -> int:
    """Print what `rule` makes of the models at `paths`, and return the exit code."""
    found, missing = models(paths)
    for error in missing:
        complain(str(error))
    # what is proved or run is no part of why a rule stays silent, and takes longest
    flags = Flags(
        select=(rule.code,),
        static=not issubclass(rule, RuntimeRule),
        allow_config_code=allow_config_code,
        ignore_config_code=ignore_config_code,
    )
    report = run(found, flags, config=config, isolated=isolated, near_misses=True, traced=verbose)
    result = rendered(report, lambda part: _text(rule, part, view))
    for fault in result.faults:
        complain_of(fault, verbose=verbose)
    write(result.text)
    return 2 if missing or result.report.exit_code == 2 else 0


def _text(rule: type[Rule], report: LintReport, view: View) -> str:
    models = (model for model in printable_report(report).models if model.error is None)
    return without_commands("".join(f"{line}\n" for model in models for line in _model(rule, model, view)))


def _model(rule: type[Rule], model: ModelReport, view: View) -> Iterator[str]:
    yield f"{view.paint(model.path, 'strong')}: {rule.code} {rule.name}"
    findings = [finding for finding in model.findings if finding.code == rule.code]
    misses = model.near_misses.get(rule.code, ())
    for finding in findings:
        yield from _row(f"found at {_names(finding.layers)}", finding.message, "warning", view)
    for miss in misses:
        yield from _row(f"silent at {_names(miss.layers)}", miss.reason, "good", view)
    if model.suppressed:
        yield f"  ignored: {several(model.suppressed, 'finding')}, by the configuration or by the model itself"
    elif not findings and not misses:
        yield "  silent: no layers of this network are what the rule looks for"
    if findings or misses:
        yield view.paint(f"  {several(len(findings), 'finding')}, silent at {several(len(misses), 'place')}", "faint")
    yield ""


def _row(head: str, text: str, style: Style, view: View) -> Iterator[str]:
    yield f"  {view.paint(head, style)}"
    yield from (f"    {line}" for line in wrap(text, view.width - 4, break_on_hyphens=False))


def _names(layers: Sequence[str]) -> str:
    if not layers:
        return "the network as a whole"
    return ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")

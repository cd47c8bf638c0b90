"""`cnnlint explain`: the page of a rule, and where it stays silent on a model and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Literal

import click

from cnnlint.cli.options import color_option, config_options, verbose_option
from cnnlint.cli.rules import rules_here
from cnnlint.cli.run import models, run
from cnnlint.cli.streams import ColorChoice, complain, complain_of, view_of_stdout, write
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.rule import Rule
from cnnlint.report import rendered
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.rule_page import page
from cnnlint.report.view import Style, View, several
from cnnlint.results import LintReport, ModelReport


def _codes_and_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    known = (word for rule in rules_here(None, isolated=True).rules for word in (rule.code, rule.name))
    return [word for word in known if word.casefold().startswith(incomplete.casefold())]


@click.command("explain")
@click.argument("rule", shell_complete=_codes_and_names)
@click.option(
    "--on", "models", multiple=True, metavar="MODEL", type=click.Path(), help="Say what the rule makes of this model."
)
@click.option("--format", "form", type=click.Choice(("text", "markdown")), default="text", show_default=True)
@color_option
@config_options
@verbose_option()
def command(
    *,
    rule: str,
    models: tuple[str, ...],
    form: Literal["text", "markdown"],
    color: ColorChoice,
    config: Path | None,
    isolated: bool,
    verbose: bool,
    allow_config_code: tuple[Path, ...],
    ignore_config_code: bool,
) -> int:
    """Show the page of RULE, which is a code (FC001) or a name (flatten-dense-dominates)."""
    found = rules_here(config, isolated=isolated).require(rule)
    if models:
        return _explain_on(
            found,
            models,
            view_of_stdout(color),
            config=config,
            isolated=isolated,
            verbose=verbose,
            allow_config_code=allow_config_code,
            ignore_config_code=ignore_config_code,
        )
    if form == "markdown":
        write(page(found, code=False))
    else:
        write(_rendered(found, view_of_stdout(color)))
    return 0


def _rendered(rule: type[Rule], view: View) -> str:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(
        width=view.width,
        force_terminal=view.color,
        no_color=not view.color,
        color_system="standard" if view.color else None,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(Markdown(page(rule, code=False), code_theme="ansi_dark", hyperlinks=False))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _explain_on(
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
    # what is verified or run is no part of why a rule stays silent, and takes longest
    flags = Flags(
        select=(rule.code,),
        static=not rule.needs_run,
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

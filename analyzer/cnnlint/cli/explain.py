"""`cnnlint explain`: the page of a rule or of each in a family, and where and why they are silent on a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Literal

import click

from cnnlint.cli.discovery import discover
from cnnlint.cli.mistyped import OneOf
from cnnlint.cli.options import color_option, config_options, verbose_option
from cnnlint.cli.rules import complete_selector, rules_here
from cnnlint.cli.run import run
from cnnlint.cli.streams import ColorChoice, complain, complain_of, view_of_stdout, write
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.rule import Rule
from cnnlint.report import rendered
from cnnlint.report.printable import printable_report, without_commands
from cnnlint.report.rule_page import page
from cnnlint.report.view import Style, View, several
from cnnlint.results import LintReport, ModelReport


@click.command("explain")
@click.argument("rule", shell_complete=complete_selector)
@click.option(
    "--on",
    "models",
    multiple=True,
    metavar="MODEL",
    type=click.Path(),
    help="Show what the rule finds in this model, and where it is silent.",
)
@click.option("--format", "form", type=OneOf(("text", "markdown")), default="text", show_default=True)
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
    """Show the page of RULE: a code (FC001) or a name (flatten-dense-dominates); or all pages of a family (FC)."""
    found = rules_here(config, isolated=isolated).chosen((rule,))
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
    pages = (page(each, code=False) for each in found)
    if form == "markdown":
        write("\n".join(pages))
    else:
        view = view_of_stdout(color)
        write("\n".join(_rendered(text, view) for text in pages))
    return 0


def _rendered(text: str, view: View) -> str:
    from io import StringIO

    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(
        file=StringIO(),
        width=view.width,
        force_terminal=view.color,
        no_color=not view.color,
        color_system="standard" if view.color else None,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _explain_on(
    rules: Sequence[type[Rule]],
    paths: Sequence[str],
    view: View,
    *,
    config: Path | None = None,
    isolated: bool = False,
    verbose: bool = False,
    allow_config_code: tuple[Path, ...] = (),
    ignore_config_code: bool = False,
) -> int:
    """Print what `rules` find in the models at `paths` and where they are silent, and return the exit code."""
    documents = Documents(config, isolated=isolated)
    found = discover(paths, documents)
    for error in found.errors:
        complain(str(error))
    # runs and values of weights take longest, and only rules about them are silent because of them
    flags = Flags(
        select=tuple(rule.code for rule in rules),
        preview=True,
        static=not any(rule.needs_run or rule.reads_values for rule in rules),
        allow_config_code=allow_config_code,
        ignore_config_code=ignore_config_code,
    )
    report = run(found.models, flags, documents=documents, near_misses=True, traced=verbose)
    result = rendered(report, lambda part: _text(rules, part, view))
    for fault in result.faults:
        complain_of(fault, verbose=verbose)
    write(result.text)
    return 2 if found.errors or result.report.exit_code == 2 else 0


def _text(rules: Sequence[type[Rule]], report: LintReport, view: View) -> str:
    models = (model for model in printable_report(report).models if model.error is None)
    return without_commands("".join(f"{line}\n" for model in models for line in _model(rules, model, view)))


def _model(rules: Sequence[type[Rule]], model: ModelReport, view: View) -> Iterator[str]:
    for rule in rules:
        yield from _said(rule, model, view)
    if model.suppressed:
        yield f"  ignored: {several(model.suppressed, 'finding')}, by the configuration or by the model itself"
    yield ""


def _said(rule: type[Rule], model: ModelReport, view: View) -> Iterator[str]:
    yield f"{view.paint(model.path, 'strong')}: {rule.code} {rule.name}"
    findings = [finding for finding in model.findings if finding.code == rule.code]
    misses = model.near_misses.get(rule.code, ())
    for finding in findings:
        yield from _row(f"found at {_names(finding.layers)}", finding.message, "warning", view)
    for miss in misses:
        yield from _row(f"silent at {_names(miss.layers)}", miss.reason, "good", view)
    if not findings and not misses and not model.suppressed:
        yield "  silent: the network has no layers that the rule looks at"
    if findings or misses:
        yield view.paint(f"  {several(len(findings), 'finding')}, silent at {several(len(misses), 'place')}", "faint")


def _row(head: str, text: str, style: Style, view: View) -> Iterator[str]:
    yield f"  {view.paint(head, style)}"
    yield from (f"    {line}" for line in wrap(text, view.width - 4, break_on_hyphens=False))


def _names(layers: Sequence[str]) -> str:
    if not layers:
        return "the network as a whole"
    return ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")

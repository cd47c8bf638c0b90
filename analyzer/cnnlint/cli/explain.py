"""`cnnlint explain`: the page of a rule, and why it stays silent on a model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from cnnlint.cli.options import color_option, config_options, verbose_option
from cnnlint.cli.rule_set import rules_here
from cnnlint.cli.streams import ColorChoice, view_of_stdout, write
from cnnlint.engine.rule import Rule
from cnnlint.report.rule_page import page
from cnnlint.report.view import View


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
    """Show the page of RULE, which is a code (FC001) or a name (flatten-before-dense)."""
    found = rules_here(config, isolated=isolated).require(rule)
    if models:
        from cnnlint.cli.near_misses import explain_on

        return explain_on(
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
        write(page(found))
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
        console.print(Markdown(page(rule), code_theme="ansi_dark", hyperlinks=False))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())

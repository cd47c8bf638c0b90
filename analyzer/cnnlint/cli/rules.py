"""`cnnlint rules`: all rules, or those of a family, in a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import click

from cnnlint.cli.mistyped import OneOf
from cnnlint.cli.options import color_option, config_options, verbose_option
from cnnlint.cli.streams import ColorChoice, view_of_stdout, write
from cnnlint.engine.config.load import find_document, read_document
from cnnlint.engine.registry import ALL, RuleSet, load_rules
from cnnlint.engine.rule import Rule
from cnnlint.report.rule_page import index, summary
from cnnlint.report.view import View, several


def rules_here(config: Path | None, *, isolated: bool) -> RuleSet:
    """Return the rules, with the local rule files of `config` or of the nearest configuration.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a local file is.
    """
    if isolated:
        return load_rules()
    document = read_document(config) if config is not None else find_document(Path.cwd())
    if document is None:
        return load_rules()
    return load_rules(document.root / file for file in document.configuration.rule_files)


def complete_selector(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the families, codes and names that `incomplete` may become."""
    rules = rules_here(None, isolated=True)
    known = (*rules.families, *(word for rule in rules for word in (rule.code, rule.name)))
    return [word for word in known if word.casefold().startswith(incomplete.casefold())]


@click.command("rules")
@click.argument("selectors", nargs=-1, metavar="[RULES]...", shell_complete=complete_selector)
@click.option("--format", "form", type=OneOf(("text", "json", "markdown")), default="text", show_default=True)
@color_option
@config_options
@verbose_option()
def command(
    *,
    selectors: tuple[str, ...],
    form: Literal["text", "json", "markdown"],
    color: ColorChoice,
    config: Path | None,
    isolated: bool,
    **_: object,
) -> None:
    """List all rules, including those of plugins and local files, or RULES: families (FC), codes and names."""
    known = rules_here(config, isolated=isolated)
    rules = known.chosen(selectors or (ALL,))
    view = view_of_stdout(color)
    if form == "text":
        write("".join(f"{line}\n" for line in _table(rules, view)))
    elif form == "markdown":
        write(index(rules))
    else:
        from cnnlint.report.json import encode
        from cnnlint.report.rule_page import RulesReport, entry

        write(encode(RulesReport(rules=tuple(entry(rule, known.origins[rule.code]) for rule in rules)), view))


def _table(rules: Sequence[type[Rule]], view: View) -> Iterator[str]:
    across = max(len(rule.name) for rule in rules)
    family = ""
    for rule in rules:
        if family and rule.code[:-3] != family:
            yield ""
        family = rule.code[:-3]
        severity = view.paint(f"{rule.severity:<7}", rule.severity.value)
        certain = view.paint(f"{rule.confidence:<9}", "faint")
        head = f"{view.paint(rule.code, 'strong')}  {rule.name:<{across}}  {severity}  {certain}"
        used = len(rule.code) + across + 7 + 9 + 8
        fix = f" (can be rewritten{' on request' * rule.rewrites_on_request})" if rule.is_fixable() else ""
        trial = " (in preview)" if rule.preview else ""
        yield from _beside(head, summary(rule) + fix + trial, used, view)
    yield ""
    yield view.paint(f"{several(len(rules), 'rule')}; `cnnlint explain CODE` shows a rule's page", "faint")


def _beside(head: str, text: str, used: int, view: View) -> Iterator[str]:
    from textwrap import wrap

    room = view.width - used
    if room < 30:
        yield head.rstrip()
        yield from (f"       {line}" for line in wrap(text, view.width - 7, break_on_hyphens=False))
        return
    first, *rest = wrap(text, room, break_on_hyphens=False)
    yield f"{head}  {first}"
    yield from (f"{'':<{used}}{line}" for line in rest)

"""The pages of the rules that found something, from Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnlint.engine.rule import Rule

PAGE = re.compile(r"([A-Z]+\d+)\.md")
"""Where the page of a rule links to that of another."""


def rule_pages(codes: Collection[str]) -> Iterator[str]:
    """Yield a section with the page of each rule; a rule of a local file, which is not installed, has none."""
    from cnnlint.engine.registry import load_rules

    known = load_rules().by_code
    if not codes:
        return
    yield '<section aria-labelledby="rules"><h2 id="rules">Rules</h2>'
    for code in codes:
        rule = known.get(code)
        if rule is None:
            yield f'<div class="rule" id="rule-{escape(code)}"><p>{escape(code)} is a rule of your own.</p></div>'
        else:
            yield from _page(rule, codes)
    yield "</section>"


def _page(rule: type[Rule], codes: Collection[str]) -> Iterator[str]:
    from markdown_it import MarkdownIt

    from cnnlint.report.rule_page import page, summary

    text = page(rule, code=False).partition("\n")[2]  # the title stands in the line that opens the page
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = "h3"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _target(str(child.attrGet("href")), codes))
    body = parser.renderer.render(tokens, parser.options, {}).replace("<pre>", '<pre tabindex="0">')
    yield f'<details class="rule" id="rule-{escape(rule.code)}"><summary><strong>{escape(rule.code)}</strong> '
    yield f"{escape(rule.name)}: {escape(summary(rule))}</summary>{body}</details>"


def _target(link: str, codes: Collection[str]) -> str:
    """Return where a link leads: to a page in this file where there is one."""
    found = PAGE.fullmatch(link)
    return link if found is None else f"#rule-{found[1]}" if found[1] in codes else "#rules"

"""Which rules run: what was selected and ignored, the more specific word winning, as with ruff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from cnnlint.engine.registry import ALL, RuleSet
from cnnlint.engine.rule import Rule
from cnnlint.results import Confidence, Severity


class Request(Struct, frozen=True, kw_only=True):
    """What one source, a configuration file or a command line, asks for.

    Attributes:
        select: Rules to run instead of those before; None to keep these.
        extend_select: Rules to run besides.
        ignore: Rules to leave out.
        where: Who asks, for errors: "cnnlint.toml:3", "--select".
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    where: str | None = None


class Selection(Struct, frozen=True):
    """The rules that run.

    Attributes:
        rules: By code.
        notes: What the user may not expect about them, a sentence each.
    """

    rules: tuple[type[Rule], ...]
    notes: tuple[str, ...] = ()


def choose(
    rules: RuleSet,
    requests: Iterable[Request],
    *,
    pedantic: bool = False,
    preview: bool = False,
    rewriting: bool = False,
) -> Selection:
    """Return the rules that `requests` ask for, a later request overriding an earlier one.

    Without any, these are all but the matters of opinion, except for those that rewrite unasked if `rewriting`. A rule
    that is a matter of opinion runs if `pedantic` is set or if it is selected by its own code or name, one in preview
    only if `preview` is set. Within a request a code or name outweighs a longer prefix, that a shorter one, that "ALL",
    and at a tie ignoring wins. Budgets and the CF family run whatever is selected, since nobody sets a budget by
    accident; ignoring them works.

    Raises:
        ConfigError: A selector stands for no rule.
    """
    asked = tuple(requests)
    chosen = {
        rule.code
        for rule in rules
        if pedantic or rule.confidence is not Confidence.OPINION or (rewriting and rule.rewrites_unasked)
    }
    notes = list[str]()
    for request in asked:
        changes = _changes(rules, request, pedantic=pedantic)
        if request.select is not None:
            chosen = {rule.code for rule in rules if rule.always_selected}
        chosen = {code for code in chosen if changes.get(code, True)} | {code for code, on in changes.items() if on}
        notes += _without_effect(rules, request, pedantic=pedantic, preview=preview)
    return Selection(
        tuple(rule for rule in rules if rule.code in chosen and (preview or not rule.preview)), tuple(notes)
    )


def severities(rules: RuleSet, overrides: Mapping[str, Severity], *, where: str | None = None) -> dict[str, Severity]:
    """Return the severity of each rule that `overrides` speaks of, by code; the more specific selector wins.

    Raises:
        ConfigError: A selector stands for no rule.
    """
    found = dict[str, Severity]()
    for selector in sorted(overrides, key=lambda selector: specificity(selector, rules)):
        matched = rules.matching(selector)
        if not matched:
            raise rules.unknown(selector, where=where)
        found.update((rule.code, overrides[selector]) for rule in matched)
    return found


def specificity(selector: str, rules: RuleSet) -> int:
    """Return how much `selector` outweighs others: 0 for "ALL", 1000 for one rule, else a prefix's length."""
    if selector.upper() == ALL:
        return 0
    return 1000 if rules.get(selector) is not None else len(selector)


def _changes(rules: RuleSet, request: Request, *, pedantic: bool) -> dict[str, bool]:
    """Return for each rule that `request` speaks of whether it is to run."""
    spoken = [(selector, True) for selector in (*(request.select or ()), *request.extend_select)]
    spoken += [(selector, False) for selector in request.ignore]
    changes = dict[str, bool]()
    for selector, on in sorted(spoken, key=lambda entry: (specificity(entry[0], rules), not entry[1])):
        matched = rules.matching(selector)
        if not matched:
            raise rules.unknown(selector, where=request.where)
        named = rules.get(selector) is not None
        for rule in matched:
            if not on or named or pedantic or rule.confidence is not Confidence.OPINION:
                changes[rule.code] = on
    return changes


def _without_effect(rules: RuleSet, request: Request, *, pedantic: bool, preview: bool) -> Iterable[str]:
    """Yield of each selector that selects nothing why it does not, a sentence each."""
    for selector in (*(request.select or ()), *request.extend_select):
        matched = rules.matching(selector)
        codes = ", ".join(rule.code for rule in matched)
        named = rules.get(selector) is not None
        if not preview and all(rule.preview for rule in matched):
            what = "a rule in preview" if named else f"only rules in preview ({codes})"
            yield f"{selector} has no effect: it selects {what}, and --preview is not set"
        elif not named and not pedantic and all(rule.confidence is Confidence.OPINION for rule in matched):
            yield f"{selector} selects only matters of opinion ({codes}), which need --pedantic or their full code"

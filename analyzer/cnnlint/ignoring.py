"""What becomes of findings under the ignores of the configuration and of the model, and of bad ignores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from msgspec import Struct

from cnnlint.budget import BudgetRule
from cnnlint.finding import Finding, with_fingerprint
from cnnlint.graph.graph import Graph
from cnnlint.housekeeping import ExpiredIgnore, MalformedIgnore, UnusedIgnore
from cnnlint.registry import RuleSet
from cnnlint.rule import Remark, Rule
from cnnlint.suppress import Flaw, Ignore, expired, ignores_of_model, suppress
from cnnlint.walker import Walk


class Obeyed(Struct, frozen=True):
    """The findings that are left, those about ignores among them, and how many are hidden."""

    findings: tuple[Finding, ...]
    suppressed: int


def obey(
    walked: Walk,
    graph: Graph,
    configured: tuple[Ignore, ...],
    known: RuleSet,
    *,
    heed_model: bool,
    enabled: Iterable[type[Rule]],
    today: date,
) -> Obeyed:
    """Hide what is to be ignored, and say which ignores are wrong, have run out or hide nothing.

    Args:
        walked: What the rules said.
        graph: Holds what the model asks to have ignored.
        configured: The ignores that the configuration has for this model.
        known: All rules there are.
        heed_model: Whether the model is listened to; budgets never do.
        enabled: The rules that run; findings about ignores keep to it too.
        today: Decides which ignores have run out.
    """
    of_model, flaws = ignores_of_model(graph.ignores) if heed_model else ((), ())
    unknown = [ignore for ignore in of_model if not known.matching(ignore.selector)]
    flaws += tuple(Flaw(ignore.selector, ignore.origin, "names no rule") for ignore in unknown)
    ignores = (*configured, *(ignore for ignore in of_model if ignore not in unknown))
    stubborn = {rule.code for rule in known if issubclass(rule, BudgetRule)}
    result = suppress(walked.findings, ignores, today=today, unyielding=stubborn)
    remarks = [
        *_malformed(flaws),
        *_outdated(expired(ignores, today)),
        *_unused([ignore for ignore in result.unused if _was_tried(ignore, walked, known)]),
    ]
    codes = {rule.code for rule in enabled}
    own = [with_fingerprint(remark.finding, {}, remark.subject) for remark in remarks if remark.finding.code in codes]
    about_ignores = suppress(own, configured, today=today)
    return Obeyed((*result.findings, *about_ignores.findings), result.suppressed + about_ignores.suppressed)


def _was_tried(ignore: Ignore, walked: Walk, known: RuleSet) -> bool:
    """Return whether every rule that `ignore` is about has looked at the model."""
    if not ignore.reportable:
        return False
    return all(rule.code in walked.finished for rule in known.matching(ignore.selector))


def _malformed(flaws: Iterable[Flaw]) -> Iterator[Remark]:
    for flaw in flaws:
        yield MalformedIgnore().finding(
            message=f"The model's {flaw.origin} is not honoured: {flaw.cause}.", evidence={}, subject=flaw.origin
        )


def _outdated(ignores: Iterable[Ignore]) -> Iterator[Remark]:
    for ignore in ignores:
        yield ExpiredIgnore().finding(
            message=f"The ignore of {ignore.selector} in {ignore.origin} is no longer honoured since {ignore.until}"
            f"{f'; its reason was: {ignore.reason}' if ignore.reason else ''}.",
            evidence={},
            subject=_subject(ignore),
        )


def _unused(ignores: Iterable[Ignore]) -> Iterator[Remark]:
    for ignore in ignores:
        at = f" at {', '.join(ignore.layers)}" if ignore.layers else ""
        yield UnusedIgnore().finding(
            message=f"The ignore of {ignore.selector}{at} in {ignore.origin} hides nothing.",
            evidence={},
            subject=_subject(ignore),
        )


def _subject(ignore: Ignore) -> str:
    """Return what the ignore is about, without its line, which moves."""
    return f"{ignore.selector} {' '.join(ignore.layers)}"

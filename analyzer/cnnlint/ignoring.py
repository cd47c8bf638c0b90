"""What becomes of findings under the ignores of the configuration and of the model, and of bad ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.budget import BudgetRule
from cnnlint.finding import Finding, with_fingerprint
from cnnlint.graph.graph import Graph
from cnnlint.housekeeping import ExpiredIgnore, MalformedIgnore, UnusedIgnore
from cnnlint.registry import RuleSet
from cnnlint.results import ModelReport
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


def once_per_run(
    reports: Sequence[ModelReport], ignores_for: Callable[[str], tuple[Ignore, ...]]
) -> tuple[ModelReport, ...]:
    """Return `reports` with an ignore of several models called unused once, and only if it hides nothing in any.

    Each report says by itself which ignores hide nothing in its model; what that means for an ignore by glob only all
    reports together can say. The first report keeps the finding.

    Args:
        reports: Of all models of the run.
        ignores_for: Gives the configuration's ignores for the model at a path.
    """
    sharers = dict[Ignore, list[int]]()
    for index, report in enumerate(reports):
        for ignore in ignores_for(report.path):
            sharers.setdefault(ignore, []).append(index)
    gone = dict[int, set[str]]()
    for ignore, places in sharers.items():
        said = [index for index in places if _calls_unused(reports[index], ignore)]
        for index in said[1:] if len(said) == len(places) else said:
            gone.setdefault(index, set()).add(_unused_message(ignore))
    return tuple(
        replace(report, findings=tuple(each for each in report.findings if not _is_gone(each, gone.get(index, ()))))
        for index, report in enumerate(reports)
    )


def _calls_unused(report: ModelReport, ignore: Ignore) -> bool:
    return any(_is_gone(finding, (_unused_message(ignore),)) for finding in report.findings)


def _is_gone(finding: Finding, messages: Iterable[str]) -> bool:
    return finding.code == UnusedIgnore.code and finding.message in messages


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
        yield UnusedIgnore().finding(message=_unused_message(ignore), evidence={}, subject=_subject(ignore))


def _unused_message(ignore: Ignore) -> str:
    at = f" at {', '.join(ignore.layers)}" if ignore.layers else ""
    return f"The ignore of {ignore.selector}{at} in {ignore.origin} hides nothing."


def _subject(ignore: Ignore) -> str:
    """Return what the ignore is about, without its line, which moves."""
    return f"{ignore.selector} {' '.join(ignore.layers)}"

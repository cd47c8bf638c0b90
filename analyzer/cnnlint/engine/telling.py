"""From what rules said at each place to findings as users read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.engine.housekeeping import CrashedRule
from cnnlint.engine.rule import Diagnostic, Rule, Where
from cnnlint.errors import FAULTS, CnnlintError, worded
from cnnlint.frontends import is_address
from cnnlint.results import Finding, Place, Severity, digest, total


class Hit(Struct, frozen=True, eq=False):
    """One place at which a rule found something, with what a rewrite of it needs.

    Attributes:
        rule: The rule that found it, with its options.
        where: What the rule was given.
        finding: What it said of this place alone.
    """

    rule: Rule
    where: Where
    finding: Finding


def as_finding(diagnostic: Diagnostic, framework: str = "", identities: Mapping[str, str] = {}) -> Finding:
    """Return what was said, in the words of a framework, as a finding about one place.

    Args:
        diagnostic: What a rule said.
        framework: "keras" or "pytorch"; "" for neither.
        identities: What identifies layers whose names are generated.
    """
    found = diagnostic.finding
    parts = [found.code, *(identities.get(name, name) for name in found.layers)]
    parts += [f"\0{diagnostic.subject}"] if diagnostic.subject else []
    identity = digest("\0".join(parts), size=8)
    place = Place(layers=found.layers, message=found.message, evidence=found.evidence, identity=identity)
    suggestion = "" if diagnostic.advice is None else diagnostic.advice.for_framework(framework)
    return replace(found, suggestion=suggestion, places=(place,))


def first_causes(hits: Sequence[Hit], severity: Mapping[str, Severity]) -> tuple[Hit, ...]:
    """Return `hits` without those that an error of another rule explains: one fault is told once.

    Args:
        hits: Those that nobody ignores.
        severity: Severities that replace the rules' own, by code.
    """
    explained = dict[str, set[str]]()
    for hit in hits:
        if hit.rule.explains and severity.get(hit.finding.code, hit.finding.severity) is Severity.ERROR:
            for code, words in hit.rule.explains:
                explained.setdefault(code, set()).add(words)
    return tuple(
        hit for hit in hits if not any(words in hit.finding.message for words in explained.get(hit.finding.code, ()))
    )


def told(hits: Iterable[Hit], context: Context, path: str, *, rewritable: bool = False) -> tuple[Finding, ...]:
    """Return findings as users read them: one for each hit, or one for all hits of a rule that tells them together.

    Args:
        hits: Those that nobody ignores.
        context: Facts about the network.
        path: What the user calls the model.
        rewritable: Whether rewrites can be applied to it.
    """
    groups = dict[object, list[Hit]]()
    for number, hit in enumerate(hits):
        together = hit.rule.is_told_together()
        groups.setdefault((hit.finding.code, hit.finding.severity) if together else number, []).append(hit)
    model = relative(path)
    return tuple(
        replace(
            finding,
            fingerprint=_fingerprint(model, finding, group[0].rule),
            fixable=rewritable and any(hit.finding.fixable for hit in group) and not group[0].rule.rewrites_on_request,
        )
        for group in groups.values()
        for finding in _told(group, context)
    )


def _told(hits: Sequence[Hit], context: Context) -> Iterator[Finding]:
    first, *others = [hit.finding for hit in hits]
    if not others:
        yield first
        return
    rule = hits[0].rule
    places = [first, *others]
    try:
        found = as_finding(rule.together(places, context), context.framework)
    except FAULTS as error:
        yield from places
        yield as_finding(crash(rule, error))
        return
    verifications = {each.verification for each in places}
    savings = total(each.savings for each in places)
    if (
        savings is not None and context.macs is None
    ):  # of some places they are not known, and the sum would be of others
        savings = replace(savings, macs=0)
    yield replace(
        found,
        severity=first.severity,
        layers=tuple(dict.fromkeys(name for each in places for name in each.layers)),
        places=tuple(place for each in places for place in each.places),
        savings=savings,
        verification=verifications.pop() if len(verifications) == 1 else None,
    )


def _fingerprint(model: str, finding: Finding, rule: Rule) -> str:
    """Return what stays the same when numbers change: of the model, the rule and, where it is one's own, the place."""
    own = "" if rule.is_told_together() else "\0".join(place.identity for place in finding.places)
    # a rule that tells milder and graver places apart has a finding of each
    which = own or finding.severity
    return digest("\0".join((model, finding.code, which)), size=8)


def relative(path: str) -> str:
    """Return `path` with forward slashes, relative to the working directory if it lies below it."""
    if is_address(path):
        return path
    below = os.path.relpath(path) if os.path.isabs(path) else os.path.normpath(path)
    return PurePath(path if below.startswith("..") else below).as_posix()


def trace_of(rule: Rule, error: BaseException) -> str:
    """Return the traceback of an exception that a rule raised, its code first."""
    from traceback import format_exception

    return f"{rule.code} {rule.name}:\n{''.join(format_exception(error))}"


def crash(rule: Rule, error: BaseException) -> Diagnostic:
    """Return the finding that a rule raised an exception."""
    cause = error.cause if isinstance(error, CnnlintError) else worded(error)
    return CrashedRule().finding(
        message=f"{rule.code} {rule.name} could not finish: {cause}", evidence={}, subject=rule.code
    )

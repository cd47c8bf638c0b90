"""Running rules over a graph: each where its scope says, each crash contained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.analysis.identity import structural_identities
from cnnlint.engine.housekeeping import CrashedRule, HousekeepingRule
from cnnlint.engine.rule import LayerRule, ModelRule, PatternRule, Remark, Rule, RuntimeRule
from cnnlint.errors import FAULTS, CnnlintError, UnfinishedRunError, worded
from cnnlint.graph.access import forbid_values
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.patterns import Chain, Match
from cnnlint.results import Finding, NearMiss, with_fingerprint

if TYPE_CHECKING:
    from cnnlint.runtime.probe import Probe

Where = Match | Layer | None
"""What a rule was looking at: a match, a layer, or the network as a whole."""


class Place(Struct, frozen=True, eq=False):
    """A finding, with what a rewrite of it needs.

    Attributes:
        rule: The rule that found it, with its options.
        where: What the rule was given.
        finding: What it said.
    """

    rule: Rule
    where: Where
    finding: Finding


class Walk(Struct, frozen=True, eq=False):
    """What the rules said of one graph.

    Attributes:
        places: The findings, by rule and then in the order of the graph.
        near_misses: Why rules stayed silent, by code; empty unless asked for.
        finished: Codes of the rules that looked at all they had to look at.
    """

    places: tuple[Place, ...]
    near_misses: dict[str, tuple[NearMiss, ...]]
    finished: frozenset[str]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings alone."""
        return tuple(place.finding for place in self.places)


def walk(
    graph: Graph | Context, rules: Iterable[Rule], *, probe: Probe | None = None, near_misses: bool = False
) -> Walk:
    """Run `rules` over `graph`, in time linear in its layers for each rule.

    Args:
        graph: The network, or a context of it whose facts are to be reused.
        rules: With their options.
        probe: The runs of the model; rules about run time are left out without one.
        near_misses: Whether to keep why rules stayed silent.

    Returns:
        The findings, worded for the framework that the model comes from. A rule that raises an exception gives
        a finding that says so in place of those it had still to make.
    """
    context = graph if isinstance(graph, Context) else Context(graph)
    said = list[tuple[Rule, Where, Remark]]()
    silent = dict[str, list[NearMiss]]()
    finished = set[str]()
    for rule in rules:
        if isinstance(rule, HousekeepingRule) or (isinstance(rule, RuntimeRule) and probe is None):
            continue
        try:
            with _access(rule):
                for where, remark in _run(rule, context, probe):
                    if isinstance(remark, Remark):
                        said.append((rule, where, remark))
                    elif near_misses:
                        silent.setdefault(rule.code, []).append(remark)
            finished.add(rule.code)
        except (UnfinishedRunError, MemoryError):
            raise  # it says nothing of the rule, and what comes after would fare no better
        except FAULTS as error:  # a plugin may raise anything, and the other rules still have to run
            said.append((rule, None, _crash(rule, error)))
    names = (name for _, _, remark in said for name in remark.finding.layers)
    identities = structural_identities(context.graph, names)
    places = tuple(Place(rule, where, _finish(remark, context, identities)) for rule, where, remark in said)
    return Walk(places, {code: tuple(misses) for code, misses in silent.items()}, frozenset(finished))


def _access(rule: Rule) -> AbstractContextManager[None]:
    if rule.reads_values:
        return nullcontext()
    return forbid_values(f"{rule.code} does not declare reads_values=True")


def _run(rule: Rule, context: Context, probe: Probe | None) -> Iterator[tuple[Where, Remark | NearMiss]]:
    match rule:
        case PatternRule():
            pattern = rule.pattern if isinstance(rule.pattern, Chain) else Chain(rule.pattern)
            for match in pattern.find(context.graph):
                for remark in rule.check(match, context):
                    yield match, remark
        case LayerRule():
            for layer in context.graph.of_kind(*rule.kinds):
                for remark in rule.check(layer, context):
                    yield layer, remark
        case ModelRule():
            for remark in rule.check(context):
                yield None, remark
        case RuntimeRule() if probe is not None:
            for remark in rule.check(probe, context):
                yield None, remark
        case _:
            return


def _finish(remark: Remark, context: Context, identities: dict[str, str]) -> Finding:
    finding = remark.finding
    if remark.advice is not None:
        finding = replace(finding, suggestion=remark.advice.for_framework(context.framework))
    return with_fingerprint(finding, identities, remark.subject)


def _crash(rule: Rule, error: BaseException) -> Remark:
    cause = error.cause if isinstance(error, CnnlintError) else worded(error)
    return CrashedRule().finding(
        message=f"{rule.code} {rule.name} could not finish: {cause}", evidence={}, subject=rule.code
    )

"""Running rules over a graph: each where its scope says, each crash contained."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.analysis.identity import structural_identities
from cnnlint.engine.housekeeping import CrashedRule
from cnnlint.engine.rule import Diagnostic, Rule, Where
from cnnlint.errors import FAULTS, CnnlintError, UnfinishedRunError, worded
from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import forbid_values
from cnnlint.results import Finding, NearMiss, with_fingerprint

if TYPE_CHECKING:
    from cnnlint.runtime.probe import Probe


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
    said = list[tuple[Rule, Where, Diagnostic]]()
    silent = dict[str, list[NearMiss]]()
    finished = set[str]()
    for rule in rules:
        if rule.needs_run and probe is None:
            continue
        try:
            with _access(rule):
                for where, each in rule.run(context, probe):
                    if isinstance(each, Diagnostic):
                        said.append((rule, where, each))
                    elif near_misses:
                        silent.setdefault(rule.code, []).append(each)
            finished.add(rule.code)
        except (UnfinishedRunError, MemoryError):
            raise  # it says nothing of the rule, and what comes after would fare no better
        except FAULTS as error:  # a plugin may raise anything, and the other rules still have to run
            said.append((rule, (), _crash(rule, error)))
    names = (name for _, _, each in said for name in each.finding.layers)
    identities = structural_identities(context.graph, names)
    places = tuple(Place(rule, where, _finish(each, context, identities)) for rule, where, each in said)
    return Walk(places, {code: tuple(misses) for code, misses in silent.items()}, frozenset(finished))


def _access(rule: Rule) -> AbstractContextManager[None]:
    if rule.reads_values:
        return nullcontext()
    return forbid_values(f"{rule.code} does not declare reads_values=True")


def _finish(diagnostic: Diagnostic, context: Context, identities: dict[str, str]) -> Finding:
    finding = diagnostic.finding
    if diagnostic.advice is not None:
        finding = replace(finding, suggestion=diagnostic.advice.for_framework(context.framework))
    return with_fingerprint(finding, identities, diagnostic.subject)


def _crash(rule: Rule, error: BaseException) -> Diagnostic:
    cause = error.cause if isinstance(error, CnnlintError) else worded(error)
    return CrashedRule().finding(
        message=f"{rule.code} {rule.name} could not finish: {cause}", evidence={}, subject=rule.code
    )

"""Running rules over a graph: each where its scope says, each crash contained."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.analysis.context import Context
from cnnlint.analysis.identity import structural_identities
from cnnlint.engine.rule import Diagnostic, Rule, Where
from cnnlint.engine.telling import Hit, as_finding, crash, trace_of
from cnnlint.errors import FAULTS, UnfinishedRunError
from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import forbid_values
from cnnlint.results import Finding, NearMiss

if TYPE_CHECKING:
    from cnnlint.runtime.probe import Probe


class Walk(Struct, frozen=True, eq=False):
    """What the rules said of one graph.

    Attributes:
        hits: By rule and then in the order of the graph.
        near_misses: Why rules stayed silent, by code; empty unless asked for.
        finished: Codes of the rules that looked at all they had to look at.
        traces: The tracebacks of rules that raised an exception.
    """

    hits: tuple[Hit, ...]
    near_misses: dict[str, tuple[NearMiss, ...]]
    finished: frozenset[str]
    traces: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was said of each place, places that are told together still apart."""
        return tuple(hit.finding for hit in self.hits)


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
    traces = list[str]()
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
            said.append((rule, (), crash(rule, error)))
            traces.append(trace_of(rule, error))
    names = (name for _, _, each in said for name in each.finding.layers)
    identities = structural_identities(context.graph, names)
    hits = tuple(Hit(rule, where, as_finding(each, context.framework, identities)) for rule, where, each in said)
    missed = {code: tuple(misses) for code, misses in silent.items()}
    return Walk(hits, missed, frozenset(finished), tuple(traces))


def _access(rule: Rule) -> AbstractContextManager[None]:
    if rule.reads_values:
        return nullcontext()
    return forbid_values(f"{rule.code} does not declare reads_values=True")

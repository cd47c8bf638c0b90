"""What running a model shows: run time rules, and rewrites tried on the user's own model; a worker does both.

The job reads the file itself, so it is under way while whoever asked for it reads the graph and runs the other rules.
The worker has numpy, whose import takes longer than reading a small model's weights: so it also runs the rules on the
values of weights, if these are few. Many are read by whoever asked, beside the run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.analysis.cost import total_macs
from cnnlint.engine.housekeeping import CrashedRule
from cnnlint.engine.registry import LOCAL, run_file
from cnnlint.engine.rule import Rule, RuntimeRule
from cnnlint.engine.telling import Hit
from cnnlint.engine.walker import Walk, walk
from cnnlint.errors import CnnlintError, UnfinishedRunError
from cnnlint.results import Finding, NearMiss, Verification
from cnnlint.worker import steps
from cnnlint.worker.workers import Pending, Workers

if TYPE_CHECKING:
    import onnx

    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.graph.graph import Graph
    from cnnlint.runtime.probe import Probe

Dims = tuple[int, ...]

FEW = 1 << 26
"""Bytes of weights that are read and looked at in the time that it takes to import numpy once more."""


class RuleReference(Struct, frozen=True, kw_only=True):
    """A rule with its options, for another process.

    Attributes:
        module: Where its class is, unless it is in a file.
        file: The local file that its class is in; "" if it is in an installed module.
        name: The class.
        options: In kebab case.
    """

    module: str
    file: str
    name: str
    options: dict[str, Any]

    @classmethod
    def to(cls, rule: Rule) -> RuleReference:
        """Return the reference to a rule that this process has loaded."""
        module = type(rule).__module__
        return cls(
            module=module,
            file=str(sys.modules[module].__file__) if module.startswith(LOCAL) else "",
            name=type(rule).__qualname__,
            options=msgspec.to_builtins(rule),
        )

    def load(self) -> Rule:
        """Return the rule; the file that it is in is run if it has not been."""
        loaded = sys.modules.get(self.module)
        if loaded is None:
            loaded = run_file(Path(self.file)) if self.file else import_module(self.module)
        return msgspec.convert(self.options, cast("type[Rule]", getattr(loaded, self.name)))


class CheckRequest(Struct, frozen=True, kw_only=True):
    """A model to run.

    Attributes:
        program: The path of its ONNX file.
        path: What the user calls the model.
        inputs: Shapes by input name.
        rules: Those about run time, and those whose rewrites are to be tried.
        values: Those on the values of weights.
        near_misses: Whether to keep why rules stayed silent.
    """

    program: str
    path: str
    inputs: dict[str, Dims]
    rules: tuple[RuleReference, ...]
    values: tuple[RuleReference, ...] = ()
    near_misses: bool = False


class Verified(Struct, frozen=True, kw_only=True):
    """What became of the rewrite of a finding."""

    code: str
    layers: tuple[str, ...]
    verification: Verification


class CheckResult(Struct, frozen=True, kw_only=True):
    """What running a model showed.

    Attributes:
        findings: Of the run time rules, and of those on values.
        near_misses: Why they stayed silent, by code.
        finished: Codes of the rules that looked at all they had to look at.
        verified: The verifications of rewrites that fit.
        notes: What was left out and why, a sentence each.
        unread: Which values could not be read, and why, as a clause; "" if all could, or none were to be read.
        traces: The tracebacks of rules that raised an exception.
    """

    findings: tuple[Finding, ...] = ()
    near_misses: dict[str, tuple[NearMiss, ...]] = {}
    finished: frozenset[str] = frozenset()
    verified: tuple[Verified, ...] = ()
    notes: tuple[str, ...] = ()
    unread: str = ""
    traces: tuple[str, ...] = ()

    def join(self, walked: Walk, rules: Iterable[Rule]) -> Walk:
        """Return what the rules said of the same network without running it, and what this adds.

        Args:
            walked: What was said so far.
            rules: Those that were run here.
        """
        verifications = {(each.code, each.layers): each.verification for each in self.verified}
        by_code = {rule.code: rule for rule in rules}
        hits = [
            replace(
                hit,
                finding=replace(hit.finding, verification=verifications.get((hit.finding.code, hit.finding.layers))),
            )
            for hit in (
                *walked.hits,
                *(Hit(by_code.get(finding.code, CrashedRule()), (), finding) for finding in self.findings),
            )
        ]
        return Walk(tuple(hits), {**walked.near_misses, **self.near_misses}, walked.finished | self.finished)


def submit(
    workers: Workers,
    program: str,
    path: str,
    rules: Iterable[Rule],
    *,
    values: Iterable[Rule] = (),
    inputs: Mapping[str, Dims],
    near_misses: bool,
) -> Pending:
    """Have a model run; the answer's `result(CheckResult)` waits for what that shows.

    Args:
        workers: Whose onnxruntime runs it.
        program: The path of its ONNX file.
        path: What the user calls the model.
        rules: Those about run time, and those whose rewrites are to be tried.
        values: Those on the values of weights, which are run if these are few.
        inputs: Shapes by input name.
        near_misses: Whether to keep why rules stayed silent.
    """
    request = CheckRequest(
        program=os.path.abspath(program),
        path=path,
        inputs=dict(inputs),
        rules=tuple(RuleReference.to(rule) for rule in rules),
        values=tuple(RuleReference.to(rule) for rule in values),
        near_misses=near_misses,
    )
    return workers.submit("onnxruntime", f"{__name__}:check", request)


def check(request: CheckRequest) -> CheckResult:
    """Run a model.

    Raises:
        ModelError: It cannot be read.
        UnfinishedRunError: There is not enough memory.
    """
    from cnnlint.frontends import load
    from cnnlint.runtime.inputs import BATCH
    from cnnlint.runtime.probe import Probe
    from cnnlint.runtime.program import Program

    steps.begin("reading it")
    rules = [reference.load() for reference in request.rules]
    try:
        graph = _graph_here(request.program) or load(request.program, inputs=request.inputs)
        program = Program.from_file(request.program)
    except CnnlintError as error:
        if error.path == request.program:
            error.path = request.path
        raise
    macs = total_macs(graph)
    steps.sized(weight_bytes=graph.source.file_bytes or 0, macs=None if macs is None else macs * BATCH)
    probe = Probe(program, graph, inputs=request.inputs)
    values = [reference.load() for reference in request.values] if are_few(graph) else []
    return look(probe, rules, values, near_misses=request.near_misses)


_here: ContextVar[Graph | None] = ContextVar("here", default=None)


@contextmanager
def already_read(graph: Graph) -> Generator[None]:
    """Have a run within the block that this process does itself take `graph`, if it is of the file that is run."""
    token = _here.set(graph)
    try:
        yield
    finally:
        _here.reset(token)


def _graph_here(program: str) -> Graph | None:
    graph = _here.get()
    return graph if graph is not None and os.path.abspath(graph.source.path) == program else None


def are_few(graph: Graph) -> bool:
    """Return whether the values of the weights are so few that the worker looks at them too."""
    return sum(weight.nbytes or 0 for weight in graph.weights) <= FEW


def look(probe: Probe, rules: Sequence[Rule], values: Sequence[Rule] = (), *, near_misses: bool = False) -> CheckResult:
    """Return what the run time rules among `rules` say of the runs of `probe`, and how the rewrites of the others fare.

    Rules on the `values` of weights speak besides.

    Raises:
        UnfinishedRunError: There is not enough memory.
    """
    context = Context(probe.graph)
    checks = [rule for rule in rules if rule.needs_run]
    beginning = [rule for rule in checks if isinstance(rule, RuntimeRule) and type(rule).begin is not RuntimeRule.begin]
    for rule in beginning:
        rule.begin(probe)
    checks.sort(key=lambda rule: rule in beginning)
    tried = attempt(probe, walk(context, [rule for rule in rules if rule.is_fixable()]).hits)
    walked = walk(context, [*values, *checks], probe=probe, near_misses=near_misses)
    verified, notes = settle(probe, tried)
    if probe.untried:
        notes = (*notes, f"run time checks were left out: {probe.untried}")
    return CheckResult(
        findings=walked.findings,
        near_misses=walked.near_misses,
        finished=walked.finished,
        verified=verified,
        notes=notes,
        unread=context.unread_values(),
        traces=walked.traces,
    )


class Attempt(Struct, frozen=True, eq=False):
    """A model after all rewrites that fit, made together.

    Attributes:
        findings: Those that are rewritten, each about one place.
        rewritten: None if nothing is.
        computed: Outputs of the nodes in it that only combine weights.
        obstacles: Why other findings are not, a clause each.
    """

    findings: tuple[Finding, ...] = ()
    rewritten: onnx.ModelProto | None = None
    computed: frozenset[str] = frozenset()
    obstacles: tuple[tuple[Finding, str], ...] = ()


def attempt(probe: Probe, hits: Iterable[Hit]) -> Attempt:
    """Rewrite the model at all of `hits` whose rules can, and have the first run watch what that changes.

    Done before the run time checks, so that one run of the model serves these and the verification.
    """
    fixable = [hit for hit in hits if hit.finding.fixable]
    if not fixable:
        return Attempt()
    from cnnlint.rewrite.editor import Editor

    editor = Editor(probe.program.proto(), probe.program.folder, cast("FileContext | None", probe.graph.file))
    made, obstacles = list[Finding](), list[tuple[Finding, str]]()
    for hit in fixable:
        try:
            with editor.whole():
                hit.rule.rewrite(hit.where, editor)
            made.append(hit.finding)
        except Exception as error:  # a finding stands without its verification
            obstacles.append((hit.finding, _cause(error)))
    if not made:
        return Attempt(obstacles=tuple(obstacles))
    from cnnlint.verification.changed import changed_region

    rewritten = editor.finish()
    region = changed_region(probe.program.proto(), rewritten, [tail.logits for tail in probe.tails])
    probe.watch((*region.border, *region.compared))
    return Attempt(tuple(made), rewritten, editor.computed, tuple(obstacles))


def settle(probe: Probe, tried: Attempt) -> tuple[tuple[Verified, ...], tuple[str, ...]]:
    """Compare the rewritten model with the original under onnxruntime; return what that shows, and why some is missing.

    Raises:
        UnfinishedRunError: There is not enough memory.
    """
    notes = [_unverified(finding, cause) for finding, cause in tried.obstacles]
    if tried.rewritten is None:
        return (), tuple(notes)
    from cnnlint.verification.trial import verify_rewrite

    try:
        verification = verify_rewrite(probe, tried.rewritten)
    except (UnfinishedRunError, MemoryError):
        raise
    except Exception as error:  # findings stand without their verification
        return (), (*notes, *(_unverified(finding, _cause(error)) for finding in tried.findings[:1]))
    return tuple(
        Verified(code=each.code, layers=each.layers, verification=verification) for each in tried.findings
    ), tuple(notes)


def _unverified(finding: Finding, cause: str) -> str:
    where = f" at {finding.layers[0]}" if finding.layers else ""
    return f"the rewrite of {finding.code}{where} is not verified: {cause}"


def _cause(error: Exception) -> str:
    return error.cause if isinstance(error, CnnlintError) else f"{type(error).__name__}: {error}"

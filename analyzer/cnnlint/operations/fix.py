"""Rewrite an ONNX model, round after round until nothing is left to rewrite, and verify the result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.engine.config.binding import bind
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.ignoring import apply_ignores
from cnnlint.engine.rule import Rule
from cnnlint.engine.telling import Hit
from cnnlint.engine.walker import walk
from cnnlint.errors import CnnlintError, ConfigError
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.graph.graph import Graph
from cnnlint.linting.linter import Linter, Plan
from cnnlint.linting.models import open_model
from cnnlint.operations.any_size import open_to_any_size
from cnnlint.operations.diff import diff
from cnnlint.operations.fix_report import AppliedFix, FixReport, LeftOut, Size
from cnnlint.rewrite.editor import Editor
from cnnlint.rewrite.opset import in_opset
from cnnlint.rewrite.storage import Workspace, keeps_apart, write
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.verify import compare, size_up
from cnnlint.worker import steps

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.verification.records import ComparisonReport


Where = tuple[str, tuple[str, ...], str]
"""What identifies a finding: its rule's code, its layers, and its message, whose numbers a rewrite may change."""

MOST_ROUNDS = 30
"""Most rounds of rewrites of one model, in case rules undo one another's rewrites."""

MOST_DROPPED = 20
"""Most rewrites that are dropped one by one because they do not verify; beyond that, something else is wrong."""


class FixRequest(Struct, frozen=True, kw_only=True):
    """A model to rewrite.

    Attributes:
        path: An ONNX model.
        fresh: Where to write the rewritten model; "" to write none.
        select: Codes, names or families of rules, instead of those that the configuration selects.
        inputs: Shapes by input name, as "1x3x224x224", for dims that the model leaves open.
        config: The configuration file to use instead of the nearest one.
        isolated: Use no configuration file.
        allow_config_code: Configurations next to models, or their folders, whose rule files may be run.
        ignore_config_code: Skip other rule files instead of raising an error.
        any_size: Open the image axes instead of applying the rewrites of rules.
        keep_rank: With that, average scores over positions, so that outputs keep their shapes.
        opset: The version of ONNX's operator set that the model is to use; None for its own.
    """

    path: str
    fresh: str = ""
    select: tuple[str, ...] = ()
    inputs: dict[str, str] = {}
    config: str | None = None
    isolated: bool = False
    allow_config_code: tuple[str, ...] = ()
    ignore_config_code: bool = False
    any_size: bool = False
    keep_rank: bool = False
    opset: int | None = None


def fix(request: FixRequest) -> FixReport:
    """Rewrite an ONNX model where rules can, verify it under onnxruntime, and write it.

    Raises:
        ModelError: It cannot be read.
        ConfigError: It is not an ONNX model, or none of the selected rules can rewrite.
        RuntimeCheckError: One of the two models does not run.
    """
    path = request.path
    allowed = tuple(map(Path, request.allow_config_code))
    flags = Flags(
        select=request.select or None,
        inputs=request.inputs,
        allow_config_code=allowed,
        ignore_config_code=request.ignore_config_code,
    )
    config = None if request.config is None else Path(request.config)
    linter = Linter(flags, config=config, isolated=request.isolated, rewriting=True)
    plan = linter.complete_plan(path)
    bound = bind(plan.selection.rules, plan.settings, plan.known, path)
    rules = tuple(
        rule
        for rule in bound
        if rule.is_fixable() and (not rule.rewrites_on_request or {rule.code, rule.name} & {*request.select})
    )
    if request.select and not rules and not request.any_size:
        raise ConfigError(f"none of the selected rules ({', '.join(request.select)}) can rewrite a model", path=path)
    given = open_model(path)
    if not given.is_rewritable:
        raise ConfigError(
            "only local ONNX models can be rewritten", path=path, remedy="convert it with cnnlint convert"
        )
    inputs = plan.settings.inputs_for(path)
    graph = given.graph(inputs)
    program = Program.from_file(given.program)
    size_up(graph)
    with TemporaryDirectory(prefix=".cnnlint-", dir=os.path.dirname(request.fresh) or None) as folder:
        workspace = Workspace(folder, program)
        stored = request.fresh or os.path.join(folder, "rewritten.onnx")
        if request.any_size:
            opened = open_to_any_size(program, graph, workspace, stored, keep_rank=request.keep_rank)
            if opened is None:
                return FixReport(path=path)
            any_size, parity, last = opened
            report = FixReport(path=path, any_size=any_size)
            closing = any_size.closing
        else:
            job = _Job(rules, plan, linter.today, workspace)
            done = job.verified(_State(program, graph), stored, request.opset)
            report = FixReport(
                path=path,
                applied=done.applied,
                dropped=done.dropped,
                obstacles=done.obstacles,
                opset=done.opset,
            )
            if done.parity is None:
                return report
            parity, last, closing = done.parity, done.states[-1].program, dict[str, str]()
        called = f"{path} (fixed)"
        difference = diff(
            path,
            stored,
            # globs do not fit the new file
            inputs={name: "x".join(map(str, dims)) for name, dims in inputs.items()} | closing,
            config=config,
            isolated=request.isolated,
            allow_config_code=allowed,
            ignore_config_code=request.ignore_config_code,
        )
        return replace(
            report,
            before=_size(program, path),
            after=_size(last, stored),
            parity=replace(parity, after=called, layers=() if parity.equal else parity.layers),
            diff=replace(difference, after=called),
        )


def _size(program: Program, path: str) -> Size:
    beside = f"{path}.data"
    nbytes = os.path.getsize(path) + (os.path.getsize(beside) if os.path.exists(beside) else 0)
    return Size(nodes=len(program.record.graph.nodes), nbytes=nbytes)


class _State(Struct, frozen=True, eq=False):
    """A model between two rounds.

    Attributes:
        program: The model.
        graph: Its network.
        hits: What the last round rewrote.
        applied: The same, for the report.
        obstacles: Why the last round did not rewrite others.
    """

    program: Program
    graph: Graph
    hits: tuple[Hit, ...] = ()
    applied: tuple[AppliedFix, ...] = ()
    obstacles: tuple[LeftOut, ...] = ()

    def runner(self, path: str) -> OnnxRunner:
        return OnnxRunner(path, self.program, self.graph)


class _Done(Struct, frozen=True, eq=False):
    """What became of a model.

    Attributes:
        states: The model after each round, the given one first.
        parity: The last one held against the first; None if nothing was rewritten.
        dropped: Rewrites that were left out because they did not verify.
        obstacles: Why others were not made.
    """

    states: tuple[_State, ...]
    parity: ComparisonReport | None = None
    dropped: tuple[LeftOut, ...] = ()
    obstacles: tuple[LeftOut, ...] = ()

    @property
    def opset(self) -> tuple[int, int] | None:
        """The version of ONNX's operator set before and after; None if it stayed."""
        before, after = (state.program.record.opsets.get("", 0) for state in (self.states[0], self.states[-1]))
        return None if before == after else (before, after)

    @property
    def applied(self) -> tuple[AppliedFix, ...]:
        return tuple(each for state in self.states for each in state.applied)


class _Job(Struct, frozen=True, eq=False):
    """The rules that rewrite, the settings of the model, and where its weights are."""

    rules: tuple[Rule, ...]
    plan: Plan
    today: date
    workspace: Workspace

    def verified(self, given: _State, stored: str, opset: int | None) -> _Done:
        """Rewrite the model, write it, and hold it against the original; what does not verify is left out.

        Args:
            given: The model.
            stored: The file to write.
            opset: The version of ONNX's operator set that it is to use; None for its own.

        Raises:
            RewriteError: It cannot be brought to that version.
        """
        dropped = dict[Where, LeftOut]()
        states = [given]
        if opset not in (None, given.program.record.opsets.get("")):
            states.append(self._read(in_opset(given.program, opset)))
        while True:
            states, obstacles = self._rounds(states, frozenset(dropped))
            if len(states) == 1:
                return _Done(tuple(states), None, tuple(dropped.values()), obstacles)
            steps.begin("verifying the rewritten model")
            write(states[-1].program, stored, apart=keeps_apart(given.program))
            path = given.program.path
            inputs = self.plan.settings.inputs_for(path)
            after = OnnxRunner(f"{path} (fixed)", Program.from_file(stored), load(stored, inputs=inputs))
            parity = compare(given.runner(path), after, rewritten=True)
            if parity.equal or len(dropped) >= MOST_DROPPED:
                return _Done(tuple(states), parity, tuple(dropped.values()), obstacles)
            before, culprits = self._culprits(states, parity)
            if not culprits:  # it is the other opset that makes the difference
                return _Done(tuple(states), parity, tuple(dropped.values()), obstacles)
            states = before
            dropped.update(culprits)

    def _rounds(self, states: list[_State], dropped: frozenset[Where]) -> tuple[list[_State], tuple[LeftOut, ...]]:
        """Rewrite until nothing is left; return the model after each round, and what was not rewritten."""
        states = list(states)
        made = {_where(hit) for state in states for hit in state.hits}
        obstacles = tuple[LeftOut, ...]()
        while len(states) <= MOST_ROUNDS:
            state = states[-1]
            known = dropped | made
            hits = [hit for hit in self._hits(state) if hit.finding.fixable and _where(hit) not in known]
            following = self._rewritten(state, hits)
            obstacles = following.obstacles
            if not following.hits:
                break
            made.update(map(_where, following.hits))
            states.append(following)
        return states, obstacles

    def _hits(self, state: _State) -> tuple[Hit, ...]:
        settings = self.plan.settings
        return apply_ignores(
            walk(Context(state.graph), self.rules),
            state.graph,
            settings.ignores_for(state.program.path),
            self.plan.known,
            honor_model=settings.model_ignores,
            enabled=self.plan.selection.rules,
            today=self.today,
        ).hits

    def _rewritten(self, state: _State, hits: Sequence[Hit]) -> _State:
        """Make all rewrites that fit, each as a whole; one that another is in the way of is for the next round.

        Raises:
            RewriteError: A weight cannot be worked out, and not for a single rewrite's sake.
        """
        file = cast("FileContext | None", state.graph.file)
        editor = Editor(state.program.proto(), state.program.folder, file)
        applied, obstacles = list[AppliedFix](), list[LeftOut]()
        made = list[Hit]()
        for hit in hits:
            finding, nodes = hit.finding, len(editor)
            try:
                with editor.whole():
                    hit.rule.rewrite(hit.where, editor)
            except CnnlintError as error:
                obstacles.append(_left_out(hit, error.cause))
                continue
            made.append(hit)
            applied.append(
                AppliedFix(code=finding.code, name=finding.name, layers=finding.layers, nodes=len(editor) - nodes)
            )
        if not made:
            return _State(state.program, state.graph, (), (), tuple(obstacles))
        computed = editor.computed
        try:
            settled = self._read(self.workspace.settle(editor.finish(), computed))
        except CnnlintError as error:
            if len(made) == 1:
                return _State(state.program, state.graph, (), (), (*obstacles, _left_out(made[0], error.cause)))
            sound = [hit for hit in made if self._rewritten(state, [hit]).hits]
            return self._rewritten(state, sound if len(sound) < len(made) else sound[:1])
        return replace(settled, hits=tuple(made), applied=tuple(applied), obstacles=tuple(obstacles))

    def _read(self, program: Program) -> _State:
        beside = os.path.join(program.folder, os.path.basename(program.path))
        inputs = self.plan.settings.inputs_for(program.path)
        return _State(program, load_onnx_bytes(program.content, beside, inputs=inputs))

    def _culprits(self, states: list[_State], parity: ComparisonReport) -> tuple[list[_State], dict[Where, LeftOut]]:
        """Find which rewrites change the function; return the model before their round, and them.

        A layer that rounding does not explain shows those that rewrote it. Where none did, or only outputs differ, the
        rewrites are halved until the ones that do it are found.
        """
        failed = set(() if parity.verification is None else parity.verification.failed)
        shown = {
            _where(hit): (at, _left_out(hit, f"{name} differs by more than rounding explains with it"))
            for at, state in enumerate(states)
            for hit in state.hits
            for name in hit.finding.layers[::-1]
            if name in failed
        }
        if shown:
            return states[: min(at for at, _ in shown.values())], {
                hit: left_out for hit, (_, left_out) in shown.items()
            }
        path = states[0].program.path
        low, high = 0, len(states) - 1  # the model is right after round `low`, and wrong after round `high`
        while high - low > 1:
            middle = (low + high) // 2
            if compare(states[0].runner(path), states[middle].runner(path), rewritten=True).equal:
                low = middle
            else:
                high = middle
        before = states[low]
        hits = states[high].hits
        differing = [row for row in parity.outputs if row.verdict == "differs"]
        worst = max((row.max_rel_error or 0.0 for row in differing), default=0.0)
        notes = dict.fromkeys(row.note for row in differing if row.max_rel_error is None and row.note)

        def wrong(some: Sequence[Hit]) -> bool:
            after = self._rewritten(before, some)
            return bool(after.hits) and not compare(before.runner(path), after.runner(path), rewritten=True).equal

        while len(hits) > 1:
            half = len(hits) // 2
            found = next((part for part in (hits[:half], hits[half:]) if wrong(part)), None)
            if found is None:
                break  # none of them alone: what they do together is left out together
            hits = found
        cause = (
            f"an output differs with it: {', '.join(notes)}" if notes else f"an output differs by {worst:.2g} with it"
        )
        return states[: low + 1], {_where(hit): _left_out(hit, cause) for hit in hits}


def _where(hit: Hit) -> Where:
    return hit.finding.code, hit.finding.layers, hit.finding.message


def _left_out(hit: Hit, cause: str) -> LeftOut:
    return LeftOut(code=hit.finding.code, name=hit.finding.name, layers=hit.finding.layers, cause=cause)

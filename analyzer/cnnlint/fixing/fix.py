"""All rewrites of an ONNX model, one after the other until no rule finds anything to rewrite, and their proof."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint import __version__
from cnnlint.compare.compare import compare
from cnnlint.compare.onnx_side import OnnxSide
from cnnlint.compare.writing import save
from cnnlint.config.options import bind
from cnnlint.config.settings import Flags
from cnnlint.context import Context
from cnnlint.difference.diff import diff
from cnnlint.errors import CnnlintError, ConfigError
from cnnlint.finding import Finding
from cnnlint.fixing.records import AppliedFix, FixReport
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.patterns import Match
from cnnlint.ignoring import obey
from cnnlint.linter import Linter, Plan
from cnnlint.models import program_of, raise_model
from cnnlint.rewrite.editor import Editor
from cnnlint.rewrite.materialize import materialize
from cnnlint.rewrite.prove import prove
from cnnlint.rule import LayerRule, PatternRule, Rule
from cnnlint.runtime.probe import Probe
from cnnlint.runtime.program import Program
from cnnlint.walker import Place, walk

if TYPE_CHECKING:
    import onnx


Where = tuple[str, tuple[str, ...]]
"""A finding by its rule's code and its layers."""

MOST_REWRITES = 1000
"""Rewrites of one model; rules that undo one another must not go on for ever."""


class Rewritten(Struct, frozen=True, eq=False):
    """A model after its rewrites.

    Attributes:
        model: Its large weights are still in the original's file.
        applied: The rewrites.
        obstacles: Why others were not made.
    """

    model: onnx.ModelProto
    applied: tuple[AppliedFix, ...]
    obstacles: tuple[str, ...]


def fix(
    path: str,
    *,
    select: Iterable[str] | None = None,
    inputs: Mapping[str, str] | None = None,
    config: Path | None = None,
    isolated: bool = False,
) -> tuple[onnx.ModelProto | None, FixReport]:
    """Rewrite the ONNX model at `path` where rules can, and compare it with the original under onnxruntime.

    Args:
        path: An ONNX model.
        select: Codes, names or families of rules, instead of those that the configuration runs.
        inputs: Shapes by input name, as "1x3x224x224", for dims that the model leaves open.
        config: The configuration file to take instead of the nearest one.
        isolated: Take no configuration file.

    Returns:
        The rewritten model with all its weights inside, None if nothing was rewritten; and the report.

    Raises:
        ModelError: It cannot be read.
        ConfigError: It is no ONNX model, or none of the rules asked for can rewrite.
        RuntimeCheckError: One of the two models does not run.
    """
    flags = Flags(select=tuple(select) if select else None, inputs=dict(inputs or {}))
    linter = Linter(flags, config=config, isolated=isolated)
    plan = linter.plan(path)
    rules = tuple(rule for rule in bind(plan.selection.rules, plan.settings, plan.known, path) if rule.is_fixable())
    if select and not rules:
        raise ConfigError(f"no rule among {', '.join(flags.select or ())} can rewrite a model", path=path)
    graph = raise_model(path, plan.settings.inputs)
    if graph.source.format != "onnx" or "://" in path:
        raise ConfigError(
            "only local ONNX models can be rewritten", path=path, remedy="convert it with cnnlint convert"
        )
    program = program_of(path, graph)
    rewritten = _Job(rules, plan, linter.today).rewrite(program, graph)
    report = FixReport(cnnlint=__version__, path=path, applied=rewritten.applied, obstacles=rewritten.obstacles)
    if not rewritten.applied:
        return None, report
    probe = Probe(program, graph, inputs=plan.settings.inputs)
    proof = prove(probe, rewritten.model)
    model = materialize(rewritten.model, program)
    with TemporaryDirectory(prefix="cnnlint-") as folder:  # from a file, weights are mapped and not copied
        stored = os.path.join(folder, "model.onnx")
        save(model, stored)
        fixed = load(stored, inputs=plan.settings.inputs)
        called = f"{path} (fixed)"
        parity = compare(
            OnnxSide(path, program, graph), OnnxSide(called, Program.from_file(stored), fixed), layers=False
        )
        difference = diff(path, stored, inputs=inputs, config=config, isolated=isolated)
    return model, replace(report, proof=proof, parity=parity, diff=replace(difference, after=called))


class _Job(Struct, frozen=True, eq=False):
    """What is to be rewritten, by whom."""

    rules: tuple[Rule, ...]
    plan: Plan
    today: date

    def rewrite(self, program: Program, graph: Graph) -> Rewritten:
        """Rewrite the first finding that can be, look at the model anew, and so on."""
        applied, obstacles = list[AppliedFix](), dict[Where, str]()
        beside = os.path.join(program.folder, "model.onnx")
        while len(applied) < MOST_REWRITES:
            step = self._first(program, graph, obstacles)
            if step is None:
                break
            finding, model = step
            applied.append(AppliedFix(code=finding.code, name=finding.name, layers=finding.layers))
            program = Program(model.SerializeToString(), program.folder, program.path)
            graph = load_onnx_bytes(program.content, beside, inputs=self.plan.settings.inputs)
        return Rewritten(program.proto(), tuple(applied), tuple(obstacles.values()))

    def _first(
        self, program: Program, graph: Graph, obstacles: dict[Where, str]
    ) -> tuple[Finding, onnx.ModelProto] | None:
        """Return the first finding whose rewrite fits, and the model without it; note in `obstacles` what does not."""
        walked = walk(Context(graph), self.rules)
        settings = self.plan.settings
        wanted = obey(
            walked,
            graph,
            settings.ignores_for(program.path),
            self.plan.known,
            heed_model=settings.model_ignores,
            enabled=self.plan.selection.rules,
            today=self.today,
        ).findings
        for place in walked.places:
            finding = place.finding
            where = finding.code, finding.layers
            if where in obstacles or finding not in wanted:
                continue
            try:
                return finding, _rewritten(place, Editor(program.proto()))
            except CnnlintError as error:
                at = f" at {finding.layers[0]}" if finding.layers else ""
                obstacles[where] = f"{finding.code}{at} cannot be rewritten: {error.cause}"
        return None


def _rewritten(place: Place, editor: Editor) -> onnx.ModelProto:
    match place.rule, place.where:
        case PatternRule() as rule, Match() as where:
            rule.rewrite(where, editor)
        case LayerRule() as rule, Layer() as where:
            rule.rewrite(where, editor)
        case _:
            raise ConfigError(f"{place.rule.code} has no rewrite")
    return editor.finish()

"""Rewrite an ONNX model, one finding after the other until nothing is left to rewrite, and verify the result."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.comparison.diff import diff
from cnnlint.conversion.writing import save
from cnnlint.engine.checking import rewrite
from cnnlint.engine.config.binding import bind
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.ignoring import apply_ignores
from cnnlint.engine.rule import Rule
from cnnlint.engine.walker import walk
from cnnlint.errors import CnnlintError, ConfigError
from cnnlint.fixing.report import AppliedFix, FixReport
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.graph.graph import Graph
from cnnlint.linter import Linter, Plan
from cnnlint.models import open_model
from cnnlint.results import Finding
from cnnlint.runtime.probe import Probe
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.rearranged import materialize
from cnnlint.verification.trial import verify_rewrite
from cnnlint.verification.verify import compare, size_up

if TYPE_CHECKING:
    import onnx


Where = tuple[str, tuple[str, ...]]
"""What identifies a finding: its rule's code and its layers."""

MOST_REWRITES = 1000
"""Most rewrites of one model, in case rules undo one another's rewrites."""


class Rewritten(Struct, frozen=True, eq=False):
    """A model after its rewrites.

    Attributes:
        model: Its large weights are still in the original's file.
        applied: The rewrites that were made.
        obstacles: Why others were not.
    """

    model: onnx.ModelProto
    applied: tuple[AppliedFix, ...]
    obstacles: tuple[str, ...]


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
    """

    path: str
    fresh: str = ""
    select: tuple[str, ...] = ()
    inputs: dict[str, str] = {}
    config: str | None = None
    isolated: bool = False
    allow_config_code: tuple[str, ...] = ()
    ignore_config_code: bool = False


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
    linter = Linter(flags, config=config, isolated=request.isolated)
    plan = linter.complete_plan(path)
    rules = tuple(rule for rule in bind(plan.selection.rules, plan.settings, plan.known, path) if rule.is_fixable())
    if request.select and not rules:
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
    rewritten = _Job(rules, plan, linter.today).rewrite(program, graph)
    report = FixReport(path=path, applied=rewritten.applied, obstacles=rewritten.obstacles)
    if not rewritten.applied:
        return report
    probe = Probe(program, graph, inputs=inputs)
    verification = verify_rewrite(probe, rewritten.model)
    model = materialize(rewritten.model, program)
    with TemporaryDirectory(prefix="cnnlint-") as folder:  # from a file, weights are mapped and not copied
        stored = request.fresh or os.path.join(folder, "model.onnx")
        save(model, stored)
        fixed = load(stored, inputs=inputs)
        called = f"{path} (fixed)"
        parity = compare(OnnxRunner(path, program, graph), OnnxRunner(called, Program.from_file(stored), fixed))
        difference = diff(
            path,
            stored,
            inputs={name: "x".join(map(str, dims)) for name, dims in inputs.items()},  # globs do not fit the new file
            config=config,
            isolated=request.isolated,
            allow_config_code=allowed,
            ignore_config_code=request.ignore_config_code,
        )
    equal = verification.equivalent and parity.equal  # both reports give the overall verdict
    return replace(
        report,
        verification=replace(verification, equivalent=equal),
        parity=replace(
            parity,
            equal=equal,
            layers=() if equal else parity.layers,
            verification=None if parity.verification is None else replace(parity.verification, equivalent=equal),
        ),
        diff=replace(difference, after=called),
    )


class _Job(Struct, frozen=True, eq=False):
    """The rules that rewrite, and the settings of the model."""

    rules: tuple[Rule, ...]
    plan: Plan
    today: date

    def rewrite(self, program: Program, graph: Graph) -> Rewritten:
        """Rewrite the first finding that can be rewritten, lint the result, and so on."""
        applied, obstacles = list[AppliedFix](), dict[Where, str]()
        beside = os.path.join(program.folder, "model.onnx")
        while len(applied) < MOST_REWRITES:
            step = self._first(program, graph, obstacles)
            if step is None:
                break
            finding, model = step
            applied.append(AppliedFix(code=finding.code, name=finding.name, layers=finding.layers))
            program = Program(model.SerializeToString(), program.folder, program.path)
            graph = load_onnx_bytes(program.content, beside, inputs=self.plan.settings.inputs_for(program.path))
        return Rewritten(program.proto(), tuple(applied), tuple(obstacles.values()))

    def _first(
        self, program: Program, graph: Graph, obstacles: dict[Where, str]
    ) -> tuple[Finding, onnx.ModelProto] | None:
        """Return the first finding whose rewrite fits, and the new model; note in `obstacles` why others do not."""
        walked = walk(Context(graph), self.rules)
        settings = self.plan.settings
        left = apply_ignores(
            walked,
            graph,
            settings.ignores_for(program.path),
            self.plan.known,
            honor_model=settings.model_ignores,
            enabled=self.plan.selection.rules,
            today=self.today,
        )
        for hit in left.hits:
            finding = hit.finding
            where = finding.code, finding.layers
            if where in obstacles:
                continue
            try:
                model = rewrite(hit, program.proto())
            except CnnlintError as error:
                at = f" at {finding.layers[0]}" if finding.layers else ""
                obstacles[where] = f"{finding.code}{at} cannot be rewritten: {error.cause}"
                continue
            if model is not None:
                return finding, model
        return None

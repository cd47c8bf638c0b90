"""The lint of one model after the other: its configuration, its rules, its graph, its run, its report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.analysis.surroundings import sites
from cnnlint.definitions.target import Definition, parse
from cnnlint.engine.budget import BudgetRule, measure
from cnnlint.engine.config.binding import bind, check_allowed, left_out, may_run_code, without_code
from cnnlint.engine.config.load import Document
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.config.settings import Settings, definitions_of, resolve
from cnnlint.engine.housekeeping import RunNotFinished
from cnnlint.engine.ignoring import Ignore, apply_ignores, once_per_run
from cnnlint.engine.registry import RuleSet, load_rules
from cnnlint.engine.rule import Rule
from cnnlint.engine.selection import Selection, choose, severities
from cnnlint.engine.telling import Hit, as_finding, first_causes, relative, told
from cnnlint.engine.walker import walk
from cnnlint.errors import CnnlintError, ConfigError, ConversionError, UnfinishedRunError, guarded
from cnnlint.frontends import is_address
from cnnlint.graph.graph import Graph, gc_paused
from cnnlint.graph.layers import Conv, ConvTranspose, Opaque
from cnnlint.linting.checking import CheckResult, already_read, are_few, submit
from cnnlint.linting.models import DefinedModel, Download, Model, RemoteModel, open_model, path_of
from cnnlint.results import Finding, ModelReport, Severity
from cnnlint.worker import steps
from cnnlint.worker.limits import RunLimits
from cnnlint.worker.workers import Pending, Workers

if TYPE_CHECKING:
    from cnnlint.definitions.lines import Lines
    from cnnlint.definitions.run import Run
    from cnnlint.engine.drawing import Drawing
    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.linting.baseline import Baseline, Sighting
    from cnnlint.linting.cache import Slot
    from cnnlint.linting.models import Given


class Plan(Struct, frozen=True):
    """What is to be done with the models under one configuration.

    Attributes:
        settings: The configuration and flags.
        known: All rules there are.
        selection: Those that run.
        severity: Severities that replace the rules' own, by code.
        incomplete: What is left out of the lint though the configuration asks for it; "" if nothing.
    """

    settings: Settings
    known: RuleSet
    selection: Selection
    severity: dict[str, Severity]
    incomplete: str = ""


class Baselines:
    """The baselines of a run, each read once; most runs have none.

    Args:
        anew: The file to write in place of holding models to those that the configuration has.
        only: The one to hold all models to, in place of those too.
    """

    def __init__(self, anew: Path | None = None, *, only: Baseline | None = None) -> None:
        self.anew = anew
        self.only = only
        self._read: dict[Path, Baseline] = {}

    def of(self, path: Path | None) -> Baseline | None:
        """Return the baseline for models whose configuration has the one at `path`; None if there is none.

        Raises:
            ConfigError: It cannot be read.
        """
        if self.only is not None:
            return self.only
        path = self.anew or path
        if path is None:
            return None
        if path not in self._read:
            from cnnlint.linting.baseline import Baseline

            self._read[path] = Baseline(path, anew=self.anew is not None)
        return self._read[path]

    def __iter__(self) -> Iterator[Baseline]:
        return iter(self._read.values())


class Linter:
    """Lints models one at a time; configurations and rules are read once for all.

    Args:
        flags: What outweighs every configuration file.
        config: The one configuration file to take.
        isolated: Whether to take none.
        documents: In place of both, what has found configurations already.
        models: All paths of the run, so that budgets, inputs and ignores that fit none of them are noticed.
        near_misses: Whether reports hold why rules stayed silent.
        today: Decides which ignores have run out.
        baselines: What is known of models already; nothing if None.
        rewriting: Whether rules that rewrite unasked run too.
        drawings: Where to put what reports draw of each model, by path; None if nothing is drawn.
        definitions: The code behind models of the run, by path: of a network that is linted under its name in a
            configuration, or of a stored model that the code made.
        run: What runs that code; a new process for each if None.
        watch: What is shown each network, with what is known about it, before rules look at it.

    Attributes:
        errors: What was wrong with models that could not be linted, by path.
        said: What the code of definitions printed, by path.
        traces: The tracebacks of rules that raised an exception, by path.
        unfinished: Why runs did not end, by path.
        sightings: What models say of baselines, by path.
        in_code: The ignores in the code of the models linted so far that may turn out to hide nothing, by path.

    Raises:
        ConfigError: The configuration of a model is wrong, or a glob of it matches no model.
        RuleError: A plugin or a file of rules is.
    """

    def __init__(
        self,
        flags: Flags | None = None,
        *,
        config: Path | None = None,
        isolated: bool = False,
        documents: Documents | None = None,
        models: Sequence[str] = (),
        near_misses: bool = False,
        today: date | None = None,
        baselines: Baselines | None = None,
        rewriting: bool = False,
        drawings: dict[str, Drawing] | None = None,
        definitions: Mapping[str, Definition] | None = None,
        run: Run | None = None,
        watch: Callable[[Context], None] | None = None,
    ) -> None:
        self._watch = watch
        self.rewriting = rewriting
        self.said = dict[str, str]()
        self.in_code = dict[str, tuple[Ignore, ...]]()
        self.traces = dict[str, tuple[str, ...]]()
        self._definitions = definitions or {}
        self._run_code = run
        self.drawings = drawings
        self.flags = flags or Flags()
        self.near_misses = near_misses
        self.today = today or date.today()  # noqa: DTZ011 - an ignore runs out where its reader lives
        self.errors = dict[str, CnnlintError]()
        self.unfinished = dict[str, CnnlintError]()
        self.sightings: dict[str, Sighting] = {}
        self.baselines = baselines
        self._workers = dict[RunLimits, Workers]()
        check_allowed(self.flags.allow_config_code)
        self.documents = documents or Documents(config, isolated=isolated)
        self._plans = dict[Path | None, Plan]()
        self._rules = dict[tuple[Path, ...], RuleSet]()
        self._run = frozenset(Path(model).resolve() for model in models)
        for plan, paths in self._by_plan([path_of(model) for model in models]):
            plan.settings.check_globs(paths)

    def plan(self, path: str) -> Plan:
        """Return what is to be done with the model at `path`."""
        document = self.documents.of(path)
        key = None if document is None else document.path
        if key not in self._plans:
            incomplete = ""
            if document is not None and not self._may_run_code(document):
                incomplete = "" if self.flags.ignore_config_code else left_out(document)
                document = without_code(document, self._known(tuple(map(Path, self.flags.rule_files))))
            settings = resolve(document, self.flags).for_run(self._run)
            known = self._known(settings.rule_files)
            selection = choose(
                known,
                settings.requests,
                pedantic=settings.pedantic,
                preview=settings.preview,
                rewriting=self.rewriting,
            )
            for _, ignore in settings.per_model_ignores:
                if not known.matching(ignore.selector):
                    raise known.unknown(ignore.selector, where=ignore.origin)
            where = None if document is None else document.place("severity")
            severity = severities(known, settings.severity, where=where)
            self._plans[key] = Plan(settings, known, selection, severity, incomplete)
        return self._plans[key]

    def complete_plan(self, path: str) -> Plan:
        """Return what is to be done with the model at `path`, for whoever can leave nothing out.

        Raises:
            ConfigError: The plan leaves out rules that nobody has allowed to run.
        """
        plan = self.plan(path)
        if plan.incomplete:
            raise ConfigError(plan.incomplete)
        return plan

    def lint(self, model: Given, *, run: UnfinishedRunError | None = None) -> ModelReport:
        """Return the report of one model; what is wrong with the model itself stands in its `error`.

        Args:
            model: The model.
            run: How a run of it ended, so that it is not run again.

        Raises:
            ConfigError: The configuration is wrong.
            RuleError: A plugin or a file of rules is.
        """
        path = path_of(model)
        plan = self.plan(path)
        rules = bind(plan.selection.rules, plan.settings, plan.known, path)
        outcome = guarded(path, lambda: self._report(model, path, plan, rules, run))
        if isinstance(outcome, ModelReport):
            return replace(outcome, incomplete=(plan.incomplete,)) if plan.incomplete else outcome
        return self.failed(path, outcome)

    def failed(self, path: str, error: CnnlintError) -> ModelReport:
        """Return the report of a model that could not be linted, and keep why."""
        error.path = error.path or path
        self.errors[path] = error
        return ModelReport(path=path, format=None, error=str(error), fail_on=self.plan(path).settings.fail_on)

    def is_file(self, model: Given) -> bool:
        """Return whether a model is one that other processes can read as this one does: no code is behind it."""
        if not isinstance(model, (str, os.PathLike)):
            return False
        path = os.fspath(model)
        return path not in self._definitions and parse(path) is None

    def kept(self, model: Given) -> ModelReport | None:
        """Return the report of an earlier run, if nothing has changed since; None if there is none."""
        path = path_of(model)
        plan = self.plan(path)
        if plan.settings.cache is None:
            return None
        baseline = self._baseline(plan)
        report = self._read(self._slot(model, path, plan, baseline), baseline)
        return replace(report, incomplete=(plan.incomplete,)) if report is not None and plan.incomplete else report

    def recall(self, path: str, sighting: Sighting) -> None:
        """Take up what another process has seen of the baseline that the model at `path` is held to."""
        baseline = self._baseline(self.plan(path))
        if baseline is not None:
            baseline.recall(sighting)

    def _report(
        self, model: Given, path: str, plan: Plan, rules: tuple[Rule, ...], run: UnfinishedRunError | None
    ) -> ModelReport:
        baseline = self._baseline(plan)
        slot = self._slot(model, path, plan, baseline)
        if run is None and (kept := self._read(slot, baseline)) is not None:
            return kept
        with gc_paused(), self._opened(model, path, plan.settings) as here:
            return self._lint(here, path, plan, rules, slot=slot, baseline=baseline, ended=run)

    def _baseline(self, plan: Plan) -> Baseline | None:
        return None if self.baselines is None else self.baselines.of(plan.settings.baseline)

    def _read(self, slot: Slot | None, baseline: Baseline | None) -> ModelReport | None:
        kept = None if slot is None else slot.read()
        if kept is None:
            return None
        if baseline is not None and kept.sighting is not None:
            baseline.recall(kept.sighting)
        return kept.report

    def settled(self, reports: Sequence[ModelReport]) -> tuple[ModelReport, ...]:
        """Return the `reports` of the whole run, with what only all of them together can say of their ignores."""

        def ignores_for(path: str) -> tuple[Ignore, ...]:
            return (*self.plan(path).settings.ignores_for(path), *self.in_code.get(path, ()))

        defined = definitions_of(self.documents.chosen()) if any(self.in_code.values()) else ()
        linted = {report.path for report in reports}
        is_whole = not any(
            linted.isdisjoint({each.name, relative(os.path.join(each.root, each.model or ""))}) for each in defined
        )
        return once_per_run(reports, ignores_for, is_whole=is_whole)

    def _slot(self, model: Given, path: str, plan: Plan, baseline: Baseline | None) -> Slot | None:
        """Return where the result of a model is kept; None if it is not."""
        if (
            plan.settings.cache is None
            or (baseline is not None and (baseline.anew or not baseline.is_file))
            or self.drawings is not None  # a result that is kept has no layers
            or not isinstance(model, (str, os.PathLike))
        ):
            return None
        from cnnlint.linting.cache import slot_of

        return slot_of(
            path, plan.settings, plan.known, near_misses=self.near_misses, today=self.today, baseline=baseline
        )

    def close(self) -> None:
        """End the processes in which models were run."""
        for workers in self._workers.values():
            workers.close()

    def _opened(self, given: Given, path: str, settings: Settings) -> Model | Download:
        """Return a context whose value is the model; one behind a URL lies on this machine in it if it is to be run."""
        definition = self._definition_of(given, path)
        if definition is not None and definition.model is None:
            given = definition
        workers = self._workers_within(settings)
        if isinstance(given, Definition):
            return DefinedModel(given, workers, self._run_code, values=settings.static is False)
        model = open_model(given, workers)
        return Download(model) if settings.static is False and isinstance(model, RemoteModel) else model

    def _workers_within(self, settings: Settings) -> Workers:
        if settings.limits not in self._workers:
            self._workers[settings.limits] = Workers(settings.limits)
        return self._workers[settings.limits]

    def _definition_of(self, given: Given, path: str) -> Definition | None:
        """Return the code behind a model of the run, with the interpreter that was chosen; None if there is none."""
        found = given if isinstance(given, Definition) else self._definitions.get(path)
        if found is None and isinstance(given, (str, os.PathLike)) and not is_address(path):
            found = parse(path)
        return found if found is None or self.flags.python is None else replace(found, python=self.flags.python)

    def _lines(self, model: Model, path: str, graph: Graph, settings: Settings) -> Lines | None:
        """Return what is known of the code behind the network; None if nothing is."""
        definition = self._definitions.get(path)
        coded, note = model, ""
        sources = model.sources
        if definition is not None and definition.model is not None:
            from cnnlint.definitions.lines import tied

            definition = replace(definition, python=self.flags.python)
            coded = DefinedModel(definition, self._workers_within(settings), self._run_code, values=False)
            made = coded.graph(settings.inputs_for(path))
            sources, difference = tied(coded.sources, made, graph)
            note = f"this is not the network that {definition.factory} makes: it {difference}" if difference else ""
        if isinstance(coded, DefinedModel):
            self.said[path] = coded.built().said
        file = cast("FileContext | None", graph.file) if graph.source.format == "onnx" else None
        if not sources and not note and not (file is not None and file.traces):
            return None
        from cnnlint.definitions.lines import Lines

        return Lines(graph, file, sources, note=note)

    def _lint(
        self,
        model: Model,
        path: str,
        plan: Plan,
        rules: tuple[Rule, ...],
        *,
        slot: Slot | None = None,
        baseline: Baseline | None = None,
        ended: UnfinishedRunError | None = None,
    ) -> ModelReport:
        settings = plan.settings
        run = _Run(model, path, rules, settings, near_misses=self.near_misses, ended=ended)
        steps.tell("reading it")
        graph = model.graph(settings.inputs_for(path))
        steps.tell("checking it")
        context = Context(graph)
        lines = self._lines(model, path, graph, settings)
        if self.drawings is not None:
            self._draw(path, context, lines, self.drawings)
        if self._watch is not None:
            self._watch(context)
        reads = model.is_here if settings.static is None else not settings.static
        kept = rules if reads else tuple(rule for rule in rules if not rule.reads_values)
        beside = run.has_values and are_few(graph)
        here = [rule for rule in kept if not rule.reads_values] if beside else kept
        walked = walk(context, here, near_misses=self.near_misses)
        with already_read(graph):
            unfinished, result = run.finish()
        if run.ended is not None:
            self.unfinished[path] = run.ended
        if beside and unfinished:
            walked = walk(context, kept, near_misses=self.near_misses)
        notes = [*plan.selection.notes, *_blind_spots(context, context.unread_values() or result.unread), *result.notes]
        left_out = ["run time checks"] if run.left_out else []
        left_out += ["rules on the values of weights"] if len(kept) < len(rules) and not settings.static else []
        if lines is not None and lines.note:
            notes.append(lines.note)
        if left_out:
            notes.append(f"{' and '.join(left_out)} were left out: {model.why_not_run}")
        if walked.traces or result.traces:
            self.traces[path] = (*walked.traces, *result.traces)
        walked = result.join(walked, rules)
        if lines:
            walked = replace(walked, hits=tuple(_on_its_line(hit, lines) for hit in walked.hits))
        wishes = lines.wishes if lines and settings.model_ignores else ()
        applied = apply_ignores(
            walked,
            graph,
            settings.ignores_for(path),
            plan.known,
            honor_model=settings.model_ignores,
            enabled=plan.selection.rules,
            today=self.today,
            wishes=wishes,
        )
        self.in_code[path] = applied.in_code
        hits = first_causes(applied.hits, plan.severity)
        known, sighting = frozenset[Hit](), None
        if baseline is not None:
            known, sighting = baseline.look(path, graph, applied.hits, told=hits, tried=walked.finished)
            self.sightings[path] = sighting
        new = tuple(hit for hit in hits if hit not in known)
        findings = told((*new, *unfinished), context, path, rewritable=graph.source.format == "onnx")
        findings = _graded(findings, plan.severity, graph)
        limits = (limit for rule in rules if isinstance(rule, BudgetRule) for limit in rule.limits())
        report = ModelReport(
            path=path,
            format=graph.source.format,
            parameters=context.parameters,
            macs=context.macs,
            weight_bytes=context.weight_bytes,
            peak_activation_bytes=context.peak_activation_bytes,
            findings=findings,
            budgets=measure(context, limits),
            suppressed=applied.suppressed,
            baselined=len(hits) - len(new),
            notes=tuple(notes),
            near_misses=walked.near_misses,
            sites=sites(graph, findings),
            fail_on=settings.fail_on,
            min_severity=settings.min_severity,
            per=context.per,
        )
        # what was known by the structure alone may be needed by another model in the next run, and what its code asks
        # to have ignored is settled by all models of a run
        moves = bool(wishes) or (sighting is not None and sighting.moved)
        if slot is not None and report.is_finished and not moves:
            slot.write(report, graph, sighting, lines.files if lines else ())
        return report

    def _draw(self, path: str, context: Context, lines: Lines | None, drawings: dict[str, Drawing]) -> None:
        from cnnlint.engine.drawing import Drawing, draw

        drawing = guarded(path, lambda: draw(context, lines))
        if isinstance(drawing, Drawing):  # else the report does without, and its findings hold
            drawings[path] = drawing

    def _known(self, files: tuple[Path, ...]) -> RuleSet:
        if files not in self._rules:
            self._rules[files] = load_rules(files)
        return self._rules[files]

    def _may_run_code(self, document: Document) -> bool:
        if not self.documents.are_searched or not document.configuration.rule_files:
            return True
        return may_run_code(document, self.documents.here(), self.flags.allow_config_code)

    def _by_plan(self, models: Sequence[str]) -> Iterator[tuple[Plan, tuple[str, ...]]]:
        groups = dict[int, tuple[Plan, list[str]]]()
        for path in models:
            plan = self.plan(path)
            groups.setdefault(id(plan), (plan, []))[1].append(path)
        for plan, paths in groups.values():
            yield plan, tuple(paths)


class _Run:
    """What running a model shows, under way as soon as there is something to run.

    Attributes:
        left_out: Why the model is not run, as a clause; "" if it is, or if nobody wants it.
        ended: Why the run did not end; None if it did.
    """

    def __init__(
        self,
        model: Model,
        path: str,
        rules: tuple[Rule, ...],
        settings: Settings,
        *,
        near_misses: bool,
        ended: UnfinishedRunError | None = None,
    ) -> None:
        self.ended: CnnlintError | None = ended
        self._model, self._path = model, path
        self._rules = [rule for rule in rules if rule.needs_run or (rule.is_fixable() and rule.rewrites_on_request)]
        self._values = [rule for rule in rules if rule.reads_values and not rule.needs_run]
        self._inputs, self._near_misses = settings.inputs_for(path), near_misses
        self._wanted = bool(self._rules) and not settings.static and (model.runs_unasked or settings.static is False)
        self.left_out = "" if self._wanted or settings.static or not self._rules else model.why_not_run
        self._pending = self._begin() if self._wanted and model.is_program and ended is None else None

    @property
    def has_values(self) -> bool:
        """Whether the rules on the values of weights are run with the model, if these are few."""
        return self._pending is not None

    def finish(self) -> tuple[tuple[Hit, ...], CheckResult]:
        """Wait, and return what there is to say: that it did not end, and what it showed."""
        if not self._wanted:
            return (), CheckResult()
        try:
            if self.ended is not None:
                raise self.ended
            pending = self._pending or self._begin()
            return (), pending.result(CheckResult)
        except (UnfinishedRunError, ConversionError) as error:
            self.ended = error
            then = f" {error.remedy[:1].upper()}{error.remedy[1:]}." if error.remedy else ""
            rule = RunNotFinished()
            message = f"The model did not run to completion: {error.cause}.{then}"
            return (Hit(rule, (), as_finding(rule.finding(message=message, evidence={}))),), CheckResult()

    def _begin(self) -> Pending:
        return submit(
            self._model.workers,
            self._model.program,
            self._path,
            self._rules,
            values=self._values if self._model.is_program else (),
            inputs=self._inputs,
            near_misses=self._near_misses,
        )


def _on_its_line(hit: Hit, lines: Lines) -> Hit:
    """Return `hit` with the user's code behind the layers of its places."""
    places = tuple(
        replace(place, source=frames[0].where, frames=frames) if (frames := lines.of(place.layers)) else place
        for place in hit.finding.places
    )
    return replace(hit, finding=replace(hit.finding, places=places))


def _graded(findings: Iterable[Finding], severity: dict[str, Severity], graph: Graph) -> tuple[Finding, ...]:
    """Return `findings` with the configured severities, most severe first and then in the order of the graph."""
    graded = [
        replace(finding, severity=severity[finding.code]) if finding.code in severity else finding
        for finding in findings
    ]
    position = graph.position
    return tuple(
        sorted(
            graded,
            key=lambda finding: (
                -finding.severity.rank,
                position.get(finding.layers[0], -1) if finding.layers else -1,
                finding.code,
            ),
        )
    )


def _blind_spots(context: Context, unread: str) -> Iterator[str]:
    """Yield what rules cannot see in this network, a sentence each; `unread` is about the values of weights."""
    graph = context.graph
    if context.unknown_weights:
        yield f"{context.unknown_weights}; budgets on them fail, and rules that count them stay silent"
    yield from context.notes_on_numbers()
    if unread:
        yield unread
    is_onnx = graph.source.format == "onnx"
    unchecked: Mapping[str, int] = cast("FileContext", graph.file).unchecked if is_onnx else {}
    if unchecked:
        count, more = sum(unchecked.values()), len(unchecked) - 3
        domains = ", ".join([*unchecked][:3]) + (f" and {more:,} more" if more > 0 else "")
        nodes = "1 node" if count == 1 else f"{count:,} nodes"
        yield f"operators of {domains} are not in the ONNX standard that cnnlint knows, and not checked: {nodes}"
    opaque = list(graph.of_kind(Opaque))
    if opaque:
        named = ", ".join(f"{layer.name} ({layer.reason})" for layer in opaque[:3])
        more = f" and {len(opaque) - 3} more" if len(opaque) > 3 else ""
        yield f"no rule looks into opaque layers: {named}{more}"
    elif next(graph.of_kind(Conv, ConvTranspose), None) is None:
        yield "there is no convolution in this network: rules on convolutions and feature maps had nothing to check"

"""One model of a fleet: linted in a process that may hang, crash or run out of memory, and told as rows.

A worker of the cluster holds one such process for each of its threads, and starts another when that has ended.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import msgspec
from msgspec import Struct

from cnnlint.analysis.context import Context
from cnnlint.analysis.identity import structure
from cnnlint.engine.config.load import Document
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.schema import Configuration, Flags
from cnnlint.engine.summary import layer_rows
from cnnlint.errors import (
    AbsentError,
    CnnlintError,
    InternalError,
    MemoryShortageError,
    ModelError,
    UnfinishedRunError,
    UnreachableError,
    WeightsOnlyError,
)
from cnnlint.fleet.listing import Listed, stamp_of
from cnnlint.fleet.tables import (
    INTERNAL,
    TABLES,
    UNFINISHED,
    UNREACHABLE,
    UNREADABLE,
    VANISHED,
    Row,
    Rows,
)
from cnnlint.frontends import is_remote
from cnnlint.frontends.remote.address import shown, without_secrets
from cnnlint.frontends.remote.place import RETRIES, Meter, RemotePlace, metered
from cnnlint.frontends.remote.remote_file import CONNECTIONS, RemoteFile
from cnnlint.graph.graph import Graph
from cnnlint.linting.cache import external_files
from cnnlint.linting.linter import Linter
from cnnlint.results import UNFINISHED as NOT_RUN
from cnnlint.results import ModelReport, Severity, digest
from cnnlint.worker import steps
from cnnlint.worker.limits import RunLimits
from cnnlint.worker.protocol import LEARNING
from cnnlint.worker.workers import Workers

ATTEMPTS = 2
"""How often a model is tried that hangs, crashes or takes too much memory."""

JOBS = 5_000
"""Models that one process lints; a fresh one takes half a second, and whatever has leaked goes."""

SAMPLES, SAMPLE = 8, 4096
"""Places of a local file without a hash from its store that are looked at, and bytes of each."""

CHUNK = 1 << 23
"""Bytes of a whole file that are hashed at a time."""

Status = Literal["linted", "failed", "skipped", "vanished", "unchanged"]


class FleetPlan(Struct, frozen=True, kw_only=True):
    """What is to be done with every model of a run, wherever it is done.

    Attributes:
        flags: Of the command line.
        configuration: What stands in the configuration file; None if there is none.
        place: The path of that file, which its globs and rule files are relative to.
        prefix: The table that it stands in.
        ruleset: Hash of rules and settings.
        limits: Of the process that lints a model.
        connections: Most concurrent requests for one model.
        retries: How often a request is made again.
        hashed: Whether all bytes of models are hashed.
        skip_weights_only: Whether files that hold weights alone are no errors.
    """

    flags: Flags
    configuration: Configuration | None = None
    place: str = ""
    prefix: tuple[str, ...] = ()
    ruleset: str = ""
    limits: RunLimits = RunLimits()
    connections: int = 8
    retries: int = 4
    hashed: bool = False
    skip_weights_only: bool = False

    @property
    def document(self) -> Document | None:
        """The configuration."""
        if self.configuration is None:
            return None
        return Document(Path(self.place), self.configuration, self.prefix, {})


class LintOrder(Struct, frozen=True):
    """A model to lint.

    Attributes:
        plan: How.
        entry: The model.
        external: Its files of external data as they were when it was linted last, each with its stamp; the model is
            unchanged if all of them are known and the same.
    """

    plan: FleetPlan
    entry: Listed
    external: dict[str, str] = {}


class Outcome(Struct, frozen=True):
    """What became of a model.

    Attributes:
        status: Linted, failed, skipped, vanished since it was listed, or unchanged since it was linted.
        rows: By table.
    """

    status: Status
    rows: Rows = {}


class Lot(Struct, frozen=True):
    """Models that one task of the cluster lints.

    Attributes:
        plan: How.
        models: The models, each with what is known of its external data.
    """

    plan: FleetPlan
    models: tuple[tuple[Listed, dict[str, str]], ...]


def lint_batch(message: bytes) -> bytes:
    """Lint the models of a `Lot`, and return the `Outcome` of each; the function that a cluster is given."""
    with LEARNING:
        batch = msgspec.msgpack.decode(message, type=Lot)
    return msgspec.msgpack.encode([_supervised(LintOrder(batch.plan, *each)) for each in batch.models])


class _Own(threading.local):
    """The process of this thread.

    Attributes:
        workers: Which starts it.
        jobs: How many models it has linted.
    """

    workers: Workers | None = None
    jobs = 0


_own = _Own()


def _supervised(order: LintOrder) -> Outcome:
    """Lint a model in this thread's process, once more if that comes to no end, and return what became of it."""
    if _own.workers is None or _own.workers.limits != order.plan.limits or _own.jobs >= JOBS:
        if _own.workers is not None:
            _own.workers.close()
        _own.workers, _own.jobs = Workers(order.plan.limits), 0
    error: CnnlintError | None = None
    for _ in range(ATTEMPTS):
        _own.jobs += 1
        try:
            return _own.workers.call("linter", f"{__name__}:lint", order, Outcome)
        except UnfinishedRunError as unfinished:
            error = unfinished
        except CnnlintError as other:
            return failed(order.entry, order.plan, other, attempts=1)
    assert error is not None  # noqa: S101 - each attempt returns or fails
    return failed(order.entry, order.plan, error, attempts=ATTEMPTS)


def failed(
    entry: Listed, plan: FleetPlan, error: CnnlintError, *, attempts: int, meter: Meter | None = None
) -> Outcome:
    """Return the outcome of a model that could not be linted."""
    kind = _kind(error)
    cause, remedy = without_secrets(error.cause), without_secrets(error.remedy or "")
    told: Rows = {"errors": [(entry.model, kind, cause, remedy, attempts)]}
    if kind == VANISHED:
        return Outcome("vanished", told)
    values = {**_of_entry(entry, plan), "status": "failed", "failure": kind, **_of_meter(meter or Meter())}
    return Outcome("failed", {**told, "models": [_row("models", values)]})


def _kind(error: CnnlintError) -> str:
    match error:
        case AbsentError():
            return VANISHED
        case UnreachableError():
            return UNREACHABLE
        case UnfinishedRunError():
            return UNFINISHED
        case ModelError():
            return UNREADABLE
        case _:
            return INTERNAL


def lint(order: LintOrder) -> Outcome:
    """Lint a model; what the process of a worker does.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    plan, entry = order.plan, order.entry
    os.environ.setdefault(RETRIES, str(plan.retries))
    os.environ.setdefault(CONNECTIONS, str(plan.connections))
    steps.sized(weight_bytes=entry.size or 0, macs=0)
    steps.begin("linting it", at_least=steps.SHORTEST if plan.flags.static else steps.CONVERSION)
    if order.external and all(order.external.values()) and _stamps(order.external) == order.external:
        return Outcome("unchanged")
    linter, seen = _linter(msgspec.json.encode(plan))
    started = perf_counter()
    linter.errors.clear()
    seen.clear()
    with metered({} if entry.size is None else {entry.address: entry.size}) as meter:
        report = linter.lint(entry.address)
        error = linter.errors.get(report.path)
        context = seen.pop() if seen else None
        if error is None and context is None:
            error = InternalError("the lint told nothing of the network", path=entry.model)
        if isinstance(error, MemoryShortageError):
            raise UnfinishedRunError("linting it took more memory than it may")
        if isinstance(error, WeightsOnlyError) and plan.skip_weights_only:
            values = {**_of_entry(entry, plan), "status": "skipped", **_of_meter(meter)}
            return Outcome("skipped", {"models": [_row("models", values)]})
        if error is not None or context is None:
            return failed(entry, plan, error or CnnlintError("unknown"), attempts=1, meter=meter)
        try:
            external = _stamps(_external(entry, context.graph, meter))
            values = {**_of_entry(entry, plan, context.graph), **_of_report(report, context, entry)}
            values |= {"external": sorted(external.items()), "sha256": _whole(entry, external) if plan.hashed else None}
        except CnnlintError as gone:
            return failed(entry, plan, gone, attempts=1, meter=meter)
    values |= {**_of_meter(meter), "seconds": perf_counter() - started}
    rows: Rows = {
        "models": [_row("models", values)],
        "layers": list(_layers(entry, context)),
        "findings": list(_findings(entry, report)),
        "errors": [
            (entry.model, UNFINISHED, finding.message, "", 1) for finding in report.findings if finding.code == NOT_RUN
        ],
    }
    return Outcome("linted", rows)


@cache
def _linter(plan: bytes) -> tuple[Linter, list[Context]]:
    """Return the linter of a plan, and the list that it puts each network on."""
    decoded = msgspec.json.decode(plan, type=FleetPlan)
    seen = list[Context]()
    linter = Linter(decoded.flags, documents=Documents.fixed(decoded.document), watch=seen.append)
    return linter, seen


def _row(table: str, values: dict[str, Any]) -> Row:
    return tuple(values.get(column.name) for column in TABLES[table])


def _of_entry(entry: Listed, plan: FleetPlan, graph: Graph | None = None) -> dict[str, Any]:
    # an ignore that runs out in the model itself is looked at again in each run
    perishes = graph is not None and any("until" in reason for _, reason in graph.ignores)
    return {
        "model": entry.model,
        "stamp": entry.stamp,
        "ruleset": f"{plan.ruleset}, perishable" if perishes else plan.ruleset,
        "file_bytes": entry.size,
        "external": [],
    }


def _of_meter(meter: Meter) -> dict[str, Any]:
    return {"requests": meter.requests, "bytes_read": meter.received}


def _of_report(report: ModelReport, context: Context, entry: Listed) -> dict[str, Any]:
    graph = context.graph
    found = [sum(finding.severity is severity for finding in report.findings) for severity in Severity]
    counts = dict(zip(Severity, found, strict=True))
    unfinished = not report.is_finished
    return {
        "status": "failed" if unfinished else "linted",
        "failure": UNFINISHED if unfinished else None,
        "format": graph.source.format,
        "producer": graph.source.producer,
        "opset": graph.source.opset,
        "layer_count": len(graph.layers),
        "parameters": _bounded(report.parameters),
        "macs": _bounded(report.macs),
        "weight_bytes": _bounded(report.weight_bytes),
        "peak_activation_bytes": _bounded(report.peak_activation_bytes),
        "errors": counts[Severity.ERROR],
        "warnings": counts[Severity.WARNING],
        "infos": counts[Severity.INFO],
        "suppressed": report.suppressed,
        "budgets": len(report.budgets),
        "broken_budgets": sum(not budget.passed for budget in report.budgets),
        "structure": structure(graph),
        "content": _content(entry, graph),
    }


def _bounded(number: int | None) -> int | None:
    """Return a number that a column can hold; None for one of more than 64 bits."""
    return number if number is not None and -(1 << 63) <= number < 1 << 63 else None


def _layers(entry: Listed, context: Context) -> Iterator[Row]:
    for position, row in enumerate(layer_rows(context)):
        yield (
            entry.model,
            position,
            row.name,
            row.kind,
            _extents(row.output_shape),
            _bounded(row.parameters),
            _bounded(row.macs),
            _bounded(row.activation_bytes),
            _extents(row.receptive_field),
        )


def _extents(shape: Sequence[int | None] | None) -> list[int | None] | None:
    return None if shape is None else [_bounded(extent) for extent in shape]


def _findings(entry: Listed, report: ModelReport) -> Iterator[Row]:
    for finding in report.findings:
        saved = [_bounded(getattr(finding.savings, name, None)) for name in ("parameters", "macs", "bytes")]
        yield (
            entry.model,
            finding.code,
            finding.name,
            str(finding.severity),
            str(finding.confidence),
            list(finding.layers),
            len(finding.places),
            finding.message,
            finding.suggestion,
            msgspec.json.encode(finding.evidence).decode(),
            *saved,
            finding.fixable,
            finding.fingerprint,
        )


def _external(entry: Listed, graph: Graph, meter: Meter) -> list[str]:
    """Return the files of external data that were asked for."""
    if is_remote(entry.address):
        return [url for url in dict.fromkeys(meter.opened) if url != entry.address]
    return sorted(external_files(graph) - {entry.address})


def _stamps(files: Sequence[str] | dict[str, str]) -> dict[str, str]:
    """Return files as results show them, each with what changes when it does."""
    found = dict[str, str]()
    for path in files:
        try:
            if is_remote(path):
                found[shown(path)] = stamp_of(RemotePlace(path).info())
            else:
                status = os.stat(path)
                found[path] = stamp_of({"size": status.st_size, "mtime": status.st_mtime_ns})
        except AbsentError:
            found[shown(path)] = ""
        except OSError:
            found[path] = ""
    return found


def _content(entry: Listed, graph: Graph) -> str:
    """Return a hash that files of the same content have, of what has been read of it and of its store's hash.

    Without a hash from the store, pieces of a local file stand for its values. Of a remote one they would take requests
    that nothing else needs: two of its kind that differ in values alone have the same hash.
    """
    weights = {weight.key: weight for layer in graph.layers for weight in layer.weights}.values()
    places = [
        (
            weight.key,
            weight.shape,
            weight.dtype,
            *(getattr(weight.storage, name, None) for name in ("offset", "length")),
        )
        for weight in weights
    ]
    whole = hashlib.blake2b(repr((entry.size, [layer.name for layer in graph.layers], places)).encode(), digest_size=16)
    whole.update(structure(graph).encode())
    if entry.stamp.startswith("etag:"):
        whole.update(entry.stamp.encode())
    elif not is_remote(entry.address) and entry.size:
        with open(entry.address, "rb") as file:
            for index in range(SAMPLES):
                file.seek(max(entry.size - SAMPLE, 0) * index // (SAMPLES - 1))
                whole.update(file.read(SAMPLE))
    else:
        return f"places:{whole.hexdigest()}"
    return whole.hexdigest()


def _whole(entry: Listed, external: dict[str, str]) -> str:
    """Return the SHA-256 of a model's bytes; of one with external data, that of the files' own hashes."""
    steps.begin("hashing it")
    hashes = [_sha256(path) for path in (entry.address, *sorted(external))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _sha256(path: str) -> str:
    whole = hashlib.sha256()
    if is_remote(path):
        remote = RemoteFile(path)
        for offset in range(0, remote.size, CHUNK):
            whole.update(remote.fetch(offset, min(CHUNK, remote.size - offset)))
    else:
        with open(path, "rb") as file:
            while piece := file.read(CHUNK):
                whole.update(piece)
    return whole.hexdigest()


OF_THE_RUN = frozenset(
    {"document", "cache", "fail_on", "exclude", "force_exclude", "respect_gitignore", "jobs", "baseline"}
)
"""Settings that say which models are linted, and what becomes of findings, but change nothing of what is found."""


def ruleset(linter: Linter, *, hashed: bool) -> str:
    """Return a hash of all that results depend on but the models: rules, their code, and what the user set."""
    import sys

    from cnnlint import limits
    from cnnlint.errors import __version__

    plan = linter.plan("")
    settings = plan.settings
    # without a configuration file there are no globs that are relative to its folder
    left_out = OF_THE_RUN if settings.document is not None else OF_THE_RUN | {"root"}
    said = {name: getattr(settings, name) for name in settings.__struct_fields__ if name not in left_out}
    modules = sorted({rule.__module__ for rule in plan.known})
    files = [getattr(sys.modules.get(module), "__file__", None) for module in modules]
    code = [digest(Path(file).read_text("utf-8", "replace"), size=8) for file in files if file]
    bounds = {name: value for name, value in vars(limits).items() if name.isupper()}
    dates = [ignore.until for _, ignore in settings.per_model_ignores]
    day = linter.today if any(date is not None for date in dates) else None
    identity = [__version__, said, code, sorted(plan.known.origins.items()), bounds, day, hashed]
    return digest(msgspec.json.encode(identity, enc_hook=str).decode(), size=12)

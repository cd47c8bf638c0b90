"""A run over a fleet: listings are handed to a Dask cluster batch by batch, and what comes back is written down.

The process that holds the listing and the results does no lint. It keeps as many batches under way as the cluster has
threads for, and for one host no more than it may have requests; so memory does not grow with the store, and no server
is overrun. All that is written is written here, by one writer, in the order in which it comes: a batch that the
cluster runs twice, because a worker was lost, is told once.
"""

# distributed has no types that hold, and is optional.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct

from cnnlint.engine.config.settings import Settings
from cnnlint.errors import CnnlintError, ConfigError, UnfinishedRunError
from cnnlint.fleet.linting import FleetPlan, Lot, Outcome, failed, lint_batch
from cnnlint.fleet.listing import Listed, Pattern
from cnnlint.fleet.results import FleetRun, Known, Results, key
from cnnlint.fleet.tables import Rows

BATCH = 8
"""Models of a task: the scheduler spends a millisecond on each task, a lint takes some ten."""

AHEAD = 2
"""Batches for each thread of the cluster: one under way, one waiting."""

PART, PART_SECONDS = 2_000, 20.0
"""Models of a part, and seconds after which a smaller one is written: what an interruption loses."""

LOOK = 5.0
"""Seconds between looks at how many threads the cluster has."""


class Progress:
    """How far a run is; whoever shows it reads it from another thread.

    Attributes:
        listed: Models that listings have shown.
        unchanged: Those that are not linted again.
        done: Those that came back from the cluster.
        errors: Those of them that could not be linted.
        expected: How many models there will be, by the last run; 0 if nothing is known.
        is_listed: Whether the listing has come to its end.
        started: When the first was handed to the cluster, by `time.monotonic`; None before.
    """

    def __init__(self) -> None:
        self.listed = self.unchanged = self.done = self.errors = self.expected = 0
        self.is_listed = False
        self.started: float | None = None

    @property
    def rate(self) -> float:
        """Models linted per second."""
        return 0.0 if self.started is None else self.done / max(monotonic() - self.started, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds until the end; None if unknown."""
        total = self.listed if self.is_listed else max(self.expected, self.listed)
        if (not self.is_listed and not self.expected) or not self.rate:
            return None
        return max(total - self.unchanged - self.done, 0) / self.rate


class InterruptedRunError(CnnlintError):
    """The cluster was lost, or a listing failed; what was linted until then is written, and the next run goes on."""


class Submission(Struct, frozen=True):
    """Models that the cluster has been given.

    Attributes:
        batch: The message.
        models: What is in it.
        host: The server that they lie on.
        losses: How often the cluster has lost a worker over it.
    """

    batch: bytes
    models: tuple[tuple[Listed, dict[str, str]], ...]
    host: str
    losses: int = 0


@contextmanager
def cluster(scheduler: str | None, workers: int | None, dashboard: str | None) -> Generator[Any]:
    """Yield a client of the Dask cluster at `scheduler`, or of one of threads of this process, each with a process.

    Raises:
        ConfigError: There is no scheduler at the address.
    """
    from dask import config
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # of lost workers a run tells itself
    quiet = {"distributed.comm.timeouts.connect": "15s", "distributed.admin.log-format": "%(message)s"}
    with config.set(quiet):
        if scheduler is not None:
            try:
                client = Client(scheduler, timeout="15s", set_as_default=False)
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"no Dask scheduler answers at {scheduler}", remedy="start one with `dask scheduler`"
                ) from error
            try:
                yield client
            finally:
                with suppress(Exception):  # whatever a lost scheduler makes of it
                    client.close(timeout=2)
            return
        local = LocalCluster(
            n_workers=1,
            threads_per_worker=workers or os.cpu_count() or 1,
            processes=False,
            dashboard_address=dashboard or "127.0.0.1:0",  # without one it takes Dask's own port, open to the network
            scheduler_kwargs={"dashboard": dashboard is not None},
            silence_logs=logging.CRITICAL,
        )
        with local, Client(local, set_as_default=False) as client:
            yield client


class Coordinator:
    """Hands models to a cluster, and writes what comes back.

    Args:
        client: Of the cluster.
        plan: What is done with every model.
        settings: Which models are excluded.
        results: Where results go.
        run: The run that is written.
        is_resumed: Whether it was interrupted and goes on.
        most: Requests that one host may have at a time.
        progress: Is kept up to date.
    """

    def __init__(
        self,
        client: Any,
        plan: FleetPlan,
        settings: Settings,
        results: Results,
        run: FleetRun,
        *,
        is_resumed: bool,
        most: int,
        progress: Progress,
    ) -> None:
        from distributed import as_completed

        self._client, self._plan, self._settings = client, plan, settings
        self._results, self._run, self._progress = results, run, progress
        self._done = Known(results, run.run if is_resumed else "", own=True)
        self._known = Known(results, run.previous)
        progress.expected = len(self._known)
        self._jobs = dict[Any, Submission]()
        self._finished = as_completed(loop=client.loop)
        self._at_hosts = Counter[str]()
        self._most = max(1, most // plan.connections)
        self._rows: Rows = {}
        self._waiting = 0
        self._written = monotonic()
        self._part = _next_part(results, run.run) if is_resumed else 1
        self._slots, self._looked = 0, 0.0

    def lint(self, patterns: Sequence[Pattern]) -> tuple[CnnlintError, ...]:
        """Lint what the patterns name, and return what went wrong with their listings.

        Raises:
            InterruptedRunError: The cluster was lost.
        """
        feeds = {pattern: self._batches(pattern, patterns[:index]) for index, pattern in enumerate(patterns)}
        errors = list[CnnlintError]()
        try:
            while feeds:
                self._collect(block=len(self._jobs) >= self._room() or not self._open(feeds))
                for pattern in self._open(feeds):
                    if len(self._jobs) >= self._room():
                        break
                    try:
                        models = next(feeds[pattern], None)
                    except CnnlintError as error:
                        errors.append(error)
                        models = None
                    if models is None:
                        del feeds[pattern]
                    elif models:
                        self._submit(models, pattern.host)
            self._progress.is_listed = True
            while self._jobs:
                self._collect(block=True)
        finally:
            self._flush()
        if not errors:
            self._known.carry(self._run.run)
        return tuple(errors)

    def _open(self, feeds: dict[Pattern, Any]) -> list[Pattern]:
        """Return the patterns whose host may have more requests."""
        return [pattern for pattern in feeds if not pattern.host or self._at_hosts[pattern.host] < self._most]

    def _room(self) -> int:
        """Return how many batches the cluster is to have at a time."""
        if monotonic() - self._looked > LOOK or not self._slots:
            try:
                self._slots = sum(self._client.nthreads().values())
            except (OSError, TimeoutError) as error:
                raise self._lost() from error
            self._looked = monotonic()
        return AHEAD * max(self._slots, 1)

    def _batches(self, pattern: Pattern, before: Sequence[Pattern]) -> Iterator[list[tuple[Listed, dict[str, str]]]]:
        """Yield the models of a pattern that are to be linted, some at a time; none where a page has none."""
        waiting = list[tuple[Listed, dict[str, str]]]()
        any_found = False
        for entry in pattern.entries():
            any_found = True
            if any(earlier.fits(entry.model) for earlier in before) or self._settings.excludes(entry.model):
                continue
            self._progress.listed += 1
            if self._done.find(key(entry.model)) is not None:
                self._progress.unchanged += 1
                continue
            place = self._known.find(key(entry.model, entry.stamp, self._plan.ruleset)) if entry.stamp else None
            external = {} if place is None else self._known.external.get(place, {})
            if place is not None and not external:
                self._known.seen[place] = True
                self._progress.unchanged += 1
                continue
            waiting.append((entry, external))
            if len(waiting) >= BATCH:
                yield waiting
                waiting = []
        if not any_found:
            raise ConfigError(
                f"{pattern.written}: no model is there", remedy="quote globs, so that the shell leaves them"
            )
        yield waiting

    def _submit(self, models: Sequence[tuple[Listed, dict[str, str]]], host: str, losses: int = 0) -> None:
        batch = Lot(self._plan, tuple(models))
        job = Submission(msgspec.msgpack.encode(batch), batch.models, host, losses)
        if self._progress.started is None:
            self._progress.started = monotonic()
        future = self._client.submit(lint_batch, job.batch, pure=False, retries=0)
        self._jobs[future] = job
        self._at_hosts[host] += 1
        self._finished.add(future)

    def _collect(self, *, block: bool) -> None:
        """Take what the cluster has done; wait for something if `block`."""
        if not self._jobs:
            return
        found = [next(self._finished)] if block else []
        found += list(self._finished.next_batch(block=False))
        for future in found:
            job = self._jobs.pop(future)
            self._at_hosts[job.host] -= 1
            if future.status != "finished":
                self._again(job, future)
                continue
            outcomes = msgspec.msgpack.decode(future.result(), type=list[Outcome])
            for (entry, _), outcome in zip(job.models, outcomes, strict=True):
                self._keep(entry, outcome)
        if self._waiting >= PART or (self._waiting and monotonic() - self._written > PART_SECONDS):
            self._flush()

    def _again(self, job: Submission, future: Any) -> None:
        """Hand on what the cluster could not do: a lost worker costs a model a second chance and no more."""
        from distributed.scheduler import KilledWorker

        if future.status in {"cancelled", "lost"}:
            raise self._lost()
        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise CnnlintError(
                f"a worker of the cluster failed: {type(error).__name__}: {error}",
                remedy="its environment must have this version of cnnlint with the extra fleet",
            ) from error
        if len(job.models) > 1:  # which of them it was shows when each is alone
            for each in job.models:
                self._submit([each], job.host, job.losses)
        elif job.losses == 0:
            self._submit(job.models, job.host, 1)
        else:
            lost = UnfinishedRunError("each worker of the cluster that had it was lost")
            for entry, _ in job.models:
                self._keep(entry, failed(entry, self._plan, lost, attempts=2))

    def _lost(self) -> InterruptedRunError:
        return InterruptedRunError("the cluster was lost", remedy="the same command goes on where this run ended")

    def _keep(self, entry: Listed, outcome: Outcome) -> None:
        if outcome.status == "unchanged":
            place = self._known.find(key(entry.model, entry.stamp, self._plan.ruleset))
            assert place is not None  # noqa: S101 - its external data was known from there
            self._known.seen[place] = True
            self._progress.unchanged += 1
            return
        self._progress.done += 1
        self._progress.errors += outcome.status == "failed"
        self._waiting += 1
        for table, rows in outcome.rows.items():
            if table == "models":
                rows = [(model, self._run.run, *values) for model, _, *values in rows]  # noqa: PLW2901 - linted now
            self._rows.setdefault(table, []).extend(rows)

    def _flush(self) -> None:
        if self._waiting:
            self._results.write(self._run.run, f"part-{self._part:06}", self._rows)
            self._part += 1
        self._rows, self._waiting, self._written = {}, 0, monotonic()


def _next_part(results: Results, run: str) -> int:
    names = [name.rpartition("/")[2] for name in results.parts("models", run)]
    numbers = [int(name[len("part-") : -len(".parquet")]) for name in names if name.startswith("part-")]
    return max(numbers, default=0) + 1

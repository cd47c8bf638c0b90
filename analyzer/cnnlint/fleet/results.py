"""The folder of results: Parquet datasets, written in numbered parts, and what is known of each run.

A part holds what became of some models, in one file of each table. Its file of the table `models` is written last:
files of the other tables without it are of a run that was interrupted in between, and are removed when it goes on.
"""

# fsspec, pyarrow and numpy's searching have no types that hold.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import posixpath
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnnlint.errors import CnnlintError, ConfigError, __version__
from cnnlint.fleet.tables import PASSING, RUN, TABLES, VERSION, Rows, arrow
from cnnlint.frontends import is_remote
from cnnlint.frontends.remote import address
from cnnlint.frontends.remote.place import timeout

RUNS = "_runs"
"""The folder of what is known of runs; readers of Parquet skip names that begin so."""

CARRIED = "carried"
"""What parts with models that have not changed are called, "part" being those with models that were linted."""

WITHOUT_FOLDERS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Protocols of stores in which no folder has to be made; to make one would make a bucket whose name was mistyped."""

ROWS = 8_192
"""Rows that are read at a time."""


class FleetRun(Struct, frozen=True, kw_only=True):
    """What is known of a run.

    Attributes:
        run: Its name, the time of its start.
        patterns: What it was to lint, without credentials.
        ruleset: Hash of rules and settings.
        finished: When it had linted all of it; "" before.
        previous: The run whose results it carries on; "" for none.
        version: Of the tables.
        cnnlint: The version that made it.
    """

    run: str
    patterns: tuple[str, ...]
    ruleset: str
    finished: str = ""
    previous: str = ""
    version: int = VERSION
    cnnlint: str = __version__


class Totals(Struct):
    """What a run comes to.

    Attributes:
        models: All that the patterns name.
        linted: Those that were linted in this run.
        unchanged: Those that were linted in an earlier run.
        failed: Those that could not be.
        skipped: Those that hold weights alone.
        errors: Findings of this severity.
        warnings: Findings of this severity.
        infos: Findings of this severity.
    """

    models: int = 0
    linted: int = 0
    unchanged: int = 0
    failed: int = 0
    skipped: int = 0
    errors: int = 0
    warnings: int = 0
    infos: int = 0


class Results:
    """A folder of results, on this machine or at a URL.

    Args:
        folder: As the user wrote it.

    Raises:
        ModelError: The server refuses.
        MissingExtraError: A package is not installed.
    """

    def __init__(self, folder: str) -> None:
        if is_remote(folder):
            from cnnlint.frontends.remote.place import RemotePlace

            place = RemotePlace(folder.rstrip("/"))
            self.system, self.root = place.system, place.name
        else:
            from fsspec import filesystem

            self.system: Any = filesystem("file", auto_mkdir=True)
            self.root = str(self.system._strip_protocol(folder))  # noqa: SLF001 - fsspec's, without another name
        self.system.invalidate_cache()
        self.is_local = not is_remote(folder)
        self._folder = folder

    def path(self, *names: str) -> str:
        """Return the path of a file or folder in the results."""
        return posixpath.join(self.root, *names)

    def runs(self) -> list[FleetRun]:
        """Return all runs, the oldest first.

        Raises:
            ConfigError: The folder holds something else.
        """
        names = self.files(self.path(RUNS), ".json")
        try:
            with self._told():
                return [msgspec.json.decode(self.system.cat_file(name), type=FleetRun) for name in names]
        except msgspec.MsgspecError as error:
            raise ConfigError("is no folder of results of cnnlint fleet", path=self.root) from error

    def files(self, folder: str, suffix: str) -> list[str]:
        """Return the files of a folder, by name; none if there is no such folder."""
        with self._told():
            try:
                found = self.system.ls(folder, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(name) for name in found if str(name).endswith(suffix))

    def parts(self, table: str, run: str) -> list[str]:
        """Return the files of a table of a run."""
        return self.files(self.path(table, f"{RUN}={run}"), ".parquet")

    def begin(self, patterns: Sequence[str], ruleset: str) -> tuple[FleetRun, bool]:
        """Return the run to write, and whether it is one that was interrupted and goes on.

        Raises:
            ConfigError: The folder holds results of another version, or something else.
        """
        known = self.runs()
        if newer := next((run for run in known if run.version != VERSION), None):
            raise ConfigError(f"has tables of version {newer.version}, not {VERSION}", remedy="write to another folder")
        last = known[-1] if known else None
        if last is not None and not last.finished and (last.patterns, last.ruleset) == (tuple(patterns), ruleset):
            self._repair(last)
            return last, True
        finished = [run for run in known if run.finished]
        name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        while last is not None and name <= last.run:  # a clock that was set back, or two runs in a second
            name = f"{last.run}+"
        run = FleetRun(
            run=name,
            patterns=tuple(patterns),
            ruleset=ruleset,
            previous=finished[-1].run if finished else "",
        )
        self._note(run)
        return run, False

    def finish(self, run: FleetRun) -> FleetRun:
        """Note that a run has linted all that it was to lint."""
        done = replace(run, finished=datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))
        self._note(done)
        return done

    def rows(self, run: str, columns: Sequence[str] | None = None, *, own: bool = False) -> Iterator[Any]:
        """Yield the rows of the table `models` of a run, as Arrow batches in a fixed order.

        Args:
            run: Its name.
            columns: Those that are wanted; all if None.
            own: Whether only models that it has linted itself are wanted, and not those that it carries on.
        """
        from pyarrow.parquet import ParquetFile

        for name in self.parts("models", run):
            if own and posixpath.basename(name).startswith(CARRIED):
                continue
            with self.system.open(name, "rb") as file, ParquetFile(file) as parquet:
                yield from parquet.iter_batches(ROWS, columns=None if columns is None else list(columns))

    def write(self, run: str, part: str, rows: Rows) -> None:
        """Write a part of a run, the table `models` last."""
        for table in sorted(TABLES, key=lambda name: name == "models"):
            if table == "models" or rows.get(table):
                self.put(run, part, table, arrow(table, rows.get(table, [])))

    def put(self, run: str, part: str, table: str, content: Any) -> None:
        """Write the file of one table, which is there as a whole or not at all."""
        from pyarrow.parquet import write_table

        path = self.path(table, f"{RUN}={run}", f"{part}.parquet")
        beginning = self.path(table, f"{RUN}={run}", f"_{part}.beginning") if self.is_local else path
        with self._told():
            with self.system.open(beginning, "wb") as file:
                write_table(content, file, compression="zstd")
            if beginning != path:
                self.system.mv(beginning, path)

    def totals(self, run: str) -> Totals:
        """Return what a run comes to."""
        totals = Totals()
        for batch in self.rows(run, ("status", "linted_in", "errors", "warnings", "infos")):
            for status, linted_in, *found in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                totals.models += 1
                totals.linted += linted_in == run and status == "linted"
                totals.unchanged += linted_in != run and status == "linted"
                totals.failed += status == "failed"
                totals.skipped += status == "skipped"
                totals.errors += found[0] or 0
                totals.warnings += found[1] or 0
                totals.infos += found[2] or 0
        return totals

    def _note(self, run: FleetRun) -> None:
        with self._told():
            if not WITHOUT_FOLDERS.intersection(address.protocols(self._folder)):
                self.system.makedirs(self.path(RUNS), exist_ok=True)
            self.system.pipe_file(self.path(RUNS, f"{run.run}.json"), msgspec.json.encode(run))

    @contextmanager
    def _told(self) -> Generator[None]:
        """Say in words of cnnlint what a file system refuses."""
        try:
            yield
        except (CnnlintError, msgspec.MsgspecError):
            raise
        except OSError as error:
            if self.is_local:
                said = error.strerror or str(error)
                raise ConfigError(f"results cannot be kept there: {said}", path=self._folder) from error
            raise address.failure(error, self._folder, timeout()) from error
        except Exception as error:  # libraries of stores have errors of their own
            raise address.failure(error, self._folder, timeout()) from error

    def _repair(self, run: FleetRun) -> None:
        """Remove what an interrupted run has written in part."""
        whole = {posixpath.basename(name) for name in self.parts("models", run.run)}
        for table in TABLES:
            for name in self.files(self.path(table, f"{RUN}={run.run}"), ""):
                base = posixpath.basename(name)
                if base not in whole or base.startswith(CARRIED):
                    self.system.rm_file(name)


class Known:
    """The models of an earlier run, by 8 bytes for each and one for whether it was seen again.

    Args:
        results: The folder.
        run: The run's name; "" for none.
        own: Whether the models that it has linted itself are meant, whatever their state was.
    """

    def __init__(self, results: Results, run: str, *, own: bool = False) -> None:
        import numpy as np

        self._results, self._run = results, run
        keys = list[Any]()
        self.external = dict[int, dict[str, str]]()
        count = 0
        columns = ("model", "stamp", "ruleset", "failure", "external")
        for batch in results.rows(run, columns, own=own) if run else ():
            found = np.zeros(batch.num_rows, np.uint64)
            for index, (model, stamp, ruleset, failure, external) in enumerate(
                zip(*(column.to_pylist() for column in batch.columns), strict=True)
            ):
                if own:  # what changes while a run is interrupted is for the next run to see
                    found[index] = key(model)
                elif failure not in PASSING and stamp:
                    found[index] = key(model, stamp, ruleset)
                if external and not own:
                    self.external[count + index] = dict(external)
            keys.append(found)
            count += batch.num_rows
        self._keys = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]
        self.seen = np.zeros(count, np.bool_)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, wanted: int) -> int | None:
        """Return the place of a model by its key; None if it was not there, or in another state."""
        from numpy import uint64

        at = int(self._sorted.searchsorted(uint64(wanted)))
        return int(self._order[at]) if at < len(self._sorted) and self._sorted[at] == wanted else None

    def carry(self, to: str) -> None:
        """Write the models that were seen again into the run `to`, as they are."""
        import pyarrow as pa

        at, part, waiting = 0, 0, list[Any]()
        for batch in self._results.rows(self._run) if self._run else ():
            kept = batch.filter(pa.array(self.seen[at : at + batch.num_rows]))
            at += batch.num_rows
            waiting += [kept] if kept.num_rows else []
            if sum(each.num_rows for each in waiting) >= ROWS:
                part, waiting = self._carried(to, part, waiting), []
        if waiting:
            self._carried(to, part, waiting)

    def _carried(self, to: str, part: int, batches: list[Any]) -> int:
        import pyarrow as pa

        self._results.put(to, f"{CARRIED}-{part:06}", "models", pa.Table.from_batches(batches))
        return part + 1


def key(*told_apart_by: str) -> int:
    """Return 8 bytes that stand for a model, or for one in a state and under rules.

    Among a million, two are alike once in ten million runs.
    """
    told = "\0".join(told_apart_by).encode("utf-8", "backslashreplace")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "little") or 1

"""Questions in SQL to the results of a fleet, which DuckDB answers from the Parquet files where they lie."""

# duckdb is optional, and its types do not hold.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from cnnlint.errors import ConfigError, did_you_mean
from cnnlint.fleet.results import FleetRun, Results
from cnnlint.fleet.tables import RUN, TABLES

LATEST = {
    "latest_models": "SELECT * FROM models WHERE run = $run",
    **{
        f"latest_{table}": (
            f"SELECT {table}.* FROM {table} JOIN latest_models ON"  # noqa: S608 - names of our own
            f" {table}.model = latest_models.model AND {table}.run = latest_models.linted_in"
        )
        for table in ("layers", "findings")
    },
    "latest_errors": (
        "SELECT errors.* FROM errors LEFT JOIN latest_models ON errors.model = latest_models.model"
        " AND errors.run = latest_models.linted_in WHERE latest_models.model IS NOT NULL OR errors.run = $run"
    ),
}
"""The views of one run: its models, and what was said of each in the run that linted it."""

Answer = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""The names of columns, and rows."""


class Questions:
    """The results of a fleet, as tables and views of DuckDB.

    Args:
        folder: The results.
        run: The run that `latest_models` and the views beside it are of; the last one that has finished if None.

    Attributes:
        runs: The finished runs, the oldest first.
        run: The run.

    Raises:
        ConfigError: There is no such run, or none has finished.
    """

    def __init__(self, folder: str, run: str | None = None) -> None:
        import duckdb

        results = Results(folder)
        self.runs = [known for known in results.runs() if known.finished]
        self.run = self._chosen(folder, run)
        self._connection = duckdb.connect()
        if not results.is_local:
            self._connection.register_filesystem(results.system)
        finished = ", ".join(_quoted(known.run) for known in self.runs)
        for table, columns in TABLES.items():
            files = [
                _quoted(name if results.is_local else str(results.system.unstrip_protocol(name)))
                for known in results.runs()
                for name in results.parts(table, known.run)
            ]
            if files:
                source = (
                    f"read_parquet([{', '.join(files)}], hive_partitioning = true, hive_types = {{'{RUN}': VARCHAR}})"
                )
            else:
                nothing = ", ".join(f"NULL::{_type(column.type)} AS {column.name}" for column in columns)
                source = f"(SELECT {nothing}, NULL::VARCHAR AS {RUN} WHERE false)"
            self._view(table, f"FROM {source} WHERE {RUN} IN ({finished})")
        for name, question in LATEST.items():
            self._view(name, question.replace("$run", _quoted(self.run.run)))

    def _view(self, name: str, question: str) -> None:
        self._connection.execute(f"CREATE VIEW {name} AS {question}")

    def _chosen(self, folder: str, run: str | None) -> FleetRun:
        if not self.runs:
            raise ConfigError(f"{folder}: no run of cnnlint fleet has finished there")
        found = self.runs[-1] if run is None else next((known for known in self.runs if known.run == run), None)
        if found is None:
            names = [known.run for known in self.runs]
            raise ConfigError(
                f"{folder}: there is no finished run {run}",
                remedy=did_you_mean(run or "", names) or f"the last is {names[-1]}",
            )
        return found

    def ask(self, sql: str) -> Answer:
        """Return what DuckDB answers.

        Raises:
            ConfigError: The question is wrong.
        """
        import duckdb

        try:
            answer = self._connection.execute(sql)
            names = tuple(column[0] for column in answer.description or ())
            return names, answer.fetchall()
        except duckdb.Error as error:
            said = " ".join(str(error).split())
            raise ConfigError(
                f"DuckDB cannot answer: {said}", remedy=f"tables are {', '.join((*TABLES, *LATEST))}"
            ) from error


def _quoted(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _type(name: str) -> str:
    return name.upper()


def as_text(answer: Answer) -> str:
    """Return an answer as columns that people read."""
    names, rows = answer
    cells = [list(names), *([_shown(value) for value in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(names))]
    numeric = [bool(rows) and all(isinstance(row[index], (int, float)) for row in rows) for index in range(len(names))]

    def line(row: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if is_number else text.ljust(width)
            for text, width, is_number in zip(row, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "".join(f"{line(row)}\n" for row in cells)


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case _:
            return " ".join(str(value).split())


def as_csv(answer: Answer) -> str:
    """Return an answer as comma-separated values with a line of names."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(answer[0])
    writer.writerows(answer[1])
    return written.getvalue()


def as_json(answer: Answer) -> str:
    """Return an answer as a JSON array of objects."""
    return f"{json.dumps([dict(zip(answer[0], row, strict=True)) for row in answer[1]], default=str)}\n"


FORMS = {"text": as_text, "csv": as_csv, "json": as_json}
"""How answers are written."""

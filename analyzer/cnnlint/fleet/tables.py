"""The tables of results: each column declared once, with its type and what it holds."""

# pyarrow is optional.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

VERSION = 1
"""Of the tables: columns are added under the same version; one that changes or goes raises it."""

RUN = "run"
"""The column that is the name of a folder: `models/run=20270103T040500Z/part-000001.parquet`."""


class Column(Struct, frozen=True):
    """A column.

    Attributes:
        name: Its name.
        type: As DuckDB and Spark call it.
        holds: What it holds, as a clause.
    """

    name: str
    type: str
    holds: str


TABLES: Mapping[str, tuple[Column, ...]] = {
    "models": (
        Column("model", "string", "path or URL, without credentials"),
        Column("linted_in", "string", "the run that linted it; an earlier one where nothing has changed since"),
        Column("status", "string", "linted, failed (see the table errors), or skipped: it holds weights alone"),
        Column("failure", "string", "kind of the error; null if there is none"),
        Column("stamp", "string", "the store's hash, or size and time, by which a change is noticed; empty if unknown"),
        Column("ruleset", "string", "hash of the rules, their code and all settings"),
        Column("file_bytes", "bigint", "of the file as listed"),
        Column("external", "map(string, string)", "its files of external data, each with its stamp"),
        Column("format", "string", "onnx, keras or h5"),
        Column("producer", "string", "the tool that wrote it, with its version"),
        Column("opset", "integer", "version of ONNX's default operators"),
        Column("layer_count", "integer", "layers of the network"),
        Column("parameters", "bigint", "distinct weight elements; null if unknown"),
        Column("macs", "bigint", "multiply-accumulates for one sample; null if unknown"),
        Column("weight_bytes", "bigint", "of all distinct weights; null if unknown"),
        Column("peak_activation_bytes", "bigint", "for one sample; null if unknown"),
        Column("errors", "integer", "findings of this severity"),
        Column("warnings", "integer", "findings of this severity"),
        Column("infos", "integer", "findings of this severity"),
        Column("suppressed", "integer", "places that the model or the configuration ignores"),
        Column("budgets", "integer", "budgets that apply"),
        Column("broken_budgets", "integer", "those that it exceeds, or whose quantity is unknown"),
        Column("structure", "string", "hash of layers and shapes, without names: equal for near duplicates"),
        Column("content", "string", "hash of structure, names, places of weights and the store's hash or samples"),
        Column("sha256", "string", "of all bytes (--hash), or of its files' hashes if there are several; else null"),
        Column("requests", "integer", "made to read it; 0 on this machine"),
        Column("bytes_read", "bigint", "asked of a server; 0 on this machine"),
        Column("seconds", "double", "that the lint took"),
    ),
    "layers": (
        Column("model", "string", "as in models"),
        Column("position", "integer", "in the order of the graph, inputs first"),
        Column("layer", "string", "its name"),
        Column("kind", "string", "Conv, Dense, Input, ..."),
        Column("output_shape", "bigint[]", "channels first, without the batch; null where unknown"),
        Column("parameters", "bigint", "weight elements that it holds; null if unknown"),
        Column("macs", "bigint", "for one sample; null if unknown"),
        Column("activation_bytes", "bigint", "of its outputs, for one sample; null if unknown"),
        Column("receptive_field", "bigint[]", "input elements along each axis of space; null if unknown"),
    ),
    "findings": (
        Column("model", "string", "as in models"),
        Column("code", "string", "of the rule: FC001"),
        Column("name", "string", "of the rule: flatten-before-dense"),
        Column("severity", "string", "error, warning or info"),
        Column("confidence", "string", "exact, heuristic or opinion"),
        Column("layers", "string[]", "of all places, the one meant first; empty for the whole model"),
        Column("places", "integer", "where it was found"),
        Column("message", "string", "one sentence with the numbers in it"),
        Column("suggestion", "string", "what to do"),
        Column("evidence", "string", "the numbers by name, as JSON"),
        Column("saved_parameters", "bigint", "what doing it saves"),
        Column("saved_macs", "bigint", "what doing it saves"),
        Column("saved_bytes", "bigint", "what doing it saves"),
        Column("fixable", "boolean", "whether cnnlint fix has a rewrite for it"),
        Column("fingerprint", "string", "the same for the same finding after numbers have changed"),
    ),
    "errors": (
        Column("model", "string", "as in models; vanished ones are in this table alone"),
        Column("kind", "string", "unreadable, unreachable, vanished, unfinished, or internal"),
        Column("cause", "string", "in one clause"),
        Column("remedy", "string", "what can be done; empty if nothing is known"),
        Column("attempts", "integer", "how often it was tried"),
    ),
}

UNREADABLE, UNREACHABLE, VANISHED, UNFINISHED, INTERNAL = (
    "unreadable", "unreachable", "vanished", "unfinished", "internal",
)  # fmt: skip
"""Kinds of errors: the file's own, the server's, gone since it was listed, a limit or a crash, cnnlint's own."""

PASSING = frozenset({UNREACHABLE, INTERNAL})
"""Kinds that the next run tries again though the file is unchanged."""

Row = Sequence[Any]
"""The values of the columns, in their order."""

Rows = dict[str, list[Row]]
"""Rows by table."""


def schema(table: str) -> Any:
    """Return the Arrow schema of a table."""
    import pyarrow as pa

    types: dict[str, Any] = {
        "string": pa.string(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "bigint[]": pa.list_(pa.int64()),
        "string[]": pa.list_(pa.string()),
        "map(string, string)": pa.map_(pa.string(), pa.string()),
    }
    return pa.schema([(column.name, types[column.type]) for column in TABLES[table]])


def arrow(table: str, rows: Sequence[Row]) -> Any:
    """Return rows as an Arrow table."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else ((),) * len(TABLES[table])
    fields = schema(table)
    arrays = [
        pa.array(
            [_pairs(value) for value in column] if pa.types.is_map(field.type) else list(column),
            field.type,
        )
        for column, field in zip(columns, fields, strict=True)
    ]
    return pa.table(arrays, fields)


def _pairs(value: Any) -> list[tuple[Any, Any]] | None:
    """Return the entries of a map as Arrow takes them."""
    return None if value is None else [(name, held) for name, held in value]

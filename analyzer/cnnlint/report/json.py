"""The report for programs: versioned JSON with every number exact, and its JSON Schemas."""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import Any

import msgspec

from cnnlint.engine.budget import QUANTITIES
from cnnlint.report.printable import encodable, in_json, visible, without_commands
from cnnlint.report.view import View
from cnnlint.results import SCHEMA, LintReport, SummaryReport


def render(report: LintReport | SummaryReport, view: View) -> str:
    """Return `report` as JSON; numbers that are not finite become null."""
    return encode(report, view)


def encode(value: object, view: View) -> str:
    """Return `value` as JSON on one line, or indented when a person looks at it."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(encodable(value))
    if view.terminal:
        encoded = msgspec.json.format(encoded, indent=2)
    return without_commands(visible(encoded.decode(), in_json), in_json) + "\n"


DOCUMENTS: dict[str, type[LintReport | SummaryReport]] = {"lint": LintReport, "summary": SummaryReport}
"""The record behind each document."""


def json_schema(document: str) -> dict[str, Any]:
    """Return the JSON Schema of `document`, one of DOCUMENTS."""
    return schema_of(document, DOCUMENTS[document])


def schema_of(document: str, record: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of what `record` becomes, which has a field `schema`, under the name `document`."""
    (reference,), definitions = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    defs: dict[str, Any] = {name: _required(definition) for name, definition in sorted(definitions.items())}
    defs[record.__name__]["properties"]["schema"]["const"] = SCHEMA
    for definition in defs.values():
        if quantity := definition.get("properties", {}).get("quantity"):
            quantity["examples"] = list(QUANTITIES)  # and no enum: one more is no other version
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"cnnlint-{document}-{SCHEMA}",
        "title": f"cnnlint {document}, version {SCHEMA}",
        **reference,
        "$defs": defs,
    }
    return _nullable_numbers(schema)


def _required(definition: dict[str, Any]) -> dict[str, Any]:
    """Say that every field is always written, also one that has its default, and what each of them is."""
    summary, attributes = _described(str(definition.get("description", "")))
    definition = {**definition, "description": summary} if summary else definition
    properties: dict[str, dict[str, Any]] | None = definition.get("properties")
    if properties is None:
        return definition
    described: dict[str, dict[str, Any]] = {}
    for name, field in properties.items():
        kept = {key: value for key, value in field.items() if key != "default"}
        described[name] = {**kept, "description": attributes[name]} if name in attributes else kept
    return {**definition, "properties": described, "required": sorted(properties), "additionalProperties": False}


def _described(docstring: str) -> tuple[str, dict[str, str]]:
    """Return the first sentence of a docstring, and what its "Attributes:" say, by name."""
    text = cleandoc(docstring)
    attributes = text.partition("\nAttributes:\n")[2]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return " ".join(text.partition("\n\n")[0].split()), {name: " ".join(said.split()) for name, said in entries}


def _nullable_numbers(node: Any) -> Any:
    """A measured float may not be finite, and JSON writes that as null."""
    if isinstance(node, dict):
        items: dict[str, Any] = {key: _nullable_numbers(value) for key, value in node.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return {**items, "type": ["number", "null"]} if items.get("type") == "number" else items
    if isinstance(node, list):
        return [_nullable_numbers(value) for value in node]  # pyright: ignore[reportUnknownVariableType]
    return node

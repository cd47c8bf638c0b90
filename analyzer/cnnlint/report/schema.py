"""The JSON Schemas of what cnnlint prints as JSON, made from the records themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from cnnlint.results import SCHEMA, LintReport, SummaryReport

DOCUMENTS: dict[str, type[LintReport | SummaryReport]] = {"lint": LintReport, "summary": SummaryReport}
"""The record behind each document."""


def json_schema(document: str) -> dict[str, Any]:
    """Return the JSON Schema of `document`, one of DOCUMENTS."""
    (reference,), definitions = msgspec.json.schema_components([DOCUMENTS[document]], ref_template="#/$defs/{name}")
    defs: dict[str, Any] = {name: _required(definition) for name, definition in sorted(definitions.items())}
    defs[DOCUMENTS[document].__name__]["properties"]["schema"]["const"] = SCHEMA
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"cnnlint-{document}-{SCHEMA}",
        "title": f"cnnlint {document}, version {SCHEMA}",
        **reference,
        "$defs": defs,
    }
    return _nullable_numbers(schema)


def _required(definition: dict[str, Any]) -> dict[str, Any]:
    """Every field is always written, also one that has its default."""
    properties = definition.get("properties")
    if properties is None:
        return definition
    without_defaults = {
        name: {key: value for key, value in field.items() if key != "default"} for name, field in properties.items()
    }
    return {**definition, "properties": without_defaults, "required": sorted(properties), "additionalProperties": False}


def _nullable_numbers(node: Any) -> Any:
    """A measured float may not be finite, and JSON writes that as null."""
    if isinstance(node, dict):
        items: dict[str, Any] = {key: _nullable_numbers(value) for key, value in node.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return {**items, "type": ["number", "null"]} if items.get("type") == "number" else items
    if isinstance(node, list):
        return [_nullable_numbers(value) for value in node]  # pyright: ignore[reportUnknownVariableType]
    return node

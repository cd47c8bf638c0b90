"""The JSON Schema of the configuration, for editors that complete and check TOML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from cnnlint.engine.config.schema import Configuration
from cnnlint.engine.rule import Rule

TEMPLATE = "#/$defs/{name}"

Schema = dict[str, Any]


def config_schema(rules: Iterable[type[Rule]]) -> Schema:
    """Return the JSON Schema of `[tool.cnnlint]`, with the options of `rules`; options of other rules are let be."""
    (reference,), definitions = msgspec.json.schema_components([Configuration], ref_template=TEMPLATE)
    configuration = definitions["Configuration"]
    options = {rule.code: _options(rule, definitions) for rule in rules if msgspec.structs.fields(rule)}
    configuration["properties"]["rules"] |= {"properties": options}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "cnnlint-config",
        "title": "cnnlint configuration",
        **reference,
        "$defs": dict(sorted(definitions.items())),
    }
    return msgspec.json.decode(msgspec.json.encode(schema))  # defaults that are tuples become arrays


def _options(rule: type[Rule], definitions: Schema) -> Schema:
    """Return the schema of a rule's options; what they refer to is added to `definitions`."""
    _, needed = msgspec.json.schema_components([rule], ref_template=TEMPLATE)
    own = cast("Schema", needed.pop(rule.__name__))
    definitions |= {name: definition for name, definition in needed.items() if name not in definitions}
    return {
        "title": rule.name,
        "description": (rule.__doc__ or "").strip().partition("\n")[0],
        "type": "object",
        "properties": own["properties"],
        "additionalProperties": False,
    }

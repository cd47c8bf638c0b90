"""What may stand in `[tool.cnnlint]` of pyproject.toml, or in cnnlint.toml, and its JSON Schema for editors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct, field

from cnnlint.engine.budget import Budget
from cnnlint.engine.rule import Rule
from cnnlint.results import FailOn, Severity

Selectors = Annotated[
    tuple[str, ...], Meta(description="Codes (FC001), names (flatten-before-dense), families (FC) or ALL.")
]


class BudgetTable(Budget, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A budget and the models that it is for."""

    models: Annotated[
        str | tuple[str, ...],
        Meta(description='Globs relative to this file, such as "models/*.onnx"; one without a slash fits anywhere.'),
    ] = "*"

    @property
    def globs(self) -> tuple[str, ...]:
        """The globs, as a tuple even if there is one."""
        return (self.models,) if isinstance(self.models, str) else self.models


class Configuration(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """The settings of cnnlint: `[tool.cnnlint]` in pyproject.toml, or the whole of cnnlint.toml."""

    select: Annotated[Selectors | None, Meta(description="Rules to run instead of the default ones.")] = None
    extend_select: Annotated[Selectors, Meta(description="Rules to run besides.")] = ()
    ignore: Annotated[Selectors, Meta(description="Rules to leave out.")] = ()
    severity: Annotated[
        dict[str, Severity], Meta(description='Severities by code, name or family: FC001 = "info".')
    ] = field(default_factory=dict[str, Severity])
    fail_on: Annotated[FailOn, Meta(description="The severity from which a finding fails the run.")] = "error"
    pedantic: Annotated[bool, Meta(description="Whether to run rules that are a matter of opinion too.")] = False
    static: Annotated[
        bool | None,
        Meta(
            description="Whether to leave out what needs onnxruntime; false runs Keras and remote models too, which "
            "are converted or downloaded for it. Left open, ONNX files and SavedModels are run, and others are not."
        ),
    ] = None
    run_timeout: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="Seconds that loading a model into onnxruntime or one run of it may take, 0 for any number. "
            "Left open, a minute and more for larger models."
        ),
    ] = None
    run_memory: Annotated[
        str | int | None,
        Meta(
            description='Memory that running a model may take, such as "8GB". Left open, four fifths of what is free '
            "when the run starts."
        ),
    ] = None
    cache: Annotated[
        bool,
        Meta(
            description="Whether to keep results in .cnnlint_cache beside this file, so that a model that has not "
            "changed is not opened again."
        ),
    ] = False
    model_ignores: Annotated[
        bool, Meta(description="Whether to honour cnnlint.ignore.CODE in the metadata of an ONNX model.")
    ] = True
    inputs: Annotated[
        dict[str, str], Meta(description='Shapes of inputs whose dims are not fixed: input = "1x3x224x224".')
    ] = field(default_factory=dict[str, str])
    per_model_ignores: Annotated[
        dict[str, tuple[str, ...]],
        Meta(
            description="Rules to ignore in the models of a glob, or at the layers of GLOB#LAYERS; each may carry"
            ' a reason and a date: "FC001: historical (until 2027-01)".'
        ),
    ] = field(default_factory=dict[str, tuple[str, ...]])
    budgets: Annotated[tuple[BudgetTable, ...], Meta(description="What models may cost.")] = ()
    rule_files: Annotated[
        tuple[str, ...], Meta(description="Python files with rules of your own, relative to this file.")
    ] = ()
    rules: Annotated[dict[str, dict[str, Any]], Meta(description="Options of rules by code or name.")] = field(
        default_factory=dict[str, dict[str, Any]]
    )


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

"""What may be said to cnnlint: the settings, each declared once, and the JSON Schema of the configuration.

A setting is a field of `Configuration`, or of `Flags` where a file may not decide it. Beside its type stand its
description and its Option. The keys of the configuration, the options of the command line, the schema and
`--show-settings` follow from that; a test holds the keyword arguments of `cnnlint.lint` to it.
"""

from collections.abc import Iterable
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, field

from cnnlint.engine.budget import Budget
from cnnlint.results import FailOn, MinSeverity, Severity

if TYPE_CHECKING:
    from cnnlint.engine.rule import Rule

# The annotations of settings are values that are read when the module is imported: no `from __future__` here.

TEMPLATE = "#/$defs/{name}"

Schema = dict[str, Any]


class Option(Struct, frozen=True, kw_only=True):
    """How a setting is given from outside of a file.

    Attributes:
        flag: On the command line, "--static/--run" where there are two; "" if it has none.
        metavar: What stands for the value in the help; "" if the type shows.
        short: Its other flag, of one letter; "" if it has none.
        section: Of the help.
        default: What holds if nobody says anything.
        adds_up: Whether the flag adds to what a file says, and does not replace it.
        shown_default: The same in words; "" if it goes without saying.
        in_python: Whether it is a keyword argument of `cnnlint.lint`.
    """

    flag: str = ""
    metavar: str = ""
    section: str = ""
    short: str = ""
    default: object = None
    adds_up: bool = False
    shown_default: str = ""
    in_python: bool = True


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


class DefinitionTable(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A network by the Python code that defines it; the code runs only when `--definitions` or the like asks for it."""

    name: Annotated[
        str,
        Meta(
            description="What reports, budgets, ignores and `exclude` call it.",
            pattern=r"^[\w.-]+$",
        ),
    ]
    factory: Annotated[
        str,
        Meta(description='"FILE.py:NAME", relative to this file, or "dotted.name:NAME": a function, class or model.'),
    ]
    arguments: Annotated[dict[str, Any], Meta(description="What the function or class is called with.")] = field(
        default_factory=dict[str, Any]
    )
    input: Annotated[
        dict[str, str], Meta(description="Shapes of inputs by name; a PyTorch module is exported with them.")
    ] = field(default_factory=dict[str, str])
    model: Annotated[
        str | None,
        Meta(description="A stored model that the factory made, relative to this file: it is linted, on these lines."),
    ] = None


class Configuration(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """The settings of cnnlint: `[tool.cnnlint]` in pyproject.toml, or the whole of cnnlint.toml."""

    required_version: Annotated[
        str | None,
        Meta(
            description='Versions of cnnlint that may read this file, such as ">=0.2" or ">=0.2,<1"; any other '
            "ends with exit code 2."
        ),
        Option(in_python=False),
    ] = None
    select: Annotated[
        tuple[str, ...] | None,
        Meta(description="Run these rules instead of the default ones: codes (FC001), names, families (FC), or ALL."),
        Option(flag="--select", metavar="CODES", section="Rules"),
    ] = None
    extend_select: Annotated[
        tuple[str, ...],
        Meta(description="Run these rules too."),
        Option(flag="--extend-select", metavar="CODES", section="Rules"),
    ] = ()
    ignore: Annotated[
        tuple[str, ...],
        Meta(description="Do not run these rules."),
        Option(flag="--ignore", metavar="CODES", section="Rules"),
    ] = ()
    severity: Annotated[
        dict[str, Severity], Meta(description='Severities by code, name or family: FC001 = "info".'), Option()
    ] = field(default_factory=dict[str, Severity])
    fail_on: Annotated[
        FailOn | None,
        Meta(description="The lowest severity of a finding that fails the run, with exit code 1."),
        Option(flag="--fail-on", section="Exit code", default="error", shown_default="error"),
    ] = None
    min_severity: Annotated[
        MinSeverity | None,
        Meta(description="Show findings from this severity on; whether the run fails is up to --fail-on alone."),
        Option(flag="--min-severity", section="Reports", default="info", shown_default="info"),
    ] = None
    pedantic: Annotated[
        bool | None,
        Meta(description="Run rules that are a matter of opinion too."),
        Option(flag="--pedantic/--no-pedantic", section="Rules", default=False),
    ] = None
    preview: Annotated[
        bool | None,
        Meta(description="Run rules in preview too: new ones, which may still change."),
        Option(flag="--preview/--no-preview", section="Rules", default=False),
    ] = None
    static: Annotated[
        bool | None,
        Meta(
            description="Read the graph only: look at no values of weights, and run nothing. If false (--run), Keras "
            "and remote models are run too, after conversion or download; by default, only local ONNX files and "
            "SavedModels are run."
        ),
        Option(flag="--static/--run", section="Models"),
    ] = None
    exclude: Annotated[
        tuple[str, ...],
        Meta(
            description='Skip the models that these globs fit, and all below a folder that they fit: "legacy", '
            '"models/old/*.onnx". They are relative to the configuration, or to the working directory for the flag.'
        ),
        Option(flag="--exclude", metavar="GLOBS", section="Models", adds_up=True, in_python=False),
    ] = ()
    force_exclude: Annotated[
        bool | None,
        Meta(description="Skip excluded models even if they are named, as pre-commit names them."),
        Option(flag="--force-exclude/--no-force-exclude", section="Models", default=False, in_python=False),
    ] = None
    respect_gitignore: Annotated[
        bool | None,
        Meta(description="Skip the models that git ignores, as if they were excluded."),
        Option(flag="--respect-gitignore/--no-respect-gitignore", section="Models", default=False, in_python=False),
    ] = None
    run_timeout: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="Seconds that one load or run of a model may take; 0 for no limit."),
        Option(
            flag="--run-timeout", metavar="SECONDS", section="Limits", shown_default="60, and more for large models"
        ),
    ] = None
    run_memory: Annotated[
        str | int | None,
        Meta(description='Memory that running a model may take, such as "8GB".'),
        Option(flag="--run-memory", metavar="8GB", section="Limits", shown_default="80% of what is free"),
    ] = None
    jobs: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Processes that lint side by side; 1 to lint in this one."),
        Option(
            flag="--jobs",
            short="-j",
            metavar="N",
            section="Limits",
            shown_default="one for each processor, where there are many models",
        ),
    ] = None
    cache: Annotated[
        bool | None,
        Meta(
            description="Keep results in .cnnlint_cache next to this file, and do not open a model again that has not "
            "changed."
        ),
        Option(default=False, in_python=False),
    ] = None
    baseline: Annotated[
        str | None,
        Meta(
            description="Report only what is not in this file, which --write-baseline writes; relative to the "
            'configuration, or to the working directory for the flag; "" for none.'
        ),
        Option(flag="--baseline", metavar="FILE", section="Baseline"),
    ] = None
    model_ignores: Annotated[
        bool | None,
        Meta(description="Honor cnnlint.ignore.CODE in the metadata of an ONNX model, and ignores in code."),
        Option(flag="--model-ignores/--no-model-ignores", section="Rules", default=True),
    ] = None
    inputs: Annotated[
        dict[str, str],
        Meta(description="Shapes of inputs whose dimensions are not fixed, by name."),
        Option(flag="--input", metavar="NAME=1x3x224x224", section="Models"),
    ] = field(default_factory=dict[str, str])
    per_model_inputs: Annotated[
        dict[str, dict[str, str]],
        Meta(description="Shapes of inputs, by name, in the models of a glob; they outweigh those for all models."),
        Option(in_python=False),
    ] = field(default_factory=dict[str, dict[str, str]])
    per_model_ignores: Annotated[
        dict[str, tuple[str, ...]],
        Meta(
            description="Rules to ignore in the models of a glob, or at the layers of GLOB#LAYERS; each may carry"
            ' a reason and a date: "FC001: historical (until 2027-01)".'
        ),
        Option(in_python=False),
    ] = field(default_factory=dict[str, tuple[str, ...]])
    for_: Annotated[
        tuple[str, ...],
        Meta(
            description='Releases of runtimes that ONNX files must run on, by their documentation: "onnxruntime==1.17".'
        ),
        Option(flag="--for", metavar="RUNTIME==RELEASE", section="Rules"),
    ] = ()
    budgets: Annotated[tuple[BudgetTable, ...], Meta(description="What models may cost."), Option(in_python=False)] = ()
    definitions: Annotated[
        tuple[DefinitionTable, ...],
        Meta(description="Networks by the Python code that defines them."),
        Option(in_python=False),
    ] = ()
    rule_files: Annotated[
        tuple[str, ...], Meta(description="Python files with rules of your own, relative to this file."), Option()
    ] = ()
    rules: Annotated[dict[str, dict[str, Any]], Meta(description="Options of rules by code or name."), Option()] = (
        field(default_factory=dict[str, dict[str, Any]])
    )


class Flags(Configuration, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What the command line, or the caller from Python, says; None or empty where silent.

    It outweighs the file: `select` replaces its selection (its ignores included), as with ruff; tables are
    merged key by key; budgets add up. Files are relative to the working directory.
    """

    python: Annotated[
        str | None,
        Meta(description="Run definitions by this interpreter, or that of this environment."),
        Option(
            flag="--python",
            metavar="PATH",
            section="Definitions",
            shown_default="the active environment, .venv, then cnnlint's own",
        ),
    ] = None
    cache_dir: Annotated[
        Path | None,
        Meta(description="Keep results in this folder, and do not open a model again that has not changed."),
        Option(flag="--cache-dir", metavar="FOLDER", section="Models"),
    ] = None
    allow_config_code: Annotated[
        tuple[Path, ...],
        Meta(
            description="Run the rule-files of this configuration (or of the one in this folder), which was found next "
            "to a model and not from the working directory upward."
        ),
        Option(flag="--allow-config-code", metavar="PATH", section="Configuration"),
    ] = ()
    ignore_config_code: Annotated[
        bool,
        Meta(description="Leave out such rule-files, instead of ending with exit code 2."),
        Option(flag="--ignore-config-code", section="Configuration"),
    ] = False

    @property
    def said_in(self) -> str:
        """What errors call the place of a wrong selector."""
        return "command line"


class Declaration(Struct, frozen=True):
    """All that is said of one setting.

    Attributes:
        name: In Python.
        type: Of its value, None aside.
        help: What it is, as a sentence.
        option: How it is given from outside of a file.
    """

    name: str
    type: Any
    help: str
    option: Option

    @property
    def key(self) -> str:
        """What it is called in a file."""
        return self.name.rstrip("_").replace("_", "-")  # `for` is a word of Python


def _declaration(name: str, annotation: Any) -> Declaration:
    kind, meta, option = get_args(annotation)
    kinds = [member for member in get_args(kind) if member is not NoneType] if NoneType in get_args(kind) else [kind]
    if get_origin(kinds[0]) is Annotated:
        kinds = [get_args(kinds[0])[0]]
    return Declaration(name, kinds[0], meta.description, option)


SETTINGS = {
    name: _declaration(name, annotation)
    for kind in (Configuration, Flags)
    for name, annotation in kind.__annotations__.items()
}
"""Every setting, those of files first."""


def config_schema(rules: Iterable[type["Rule"]]) -> Schema:
    """Return the JSON Schema of `[tool.cnnlint]`, with the options of `rules`; those of other rules are not checked."""
    (reference,), definitions = msgspec.json.schema_components([Configuration], ref_template=TEMPLATE)
    configuration = definitions["Configuration"]
    for name in Configuration.__struct_fields__:
        if (default := SETTINGS[name].option.default) is not None:
            configuration["properties"][SETTINGS[name].key]["default"] = default
    options = {rule.code: _options(rule, definitions) for rule in rules if msgspec.structs.fields(rule)}
    configuration["properties"]["rules"] |= {"properties": options}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "cnnlint-config",
        "title": "cnnlint configuration",
        **reference,
        "$defs": dict(sorted(definitions.items())),
    }
    return _without_null(msgspec.json.decode(msgspec.json.encode(schema)))  # defaults that are tuples become arrays


def _options(rule: type["Rule"], definitions: Schema) -> Schema:
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


def _without_null(node: Any) -> Any:
    """Return a schema without what TOML has not: a setting that is not given is left out."""
    if isinstance(node, list):
        return [_without_null(entry) for entry in cast("list[Any]", node) if entry != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    entries = {key: _without_null(value) for key, value in cast("Schema", node).items()}
    if entries.get("default", ...) is None:
        del entries["default"]
    if len(kinds := entries.get("anyOf", ())) == 1:
        del entries["anyOf"]
        entries |= kinds[0]
    return entries

"""The page of a rule, as Markdown made from the rule itself, and the same for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec import inspect as types
from msgspec.structs import replace

from cnnlint.engine.rule import Example, Rule
from cnnlint.errors import __version__
from cnnlint.graph.graph import Graph
from cnnlint.graph.training import UNTOLD, Training
from cnnlint.report.framework_code import keras_code, pytorch_code
from cnnlint.results import SCHEMA, Confidence, Severity


def summary(rule: type[Rule]) -> str:
    """Return the first sentence of the page: what is wrong."""
    return " ".join(cleandoc(rule.__doc__ or "").partition("\n\n")[0].split())


def page(rule: type[Rule], *, code: bool = True) -> str:
    """Return the page: identity, what is wrong and why, what to do instead, examples, options, references.

    Args:
        rule: The rule.
        code: Whether to show an example in Keras and in PyTorch too; building its network takes onnx.
    """
    first, sections = _sections(rule)
    lines = [f"# {rule.name} ({rule.code})", "", *_identity(rule), "", first, ""]
    trailing = {title: text for title, text in sections.items() if title == "References"}
    for title, text in sections.items():
        if title not in trailing:
            lines += [f"## {title}", "", text, ""]
    if examples := list(_examples(rule)):
        lines += ["## Example", "", *examples, *(_in_code(rule) if code else ())]
    if options := list(_options(rule)):
        lines += ["## Options", "", *options, ""]
    for title, text in trailing.items():
        lines += [f"## {title}", "", text, ""]
    return "\n".join(lines).rstrip() + "\n"


def index(rules: Iterable[type[Rule]]) -> str:
    """Return the table of `rules`, each linked to its page."""
    lines = [
        "| Code | Name | Severity | Confidence | What it says |",
        "|---|---|---|---|---|",
        *(
            f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.severity} | {rule.confidence} "
            f"| {_cell(summary(rule))}{' (in preview)' if rule.preview else ''} |"
            for rule in rules
        ),
    ]
    return "\n".join(lines) + "\n"


class OptionEntry(Struct, frozen=True):
    """An option of a rule, or a key of a table that is one.

    Attributes:
        name: As a configuration spells it.
        type: What its value is, in words.
        default: The value that it has if nobody says anything.
        description: What it decides.
    """

    name: str
    type: str
    default: Any
    description: str


class RuleEntry(Struct, frozen=True, kw_only=True):
    """A rule.

    Attributes:
        code: Its code.
        name: Its name.
        severity: What a finding costs, unless the configuration says otherwise.
        confidence: How sure it is.
        summary: What is wrong where it finds something.
        since: The version of its package that it came with; null if it does not say.
        preview: Whether it runs with `--preview` only.
        fixable: Whether `cnnlint fix` can rewrite what it finds.
        runs: Whether it looks at runs of the model, and is left out of static lints.
        replaces: Codes and names that are no longer used and that it took over.
        origin: Where it comes from: "cnnlint 0.1.0", or the path of a local file.
        options: What can be set.
        page: The text of `cnnlint explain`, in Markdown.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    summary: str
    since: str | None
    preview: bool
    fixable: bool
    runs: bool
    replaces: tuple[str, ...]
    origin: str
    options: tuple[OptionEntry, ...]
    page: str


class RulesReport(Struct, frozen=True, kw_only=True):
    """The rules that a command lists.

    Attributes:
        schema: The version of the document.
        cnnlint: The version that wrote it.
        rules: By code.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    rules: tuple[RuleEntry, ...] = ()


def entry(rule: type[Rule], origin: str) -> RuleEntry:
    """Return all that there is to say of `rule`."""
    return RuleEntry(
        code=rule.code,
        name=rule.name,
        severity=rule.severity,
        confidence=rule.confidence,
        summary=summary(rule),
        since=rule.since or None,
        preview=rule.preview,
        fixable=rule.is_fixable(),
        runs=rule.needs_run,
        replaces=rule.replaces,
        origin=origin,
        options=tuple(options(rule)),
        page=page(rule, code=False),
    )


def options(record: type[Struct]) -> Iterator[OptionEntry]:
    """Yield the options of a rule, or the keys of a table that is one."""
    for field in msgspec.structs.fields(record):
        kind, description = _described(field.type)
        default: object = field.default if field.default is not msgspec.NODEFAULT else _made(field.default_factory)
        yield OptionEntry(field.encode_name, _type_name(kind), default, description)


def _described(annotation: Any) -> tuple[types.Type, str]:
    """Return a type and what is said of it."""
    kind, description = types.type_info(annotation), ""
    while isinstance(kind, types.Metadata):
        extra = cast("dict[str, Any]", kind.extra_json_schema or {})
        description = description or str(extra.get("description", ""))
        kind = kind.type
    return kind, description


def _made(factory: Any) -> Any:
    return factory() if callable(factory) else None


def _sections(rule: type[Rule]) -> tuple[str, dict[str, str]]:
    first, *rest = f"\n{cleandoc(rule.__doc__ or '')}".split("\n## ")
    parts = (part.partition("\n") for part in rest)
    return first.strip(), {title.strip(): text.strip("\n") for title, _, text in parts}


def _identity(rule: type[Rule]) -> Iterator[str]:
    since = f", since {rule.since}" if rule.since else ""
    fixable = ", can be rewritten" if rule.is_fixable() else ""
    fixable += " on request" if fixable and rule.rewrites_on_request else ""
    yield f"**{rule.severity}**, {rule.confidence}{fixable}{since}"
    if rule.preview:
        yield from ("", "In preview: it runs with `--preview` only, and may still change.")


def _examples(rule: type[Rule]) -> Iterator[str]:
    for title, wanted in (("Found in", True), ("Not found in", False)):
        chosen = [example for example in rule.examples if example.bad is wanted]
        if not chosen:
            continue
        yield from (f"{title}:", "")
        for example in chosen:
            yield from ("```text", *_notation(example), "```", "")


def _in_code(rule: type[Rule]) -> Iterator[str]:
    """Yield the first network with the fault as one would write it, and what the rewrite makes of it or one without."""
    before = next((example for example in rule.examples if example.bad), None)
    good = next((example for example in rule.examples if not example.bad), None)
    if before is None:
        return
    after = (before.fixed, before.training) if before.fixed else (good.model, good.training) if good else ("", UNTOLD)
    pair = ((before.model, before.training), after)
    graphs = [graph for text, told in pair if text and (graph := _graph_of(text, told)) is not None]
    for framework, write in (("Keras", keras_code), ("PyTorch", pytorch_code)):
        codes = [write(graph) for graph in graphs]
        if len(codes) == 2 and all(codes) and codes[0] != codes[1]:
            yield from (f"In {framework}, {'before and after' if before.fixed else 'found and not found'}:", "")
            for code in codes:
                yield from ("```python", str(code), "```", "")


def _graph_of(text: str, training: Training) -> Graph | None:
    """Return the network of an example; None for ONNX text, whose details are about the file and not the code."""
    from cnnlint.frontends import load_onnx_bytes
    from cnnlint.frontends.notation import is_notation, to_onnx

    if not is_notation(text):
        return None
    return replace(load_onnx_bytes(to_onnx(text).SerializeToString()), training=training)


def _notation(example: Example) -> Iterator[str]:
    yield from cleandoc(example.model).splitlines()
    if example.at:
        yield f"# at {', '.join(example.at)}"
    yield from (f"# {line}" for line in conditions(example))


def conditions(example: Example) -> Iterator[str]:
    """Yield what holds beside the network of an example: how it is trained, and options of the rule."""
    yield from _compiled(example.training)
    for name, value in example.options.items():
        yield f"with {name.replace('_', '-')} = {_written(value)}"


def _compiled(training: Training) -> Iterator[str]:
    for loss in training.losses:
        logits = "" if loss.from_logits is None else f", from_logits={loss.from_logits}"
        yield f"trained with {loss.name}{logits}"
    if (optimizer := training.optimizer) is not None:
        rate = optimizer.schedule or f"{optimizer.learning_rate:g}"
        momentum = "" if optimizer.momentum is None else f", momentum={optimizer.momentum:g}"
        yield f"trained by {optimizer.name} with learning_rate={rate}{momentum}"
    for metric in training.metrics:
        threshold = "" if metric.threshold is None else f" with threshold={metric.threshold:g}"
        yield f"measured by {metric.name}{threshold}"
    for key, initializer in training.initializers.items():
        value = "" if initializer.value is None else f" ({initializer.value:g})"
        yield f"{key} initialized by {initializer.name}{value}"


def _options(rule: type[Rule]) -> Iterator[str]:
    rows = list(options(rule))
    if not rows:
        return
    yield from _table("Option", rule)
    first = rows[0]
    setting = f"{first.name} = {_written(first.default)}"
    yield from ("", "```toml", f"[tool.cnnlint.rules.{rule.code}]", setting, "```")
    for field in msgspec.structs.fields(rule):
        match _described(field.type)[0]:
            case types.VarTupleType(item_type=types.StructType(cls=record)):
                yield from ("", f"The keys of each table in `{field.encode_name}`:", "", *_table("Key", record))
            case _:
                pass


def _table(head: str, record: type[Struct]) -> Iterator[str]:
    yield from (f"| {head} | Type | Default | Meaning |", "|---|---|---|---|")
    for option in options(record):
        default = _written(option.default)
        shown = f"`{default}`" if default else "not set"
        yield f"| `{option.name}` | {_cell(option.type)} | {shown} | {_cell(option.description)} |"


def _type_name(kind: types.Type) -> str:
    match kind:
        case types.LiteralType():
            return " or ".join(_written(value) for value in kind.values)
        case types.IntType():
            return "whole number"
        case types.FloatType():
            return "number"
        case types.BoolType():
            return "true or false"
        case types.StrType():
            return "text"
        case types.VarTupleType() | types.ListType() | types.SetType() | types.FrozenSetType():
            return f"list of {_type_name(kind.item_type)}".replace("table", "tables")
        case types.TupleType():
            return ", ".join(_type_name(item) for item in kind.item_types)
        case types.UnionType():
            has_float = any(isinstance(item, types.FloatType) for item in kind.types)
            left_out = (types.NoneType, types.IntType) if has_float else types.NoneType
            return " or ".join(_type_name(item) for item in kind.types if not isinstance(item, left_out))
        case types.StructType():
            return "table"
        case types.Metadata():
            return _type_name(kind.type)
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _written(value: object) -> str:
    """Return `value` as TOML has it."""
    match value:
        case bool():
            return str(value).lower()
        case tuple() | list() | frozenset() | set():
            return f"[{', '.join(_written(item) for item in value)}]"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case dict():
            entries = cast("dict[str, object]", value)
            return f"{{ {', '.join(f'{key} = {_written(entry)}' for key, entry in entries.items())} }}"
        case str():
            return f'"{value}"'
        case None:
            return ""
        case _:
            return str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

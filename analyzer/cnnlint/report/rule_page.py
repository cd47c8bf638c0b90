"""The page of a rule, as Markdown made from the rule itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from cnnlint.engine.rule import Example, Rule
from cnnlint.graph.graph import Graph
from cnnlint.report.framework_code import keras_code, pytorch_code


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
            f"| {_cell(summary(rule))} |"
            for rule in rules
        ),
    ]
    return "\n".join(lines) + "\n"


def options(record: type[Struct]) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, default and description of each option of a rule, or of each key of a table that is one."""
    for field in msgspec.structs.fields(record):
        kind, description = _described(field.type)
        default: object = field.default if field.default is not msgspec.NODEFAULT else _made(field.default_factory)
        yield field.encode_name, _type_name(kind), _written(default), description


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
    return first.strip(), {title.strip(): text.strip() for title, _, text in parts}


def _identity(rule: type[Rule]) -> Iterator[str]:
    fixable = ", can be rewritten" if rule.is_fixable() else ""
    yield f"**{rule.severity}**, {rule.confidence}{fixable}"


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
    after = next((example.model for example in rule.examples if not example.bad), None)
    if before is None:
        return
    after = before.fixed or after
    graphs = [graph for text in (before.model, after) if text and (graph := _graph_of(text)) is not None]
    for framework, write in (("Keras", keras_code), ("PyTorch", pytorch_code)):
        codes = [write(graph) for graph in graphs]
        if len(codes) == 2 and all(codes) and codes[0] != codes[1]:
            yield from (f"In {framework}, {'before and after' if before.fixed else 'found and not found'}:", "")
            for code in codes:
                yield from ("```python", str(code), "```", "")


def _graph_of(text: str) -> Graph | None:
    """Return the network of an example; None for ONNX text, whose details are about the file and not the code."""
    from cnnlint.frontends import load_onnx_bytes
    from cnnlint.frontends.notation import is_notation, to_onnx

    return load_onnx_bytes(to_onnx(text).SerializeToString()) if is_notation(text) else None


def _notation(example: Example) -> Iterator[str]:
    yield from cleandoc(example.model).splitlines()
    if example.at:
        yield f"# at {', '.join(example.at)}"
    for training in example.training:
        logits = "" if training.from_logits is None else f", from_logits={training.from_logits}"
        yield f"# trained with {training.loss}{logits}"
    for name, value in example.options.items():
        yield f"# with {name.replace('_', '-')} = {_written(value)}"


def _options(rule: type[Rule]) -> Iterator[str]:
    rows = list(options(rule))
    if not rows:
        return
    yield from _table("Option", rule)
    name, _, default, _ = rows[0]
    yield from ("", "```toml", f"[tool.cnnlint.rules.{rule.code}]", f"{name} = {default}", "```")
    for field in msgspec.structs.fields(rule):
        match _described(field.type)[0]:
            case types.VarTupleType(item_type=types.StructType(cls=record)):
                yield from ("", f"The keys of each table in `{field.encode_name}`:", "", *_table("Key", record))
            case _:
                pass


def _table(head: str, record: type[Struct]) -> Iterator[str]:
    yield from (f"| {head} | Type | Default | Meaning |", "|---|---|---|---|")
    for name, kind, default, description in options(record):
        shown = f"`{default}`" if default else "not set"
        yield f"| `{name}` | {_cell(kind)} | {shown} | {_cell(description)} |"


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

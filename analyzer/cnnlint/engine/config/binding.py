"""The rules of a configuration: with their options and budgets, and whose own rule files may run.

A configuration that merely lies next to a model does not decide that. Files of rules are Python, and a folder of models
is as often downloaded as written. A configuration runs its `rule-files` if the user chose it: by `--config`, by working
in or below its folder, or by naming it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from cnnlint.engine.budget import Budget, BudgetRule
from cnnlint.engine.config.load import Document, parse_validation_error
from cnnlint.engine.config.settings import Settings
from cnnlint.engine.registry import RuleSet
from cnnlint.engine.rule import Rule, TargetRule
from cnnlint.errors import ConfigError, did_you_mean


def bind(rules: Iterable[type[Rule]], settings: Settings, known: RuleSet, model: str) -> tuple[Rule, ...]:
    """Return instances of `rules` with the options, and the budgets, that `settings` have for the model at `model`.

    Raises:
        ConfigError: Options are given for a rule that does not exist, or a rule has no such option or refuses
            its value; rules that do not run are checked as well.
    """
    bound = {
        rule.code: make_rule(rule, options, place=name, document=settings.document)
        for name, options in settings.rules.items()
        for rule in [_named(name, settings, known)]
    }
    budgets = settings.budgets_for(model)
    made = (bound.get(rule.code) or rule() for rule in rules)
    return tuple(_with_settings(rule, settings, budgets) for rule in made)


def make_rule(rule: type[Rule], options: Mapping[str, Any], *, place: str, document: Document | None = None) -> Rule:
    """Return `rule` with `options`, their keys in kebab case.

    Raises:
        ConfigError: It has no such option, or refuses the value; `place` is the name that the user gave it.
    """
    fields = {option.encode_name for option in msgspec.structs.fields(rule)}
    for key in options:
        if key not in fields:
            listed = f"it has {', '.join(sorted(fields))}" if fields else "it has none"
            raise _error(f"{rule.code} has no such option", place, key, document, did_you_mean(key, fields) or listed)
    try:
        return msgspec.convert(options, rule)
    except msgspec.ValidationError as error:
        cause, key = parse_validation_error(error)
        raise _error(cause, place, str(key[0]) if key else "", document, None) from error


def _named(name: str, settings: Settings, known: RuleSet) -> type[Rule]:
    if (rule := known.get(name)) is None:
        raise known.unknown(name, where=settings.document.place("rules", name) if settings.document else None)
    return rule


def _with_settings(rule: Rule, settings: Settings, budgets: tuple[Budget, ...]) -> Rule:
    """Return `rule` with what settings say that are meant for rules of its scope."""
    if isinstance(rule, BudgetRule):
        return replace(rule, budgets=(*rule.budgets, *budgets))
    if isinstance(rule, TargetRule):
        return replace(rule, targets=(*rule.targets, *settings.targets))
    return rule


def _error(cause: str, place: str, key: str, document: Document | None, remedy: str | None) -> ConfigError:
    if document is None:
        return ConfigError(f"rules.{place}.{key}: {cause}", remedy=remedy)
    return document.error(cause, "rules", place, key, remedy=remedy)


def check_allowed(paths: Iterable[Path]) -> None:
    """Make sure that what is allowed to run code exists.

    Raises:
        ConfigError: A path is neither a file nor a folder; a mistyped one would allow nothing.
    """
    for path in paths:
        if not os.path.exists(path):  # pathlib raises for a name that is too long
            remedy = "give the configuration file or its folder"
            raise ConfigError("--allow-config-code: there is no such file or folder", path=str(path), remedy=remedy)


def may_run_code(document: Document, own: Document | None, allowed: Iterable[Path]) -> bool:
    """Return whether the rule-files of `document`, which lies next to a model, may be run.

    Args:
        document: The configuration; symbolic links to it lead nowhere, since its files are looked for next to the link.
        own: The configuration that the working directory has.
        allowed: Configurations, or their folders, whose code the user wants to run.
    """
    if not document.configuration.rule_files:
        return True
    place = _place(document.path)
    if own is not None and place == _place(own.path):
        return True
    return any(place == _place(path) or place.parent == path.resolve() for path in allowed)


def left_out(document: Document) -> str:
    """Return the sentence that says what was left out, and how to go on."""
    return (
        f"{document.place('rule-files')}: the rules of {', '.join(document.configuration.rule_files)} were not run,"
        " because this configuration was found next to a model and not from the working directory upward"
        f" (--allow-config-code {document.root} runs them, --ignore-config-code leaves them out)"
    )


def without_code(document: Document, known: RuleSet) -> Document:
    """Return `document` without its rule-files, and without what it says of rules that are not `known`.

    Those may stand in the files that are left out; nobody can tell without running them.
    """
    file = document.configuration

    def spoken(selector: str) -> bool:
        return bool(known.matching(selector) or known.retired(selector))

    def chosen(selectors: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(filter(spoken, selectors))

    return replace(
        document,
        configuration=replace(
            file,
            rule_files=(),
            select=None if file.select is None else chosen(file.select),
            extend_select=chosen(file.extend_select),
            ignore=chosen(file.ignore),
            severity={name: level for name, level in file.severity.items() if spoken(name)},
            rules={name: options for name, options in file.rules.items() if known.get(name) or known.retired(name)},
            per_model_ignores={
                glob: tuple(entry for entry in entries if spoken(entry.partition(":")[0].strip()))
                for glob, entries in file.per_model_ignores.items()
            },
        ),
    )


def _place(path: Path) -> Path:
    return path.parent.resolve() / path.name

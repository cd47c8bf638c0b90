"""Rules with the options that the configuration gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cnnlint.engine.budget import Budget, BudgetRule
from cnnlint.engine.config.load import Document, parse_validation_error
from cnnlint.engine.config.settings import Settings
from cnnlint.engine.registry import RuleSet
from cnnlint.engine.rule import Rule
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
    return tuple(_with_budgets(rule, budgets) if isinstance(rule, BudgetRule) else rule for rule in made)


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


def _with_budgets(rule: BudgetRule, budgets: tuple[Budget, ...]) -> BudgetRule:
    return msgspec.structs.replace(rule, budgets=(*rule.budgets, *budgets))


def _error(cause: str, place: str, key: str, document: Document | None, remedy: str | None) -> ConfigError:
    if document is None:
        return ConfigError(f"rules.{place}.{key}: {cause}", remedy=remedy)
    return document.error(cause, "rules", place, key, remedy=remedy)

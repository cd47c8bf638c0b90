"""Whose code may run: a configuration that merely lies beside a model does not decide that.

Files of rules are Python, and a folder of models is as often downloaded as written. A configuration runs its
`rule-files` if the user chose it: by `--config`, by working in or below its folder, or by naming it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from cnnlint.engine.config.load import Document
from cnnlint.engine.registry import RuleSet
from cnnlint.errors import ConfigError


def check_allowed(paths: Iterable[Path]) -> None:
    """Make sure that what is allowed to run code exists.

    Raises:
        ConfigError: A path is neither a file nor a folder; a mistyped one would allow nothing.
    """
    for path in paths:
        if not path.exists():
            remedy = "give the configuration file or its folder"
            raise ConfigError("--allow-config-code: there is no such file or folder", path=str(path), remedy=remedy)


def may_run_code(document: Document, own: Document | None, allowed: Iterable[Path]) -> bool:
    """Return whether the rule-files of `document`, which lies beside a model, may be run.

    Args:
        document: The configuration; symbolic links to it lead nowhere, for its files are looked for beside the link.
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
        f"{document.place('rule-files')}: the rules of {', '.join(document.configuration.rule_files)} were not run, for"
        " this configuration was found beside a model and not from the working directory upwards"
        f" (--allow-config-code {document.root} runs them, --ignore-config-code does without)"
    )


def without_code(document: Document, known: RuleSet) -> Document:
    """Return `document` without its rule-files, and without what it says of rules that are not `known`.

    Those may stand in the files that are left out; nobody can tell without running them.
    """
    file = document.configuration

    def chosen(selectors: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(selector for selector in selectors if known.matching(selector))

    return replace(
        document,
        configuration=replace(
            file,
            rule_files=(),
            select=None if file.select is None else chosen(file.select),
            extend_select=chosen(file.extend_select),
            ignore=chosen(file.ignore),
            severity={name: level for name, level in file.severity.items() if known.matching(name)},
            rules={name: options for name, options in file.rules.items() if known.get(name)},
            per_model_ignores={
                glob: tuple(entry for entry in entries if known.matching(entry.partition(":")[0].strip()))
                for glob, entries in file.per_model_ignores.items()
            },
        ),
    )


def _place(path: Path) -> Path:
    return path.parent.resolve() / path.name

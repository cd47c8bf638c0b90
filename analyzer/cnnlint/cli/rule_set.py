"""The rules that hold in the working directory: those of plugins, and of files that the configuration names."""

from __future__ import annotations

from pathlib import Path

from cnnlint.engine.config.load import find_document, read_document
from cnnlint.engine.registry import RuleSet, load_rules


def rules_here(config: Path | None, *, isolated: bool) -> RuleSet:
    """Return the rules; local files of rules are those of `config`, or of the nearest configuration.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a local file is.
    """
    if isolated:
        return load_rules()
    document = read_document(config) if config is not None else find_document(Path.cwd())
    if document is None:
        return load_rules()
    return load_rules(document.root / file for file in document.configuration.rule_files)

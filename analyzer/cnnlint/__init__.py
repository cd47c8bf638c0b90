"""cnnlint: the linter for convolutional networks.

    import cnnlint

    report = cnnlint.lint("model.onnx")            # or an onnx.ModelProto, or a keras.Model
    print(report)                                  # in a notebook the report shows itself

Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnlint.analysis.context import Context
    from cnnlint.api import Report, Summary, lint, load, summarize
    from cnnlint.engine.budget import Budget
    from cnnlint.engine.registry import RuleSet, load_rules
    from cnnlint.engine.rule import Bad, Good, LayerRule, ModelRule, PatternRule, Rule, RuntimeRule
    from cnnlint.engine.walker import walk
    from cnnlint.errors import CnnlintError, ConfigError, ModelError, RuleError, __version__
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.graph.patterns import Many, Match, Maybe, Op
    from cnnlint.results import (
        Advice,
        Confidence,
        Finding,
        LintReport,
        ModelReport,
        ModelSummary,
        NearMiss,
        Proof,
        Savings,
        Severity,
        SummaryReport,
    )

__all__ = [
    "Advice", "Bad", "Budget", "CnnlintError", "Confidence", "ConfigError", "Context", "Finding", "Good", "Graph",
    "Layer", "LayerRule", "LintReport", "Many", "Match", "Maybe", "ModelError", "ModelReport", "ModelRule",
    "ModelSummary", "NearMiss", "Op", "PatternRule", "Proof", "Report", "Rule", "RuleError", "RuleSet", "RuntimeRule",
    "Savings", "Severity", "Summary", "SummaryReport", "__version__", "lint", "load", "load_rules", "summarize", "walk",
]  # fmt: skip

_HOMES = {
    "analysis.context": ("Context",),
    "api": ("Report", "Summary", "lint", "load", "summarize"),
    "engine.budget": ("Budget",),
    "engine.registry": ("RuleSet", "load_rules"),
    "engine.rule": ("Bad", "Good", "LayerRule", "ModelRule", "PatternRule", "Rule", "RuntimeRule"),
    "engine.walker": ("walk",),
    "errors": ("CnnlintError", "ConfigError", "ModelError", "RuleError", "__version__"),
    "graph.graph": ("Graph",),
    "graph.layer": ("Layer",),
    "graph.patterns": ("Many", "Match", "Maybe", "Op"),
    "results": (
        "Advice", "Confidence", "Finding", "LintReport", "ModelReport", "ModelSummary", "NearMiss", "Proof", "Savings",
        "Severity", "SummaryReport",
    ),
}  # fmt: skip
"""The module that each public name lives in."""


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"cnnlint.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'cnnlint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

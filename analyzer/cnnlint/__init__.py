"""cnnlint: the linter for convolutional networks.

    import cnnlint

    report = cnnlint.lint("model.onnx")            # or an onnx.ModelProto, or a keras.Model
    print(report)                                  # in a notebook the report shows itself

Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnnlint.api import Report, Summary, lint, load, summarize
    from cnnlint.budget import Budget
    from cnnlint.context import Context
    from cnnlint.errors import CnnlintError, ConfigError, ModelError, RuleError
    from cnnlint.finding import Advice, Confidence, Finding, NearMiss, Proof, Savings, Severity
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.graph.patterns import Many, Match, Maybe, Op
    from cnnlint.registry import RuleSet, load_rules
    from cnnlint.results import LintReport, ModelReport, ModelSummary, SummaryReport
    from cnnlint.rule import Bad, Good, LayerRule, ModelRule, PatternRule, Rule, RuntimeRule
    from cnnlint.walker import walk

__all__ = [
    "Advice", "Bad", "Budget", "CnnlintError", "Confidence", "ConfigError", "Context", "Finding", "Good", "Graph",
    "Layer", "LayerRule", "LintReport", "Many", "Match", "Maybe", "ModelError", "ModelReport", "ModelRule",
    "ModelSummary", "NearMiss", "Op", "PatternRule", "Proof", "Report", "Rule", "RuleError", "RuleSet", "RuntimeRule",
    "Savings", "Severity", "Summary", "SummaryReport", "__version__", "lint", "load", "load_rules", "summarize", "walk",
]  # fmt: skip

_HOMES = {
    "api": ("Report", "Summary", "lint", "load", "summarize"),
    "budget": ("Budget",),
    "context": ("Context",),
    "errors": ("CnnlintError", "ConfigError", "ModelError", "RuleError"),
    "finding": ("Advice", "Confidence", "Finding", "NearMiss", "Proof", "Savings", "Severity"),
    "graph.graph": ("Graph",),
    "graph.layer": ("Layer",),
    "graph.patterns": ("Many", "Match", "Maybe", "Op"),
    "registry": ("RuleSet", "load_rules"),
    "results": ("LintReport", "ModelReport", "ModelSummary", "SummaryReport"),
    "rule": ("Bad", "Good", "LayerRule", "ModelRule", "PatternRule", "Rule", "RuntimeRule"),
    "walker": ("walk",),
}
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

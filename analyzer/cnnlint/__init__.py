"""cnnlint: the linter for convolutional networks.

    import cnnlint

    report = cnnlint.lint("model.onnx")            # or an onnx.ModelProto, or a keras.Model
    print(report)                                  # in a notebook the report shows itself

Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from cnnlint.analysis.context import Context
    from cnnlint.analysis.feature_map import is_feature_map
    from cnnlint.analysis.filters import Filters, filters, shown_held
    from cnnlint.analysis.heads import (
        DenseHead,
        Head,
        HeadAsConvolutions,
        as_convolutions,
        dense_head,
        hidden_dense,
        reads_axis_of,
        scored_by,
    )
    from cnnlint.analysis.inputs import closing_options, larger_extents, spatial_on
    from cnnlint.analysis.losses import head_mismatch, is_binary, is_categorical, is_regression
    from cnnlint.analysis.pattern import Step, decompose
    from cnnlint.analysis.stages import Block, blocks, convolutions_and_pools, shrinks
    from cnnlint.analysis.weight_values import WeightStatistics, WeightValues, shown_channels
    from cnnlint.api.linting import Report, Summary, check, lint, load, summarize
    from cnnlint.api.operations import Compared, Converted, Diff, Fixed, compare, convert, diff, fix
    from cnnlint.engine.budget import QUANTITIES, Budget, BudgetRule, measure, top_contributors
    from cnnlint.engine.registry import RuleSet, load_rules
    from cnnlint.engine.rule import (
        Bad,
        Diagnostic,
        FileRule,
        Good,
        KerasRule,
        LayerRule,
        ModelRule,
        PatternRule,
        Rule,
        RuntimeRule,
        TargetRule,
    )
    from cnnlint.engine.walker import walk
    from cnnlint.errors import (
        CnnlintError,
        ConfigError,
        FindingsError,
        ModelError,
        RuleError,
        RuntimeCheckError,
        __version__,
    )
    from cnnlint.frontends.keras.file import KerasFile, known_class
    from cnnlint.frontends.onnx.file import Call, FileContext, onnx_file
    from cnnlint.frontends.onnx.nodes import attribute_kind
    from cnnlint.frontends.onnx.noops import noop_reason, why_needed
    from cnnlint.frontends.onnx.operators.values import Constant
    from cnnlint.frontends.onnx.records import GraphRecord, NodeRecord, ValueRecord
    from cnnlint.frontends.onnx.schemas import history, newest, newest_ir_version, operator_schema
    from cnnlint.frontends.onnx.targets import Obstacle, Target
    from cnnlint.frontends.onnx.wiring import ELEMENTWISE, Wiring, permutation_of, reshape_target
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.graph.layers import (
        Activation,
        Add,
        Attention,
        AvgPool,
        BatchNorm,
        Concat,
        Conv,
        ConvTranspose,
        Crop,
        Dense,
        DepthToSpace,
        Dropout,
        Einsum,
        Elementwise,
        Embedding,
        Flatten,
        GlobalPool,
        GroupNorm,
        InstanceNorm,
        LayerNorm,
        LocalResponseNorm,
        MatMul,
        MaxPool,
        Multiply,
        Opaque,
        Operator,
        Pad,
        Recurrent,
        Reduce,
        Rescale,
        Reshape,
        Resize,
        Split,
        Transpose,
    )
    from cnnlint.graph.patterns import Many, Match, Maybe, Op
    from cnnlint.graph.quantity import brief, format_amount
    from cnnlint.graph.queries import (
        KERNEL_LAYERS,
        folds_forward,
        following,
        is_nonlinear,
        preceding,
        spare_activation,
    )
    from cnnlint.graph.tensor import Dim, Shape, Tensor, Weight, weight_elements
    from cnnlint.graph.training import Initializer, Loss, Metric, Optimizer, Training
    from cnnlint.graph.window import Pads, Window
    from cnnlint.results import (
        Advice,
        BudgetResult,
        Confidence,
        Finding,
        LintReport,
        ModelReport,
        ModelSummary,
        NearMiss,
        Place,
        Savings,
        Severity,
        SummaryReport,
        Verification,
        added_up,
    )
    from cnnlint.rewrite.dense_to_conv import dense_to_conv
    from cnnlint.rewrite.editor import Editor, RewriteError
    from cnnlint.rewrite.folding import (
        cancel_bias,
        fold_after,
        fold_scale,
        merge_convolutions,
        merge_dense,
        share_weight,
    )
    from cnnlint.rewrite.windows import absorb_pad, merge_branches
    from cnnlint.runtime.checks import SOFTMAX, class_axis, non_finite, sample_error, tolerance, worst_sum
    from cnnlint.runtime.inputs import DISTRIBUTIONS, distribution, shown_shape
    from cnnlint.runtime.probe import Failure, Probe, first_layer, outcome, traced
    from cnnlint.runtime.session import Refusal, SessionError

__all__ = [
    "DISTRIBUTIONS",
    "ELEMENTWISE",
    "KERNEL_LAYERS",
    "QUANTITIES",
    "SOFTMAX",
    "Activation",
    "Add",
    "Advice",
    "Attention",
    "AvgPool",
    "Bad",
    "BatchNorm",
    "Block",
    "Budget",
    "BudgetResult",
    "BudgetRule",
    "Call",
    "CnnlintError",
    "Compared",
    "Concat",
    "Confidence",
    "ConfigError",
    "Constant",
    "Context",
    "Conv",
    "ConvTranspose",
    "Converted",
    "Crop",
    "Dense",
    "DenseHead",
    "DepthToSpace",
    "Diagnostic",
    "Diff",
    "Dim",
    "Dropout",
    "Editor",
    "Einsum",
    "Elementwise",
    "Embedding",
    "Failure",
    "FileContext",
    "FileRule",
    "Filters",
    "Finding",
    "FindingsError",
    "Fixed",
    "Flatten",
    "GlobalPool",
    "Good",
    "Graph",
    "GraphRecord",
    "GroupNorm",
    "Head",
    "HeadAsConvolutions",
    "Initializer",
    "InstanceNorm",
    "KerasFile",
    "KerasRule",
    "Layer",
    "LayerNorm",
    "LayerRule",
    "LintReport",
    "LocalResponseNorm",
    "Loss",
    "Many",
    "MatMul",
    "Match",
    "MaxPool",
    "Maybe",
    "Metric",
    "ModelError",
    "ModelReport",
    "ModelRule",
    "ModelSummary",
    "Multiply",
    "NearMiss",
    "NodeRecord",
    "Obstacle",
    "Op",
    "Opaque",
    "Operator",
    "Optimizer",
    "Pad",
    "Pads",
    "PatternRule",
    "Place",
    "Probe",
    "Recurrent",
    "Reduce",
    "Refusal",
    "Report",
    "Rescale",
    "Reshape",
    "Resize",
    "RewriteError",
    "Rule",
    "RuleError",
    "RuleSet",
    "RuntimeCheckError",
    "RuntimeRule",
    "Savings",
    "SessionError",
    "Severity",
    "Shape",
    "Split",
    "Step",
    "Summary",
    "SummaryReport",
    "Target",
    "TargetRule",
    "Tensor",
    "Training",
    "Transpose",
    "ValueRecord",
    "Verification",
    "Weight",
    "WeightStatistics",
    "WeightValues",
    "Window",
    "Wiring",
    "__version__",
    "absorb_pad",
    "added_up",
    "as_convolutions",
    "attribute_kind",
    "blocks",
    "brief",
    "cancel_bias",
    "check",
    "class_axis",
    "closing_options",
    "compare",
    "convert",
    "convolutions_and_pools",
    "decompose",
    "dense_head",
    "dense_to_conv",
    "diff",
    "distribution",
    "filters",
    "first_layer",
    "fix",
    "fold_after",
    "fold_scale",
    "folds_forward",
    "following",
    "format_amount",
    "head_mismatch",
    "hidden_dense",
    "history",
    "is_binary",
    "is_categorical",
    "is_feature_map",
    "is_nonlinear",
    "is_regression",
    "known_class",
    "larger_extents",
    "lint",
    "load",
    "load_rules",
    "measure",
    "merge_branches",
    "merge_convolutions",
    "merge_dense",
    "newest",
    "newest_ir_version",
    "non_finite",
    "noop_reason",
    "onnx_file",
    "operator_schema",
    "outcome",
    "permutation_of",
    "preceding",
    "reads_axis_of",
    "reshape_target",
    "sample_error",
    "scored_by",
    "share_weight",
    "shown_channels",
    "shown_held",
    "shown_shape",
    "shrinks",
    "spare_activation",
    "spatial_on",
    "summarize",
    "tolerance",
    "top_contributors",
    "traced",
    "walk",
    "weight_elements",
    "why_needed",
    "worst_sum",
]  # fmt: skip

HOMES = {
    "analysis.context": ("Context",),
    "analysis.feature_map": ("is_feature_map",),
    "analysis.filters": ("Filters", "filters", "shown_held"),
    "analysis.heads": (
        "DenseHead", "Head", "HeadAsConvolutions", "as_convolutions", "dense_head", "hidden_dense", "reads_axis_of",
        "scored_by",
    ),
    "analysis.inputs": ("closing_options", "larger_extents", "spatial_on"),
    "analysis.losses": ("head_mismatch", "is_binary", "is_categorical", "is_regression"),
    "analysis.pattern": ("Step", "decompose"),
    "analysis.stages": ("Block", "blocks", "convolutions_and_pools", "shrinks"),
    "analysis.weight_values": ("WeightStatistics", "WeightValues", "shown_channels"),
    "api.linting": ("Report", "Summary", "check", "lint", "load", "summarize"),
    "engine.budget": ("Budget", "BudgetRule", "QUANTITIES", "measure", "top_contributors"),
    "engine.registry": ("RuleSet", "load_rules"),
    "engine.rule": (
        "Bad", "Diagnostic", "FileRule", "Good", "KerasRule", "LayerRule", "ModelRule", "PatternRule", "Rule",
        "RuntimeRule", "TargetRule",
    ),
    "engine.walker": ("walk",),
    "errors": (
        "CnnlintError", "ConfigError", "FindingsError", "ModelError", "RuleError", "RuntimeCheckError", "__version__",
    ),
    "frontends.keras.file": ("KerasFile", "known_class"),
    "frontends.onnx.file": ("Call", "FileContext", "onnx_file"),
    "frontends.onnx.nodes": ("attribute_kind",),
    "frontends.onnx.noops": ("noop_reason", "why_needed"),
    "frontends.onnx.operators.values": ("Constant",),
    "frontends.onnx.records": ("GraphRecord", "NodeRecord", "ValueRecord"),
    "frontends.onnx.schemas": ("history", "newest", "newest_ir_version", "operator_schema"),
    "frontends.onnx.targets": ("Obstacle", "Target"),
    "frontends.onnx.wiring": ("ELEMENTWISE", "Wiring", "permutation_of", "reshape_target"),
    "graph.graph": ("Graph",),
    "graph.layer": ("Layer",),
    "graph.layers": (
        "Activation", "Add", "Attention", "AvgPool", "BatchNorm", "Concat", "Conv", "ConvTranspose", "Crop",
        "Dense", "DepthToSpace", "Dropout", "Einsum", "Elementwise", "Embedding", "Flatten", "GlobalPool",
        "GroupNorm", "InstanceNorm", "LayerNorm", "LocalResponseNorm", "MatMul", "MaxPool", "Multiply",
        "Opaque", "Operator", "Pad", "Recurrent", "Reduce", "Rescale", "Reshape", "Resize", "Split",
        "Transpose",
    ),
    "graph.patterns": ("Many", "Match", "Maybe", "Op"),
    "graph.quantity": ("brief", "format_amount"),
    "graph.queries": (
        "KERNEL_LAYERS", "folds_forward", "following", "is_nonlinear", "preceding", "spare_activation",
    ),
    "graph.tensor": ("Dim", "Shape", "Tensor", "Weight", "weight_elements"),
    "graph.training": ("Initializer", "Loss", "Metric", "Optimizer", "Training"),
    "graph.window": ("Pads", "Window"),
    "api.operations": ("Compared", "Converted", "Diff", "Fixed", "compare", "convert", "diff", "fix"),
    "results": (
        "Advice", "BudgetResult", "Confidence", "Finding", "LintReport", "ModelReport", "ModelSummary",
        "NearMiss", "Place", "Verification", "Savings", "Severity", "SummaryReport", "added_up",
    ),
    "rewrite.dense_to_conv": ("dense_to_conv",),
    "rewrite.editor": ("Editor", "RewriteError"),
    "rewrite.folding": ("cancel_bias", "fold_after", "fold_scale", "merge_convolutions", "merge_dense", "share_weight"),
    "rewrite.windows": ("absorb_pad", "merge_branches"),
    "runtime.checks": ("SOFTMAX", "class_axis", "non_finite", "sample_error", "tolerance", "worst_sum"),
    "runtime.inputs": ("DISTRIBUTIONS", "distribution", "shown_shape"),
    "runtime.probe": ("Failure", "Probe", "first_layer", "outcome", "traced"),
    "runtime.session": ("Refusal", "SessionError"),
}  # fmt: skip
"""The names that each module gives; what the built-in rules import is among them."""

_MODULE_OF = {name: module for module, names in HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'cnnlint' has no attribute {name!r}")
    value = getattr(import_module(f"cnnlint.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

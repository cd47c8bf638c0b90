"""What a static diff gives: plain records, the same for every format."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from cnnlint.comparison.changes import Change
from cnnlint.errors import __version__
from cnnlint.graph.quantity import Unit
from cnnlint.results import SCHEMA, Finding

Status = Literal["added", "removed", "changed", "renamed"]


class LayerDiff(Struct, frozen=True, kw_only=True):
    """A layer that is not the same in both models.

    Attributes:
        status: Whether only one of them has it, or both, with other settings or merely another name.
        before: Its name in the first model; "" if it is added.
        after: Its name in the second; "" if it is removed.
        kind: "Conv", "Dense", ...; that of the second model if both have it.
        label: The kind and the settings that matter: "Conv 3×3 /2".
        changes: The settings that differ.
        parameters: What it holds in the second model less what it holds in the first; None if unknown.
        macs: The same of MACs per sample; None if unknown.
    """

    status: Status
    before: str
    after: str
    kind: str
    label: str
    changes: tuple[Change, ...] = ()
    parameters: int | None
    macs: int | None


class Measure(Struct, frozen=True, kw_only=True):
    """What both models cost.

    Attributes:
        quantity: "params", "macs", "weight_bytes", "file_bytes", "peak_activation_bytes", "layers".
        name: In words.
        unit: Of the amounts.
        before: None if unknown.
        after: None if unknown.
        reason: Why one is unknown; "" if both are known.
    """

    quantity: str
    name: str
    unit: Unit
    before: int | float | None
    after: int | float | None
    reason: str = ""


class GrowthResult(Struct, frozen=True, kw_only=True):
    """A budget of growth held against two models.

    Attributes:
        quantity: As in a Measure.
        limit: As the user wrote it: "2%", "100k".
        growth: By how much the second model is dearer, in the quantity's unit; None where it is unknown, which fails.
        share: The same relative to the first model; None if unknown, or if the first model has nothing.
        passed: Whether it holds.
        reason: Why it is unknown; "" if it is known.
    """

    quantity: str
    limit: str
    growth: int | float | None
    share: float | None
    passed: bool
    reason: str = ""


class DiffReport(Struct, frozen=True, kw_only=True):
    """Two models side by side, told from their graphs.

    Attributes:
        before: Path of the first model.
        after: Path of the second.
        measures: What they cost.
        layers: Those that are not the same: in the order of the second model, then what is removed.
        unchanged: How many layers are the same, names too.
        fixed: Findings of the first model that the second has not.
        new: Findings of the second model that the first has not.
        kept: Findings of the second model that the first has too.
        growth: Budgets of growth.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    before: str
    after: str
    measures: tuple[Measure, ...] = ()
    layers: tuple[LayerDiff, ...] = ()
    unchanged: int = 0
    fixed: tuple[Finding, ...] = ()
    new: tuple[Finding, ...] = ()
    kept: tuple[Finding, ...] = ()
    growth: tuple[GrowthResult, ...] = ()

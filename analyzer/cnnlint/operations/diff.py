"""Layers, costs and findings of two models compared without running either, and growth budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.engine.budget import QUANTITIES
from cnnlint.engine.config.schema import Flags
from cnnlint.errors import CnnlintError, ConfigError, ModelError, closest, guarded
from cnnlint.graph.layer import Layer
from cnnlint.graph.quantity import parse_amount, ratio
from cnnlint.linting.linter import Linter
from cnnlint.linting.models import open_model, path_of
from cnnlint.operations.diff_report import DiffReport, FolderDiff, GrowthResult, LayerDiff, Measure, Status
from cnnlint.results import Finding, ModelReport, Place
from cnnlint.verification.differences import changes
from cnnlint.verification.matching import match_layers

if TYPE_CHECKING:
    from cnnlint.linting.models import Given

GROWING = tuple(name for name, quantity in QUANTITIES.items() if quantity.unit != "share")
"""Quantities whose growth can be limited, in the order of reports."""

PER_CENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


def diff(
    before: Given,
    after: Given,
    *,
    limits: Iterable[GrowthLimit] = (),
    inputs: Mapping[str, str] | None = None,
    config: Path | None = None,
    isolated: bool = False,
    allow_config_code: Iterable[Path] = (),
    ignore_config_code: bool = False,
) -> DiffReport:
    """Compare the graphs of two models, in time linear in the number of layers.

    Args:
        before: A path, or a model in memory.
        after: The other.
        limits: Growth budgets.
        inputs: Shapes by input name, as "1x3x224x224", for dims that a model leaves open.
        config: The configuration to lint with; the one nearest to each model if None.
        isolated: Use no configuration.
        allow_config_code: Configurations next to models, or their folders, whose rule files may be run.
        ignore_config_code: Skip other rule files instead of raising an error.

    Raises:
        ModelError: A model cannot be read.
        ConfigError: The configuration is wrong.
    """
    linter = _linter(inputs, config, isolated, allow_config_code, ignore_config_code)
    return _diff(linter, before, after, tuple(limits))


def diff_folders(
    before: str,
    after: str,
    pairs: Iterable[tuple[str, str]],
    *,
    limits: Iterable[GrowthLimit] = (),
    inputs: Mapping[str, str] | None = None,
    config: Path | None = None,
    isolated: bool = False,
    allow_config_code: Iterable[Path] = (),
    ignore_config_code: bool = False,
) -> FolderDiff:
    """Compare the models of two folders; one that cannot be read has its `error` set, and the others are compared.

    Args:
        before: The first folder, as the user wrote it.
        after: The second.
        pairs: The paths of each model in both; "" where one has none. Growth budgets are about models in both.
        limits: Growth budgets.
        inputs: As for `diff`.
        config: As for `diff`.
        isolated: As for `diff`.
        allow_config_code: As for `diff`.
        ignore_config_code: As for `diff`.

    Raises:
        ConfigError: The configuration is wrong.
    """
    linter = _linter(inputs, config, isolated, allow_config_code, ignore_config_code)
    held = tuple(limits)
    models = list[DiffReport]()
    for old, new in pairs:
        outcome = guarded(path_of(new or old), lambda old=old, new=new: _diff(linter, old or None, new or None, held))
        if isinstance(outcome, CnnlintError):
            outcome = DiffReport(before=old, after=new, error=str(outcome))
        models.append(outcome)
    return FolderDiff(before=before, after=after, models=tuple(models))


def _linter(
    inputs: Mapping[str, str] | None,
    config: Path | None,
    isolated: bool,
    allow_config_code: Iterable[Path],
    ignore_config_code: bool,
) -> Linter:
    flags = Flags(
        static=True,
        inputs=dict(inputs or {}),
        allow_config_code=tuple(allow_config_code),
        ignore_config_code=ignore_config_code,
    )
    return Linter(flags, config=config, isolated=isolated)


def _diff(linter: Linter, before: Given | None, after: Given | None, limits: tuple[GrowthLimit, ...]) -> DiffReport:
    """Return the report of two models, or of the one that is not None."""
    left, right = (None if model is None else _context(linter, model) for model in (before, after))
    old, new = (None if model is None else _linted(linter, model) for model in (before, after))
    measures = tuple(_measure(name, left, right) for name in GROWING)
    old_path, new_path = ("" if model is None else path_of(model) for model in (before, after))
    shown = right or left
    per = "sample" if shown is None else shown.per
    if left is None or right is None or old is None or new is None:
        return DiffReport(
            before=old_path,
            after=new_path,
            measures=measures,
            fixed=old.findings if old else (),
            new=new.findings if new else (),
            budgets=new.budgets if new else (),
            per=per,
        )
    pairs = match_layers(left.graph, right.graph)
    layers = tuple(_layers(left, right, pairs))
    fixed, added, kept = _findings(old, new, pairs)
    return DiffReport(
        before=old_path,
        after=new_path,
        measures=measures,
        layers=layers,
        unchanged=len(pairs) - sum(layer.status in ("changed", "renamed") for layer in layers),
        fixed=fixed,
        new=added,
        kept=kept,
        growth=tuple(hold(limits, measures)),
        budgets=new.budgets,
        per=per,
    )


def _context(linter: Linter, model: Given) -> Context:
    path = path_of(model)
    return Context(open_model(model).graph(linter.complete_plan(path).settings.inputs_for(path)))


def _linted(linter: Linter, model: Given) -> ModelReport:
    report = linter.lint(model)
    if report.error is not None:
        raise linter.errors.get(report.path) or ModelError(report.error)
    return report


def _measure(quantity: str, before: Context | None, after: Context | None) -> Measure:
    about = QUANTITIES[quantity]
    amounts = [None if context is None else about.measure(context) for context in (before, after)]
    unknown = next(
        (context for context, n in zip((before, after), amounts, strict=True) if n is None and context), None
    )
    return Measure(
        quantity=quantity,
        name=about.label,
        unit=about.unit,
        before=amounts[0],
        after=amounts[1],
        reason="" if unknown is None else about.unknown(unknown),
    )


def _layers(before: Context, after: Context, pairs: dict[str, str]) -> Iterator[LayerDiff]:
    old = {layer.name: layer for layer in before.graph.layers}
    sources = {right: old[left] for left, right in pairs.items()}
    for layer in after.graph.layers:
        counterpart = sources.get(layer.name)
        if counterpart is None:
            yield _entry("added", None, layer, before, after)
        elif found := changes(counterpart, layer):
            yield replace(_entry("changed", counterpart, layer, before, after), changes=found)
        elif counterpart.name != layer.name:
            yield _entry("renamed", counterpart, layer, before, after)
    for layer in before.graph.layers:
        if layer.name not in pairs:
            yield _entry("removed", layer, None, before, after)


def _entry(status: Status, left: Layer | None, right: Layer | None, before: Context, after: Context) -> LayerDiff:
    shown = right or left
    held = left.parameters if left else 0, right.parameters if right else 0
    macs = before.layer_macs(left) if left else 0, after.layer_macs(right) if right else 0
    return LayerDiff(
        status=status,
        before=left.name if left else "",
        after=right.name if right else "",
        kind=shown.kind if shown else "",
        label=shown.label if shown else "",
        parameters=None if held[0] is None or held[1] is None else held[1] - held[0],
        macs=None if macs[0] is None or macs[1] is None else macs[1] - macs[0],
    )


Findings = tuple[Finding, ...]
Spot = tuple[int, int]
"""A place of a report: the number of its finding, and its own among the finding's places."""


def _findings(before: ModelReport, after: ModelReport, pairs: dict[str, str]) -> tuple[Findings, Findings, Findings]:
    """Return the findings that are gone, those that are new, and those that both models have, each with its places.

    Two places are the same if their identities are, or if one rule names matching layers there.
    """
    left, right = _spots(before), _spots(after)
    matched = dict[Spot, Spot]()
    _match(left, right, lambda code, place: (code, place.identity), lambda code, place: (code, place.identity), matched)
    _match(
        left,
        right,
        lambda code, place: (code, *(pairs.get(name, name) for name in place.layers)),
        lambda code, place: (code, *place.layers),
        matched,
    )
    kept = set(matched.values())
    return (
        _at(before, [spot for spot in left if spot not in matched], "gone"),
        _at(after, [spot for spot in right if spot not in kept], "new"),
        _at(after, [spot for spot in right if spot in kept], "still there"),
    )


def _spots(report: ModelReport) -> dict[Spot, tuple[str, Place]]:
    return {
        (number, index): (finding.code, place)
        for number, finding in enumerate(report.findings)
        for index, place in enumerate(finding.places)
    }


Key = Callable[[str, Place], tuple[str, ...]]


def _match(
    left: Mapping[Spot, tuple[str, Place]],
    right: Mapping[Spot, tuple[str, Place]],
    of_left: Key,
    of_right: Key,
    matched: dict[Spot, Spot],
) -> None:
    """Add pairs of places with the same key to `matched`, in order, those that are in it left out."""
    waiting = dict[tuple[str, ...], list[Spot]]()
    for spot, (code, place) in reversed(list(left.items())):
        if spot not in matched:
            waiting.setdefault(of_left(code, place), []).append(spot)
    taken = set(matched.values())
    for spot, (code, place) in right.items():
        if spot not in taken and (same := waiting.get(of_right(code, place))):
            matched[same.pop()] = spot


def _at(report: ModelReport, spots: Iterable[Spot], what: str) -> Findings:
    """Return the findings at `spots`, each with these of its places only."""
    chosen = dict[int, list[Place]]()
    for number, index in spots:
        chosen.setdefault(number, []).append(report.findings[number].places[index])
    return tuple(_only(report.findings[number], tuple(places), what) for number, places in chosen.items())


def _only(finding: Finding, places: tuple[Place, ...], what: str) -> Finding:
    if len(places) == len(finding.places):
        return finding
    layers = tuple(dict.fromkeys(name for place in places for name in place.layers))
    one = places[0] if len(places) == 1 else None
    total = len(finding.places)
    message = one.message if one else f"{finding.message} Of these {total:,} places {len(places):,} are {what}."
    evidence = one.evidence if one else {"places": len(places)}
    return replace(finding, places=places, layers=layers, message=message, evidence=evidence, savings=None)


class GrowthLimit(Struct, frozen=True):
    """The most that a quantity may grow.

    Attributes:
        quantity: One of GROWING.
        written: The amount as the user wrote it.
        share: Relative to the first model; None for an absolute amount.
        amount: In the quantity's own unit, where `share` is None.
    """

    quantity: str
    written: str
    share: Fraction | None
    amount: int | float = 0


def growth_limit(written: str) -> GrowthLimit:
    """Parse a growth limit such as "params=2%" or "file-bytes=100kB".

    Raises:
        ConfigError: There is no such quantity, or the amount cannot be read.
    """
    name, separator, amount = written.partition("=")
    quantity, amount = name.strip().replace("-", "_"), amount.strip()
    names = [known.replace("_", "-") for known in GROWING]
    if not separator or not amount:
        raise ConfigError(f"{written!r} is not a growth limit", remedy="write QUANTITY=AMOUNT, as in params=2%")
    if quantity not in GROWING:
        meant = closest(name, names)
        hint = f"did you mean {meant}?" if meant else f"one of {', '.join(names)}"
        raise ConfigError(f"there is no quantity {name!r} to limit", remedy=hint)
    if matched := PER_CENT.fullmatch(amount):
        return GrowthLimit(quantity, amount, Fraction(matched[1]) / 100)
    if re.fullmatch(r"0?\.\d*[1-9]\d*", amount):
        raise ConfigError(f"{amount} is not an amount", remedy=f"write a share with its sign: {name}=2%")
    return GrowthLimit(quantity, amount, None, parse_amount(amount, QUANTITIES[quantity].unit))


def hold(limits: Iterable[GrowthLimit], measures: Iterable[Measure]) -> Iterator[GrowthResult]:
    """Yield whether each limit holds; an unknown growth fails, with the reason."""
    known = {measure.quantity: measure for measure in measures}
    for limit in limits:
        measure = known[limit.quantity]
        before, after = measure.before, measure.after
        if before is None or after is None:
            yield GrowthResult(
                quantity=limit.quantity,
                limit=limit.written,
                growth=None,
                share=None,
                passed=False,
                reason=measure.reason,
            )
            continue
        growth = after - before
        most = limit.amount if limit.share is None else limit.share * Fraction(before)
        yield GrowthResult(
            quantity=limit.quantity,
            limit=limit.written,
            growth=growth,
            share=ratio(growth, before) if before else None,
            passed=growth <= most,
        )

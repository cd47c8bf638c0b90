"""Proofs for the findings of rules that can rewrite what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.errors import CnnlintError
from cnnlint.graph.layer import Layer
from cnnlint.graph.patterns import Match
from cnnlint.rewrite.editor import Editor
from cnnlint.rewrite.prove import Trial
from cnnlint.rule import LayerRule, PatternRule

if TYPE_CHECKING:
    import onnx

    from cnnlint.finding import Proof
    from cnnlint.runtime.probe import Probe
    from cnnlint.walker import Place


class Proofs(Struct, frozen=True):
    """Findings after their rewrites have been tried on the model.

    Attributes:
        places: The same findings in the same order, with their proofs.
        notes: Which rewrites could not be tried and why, a sentence each.
    """

    places: tuple[Place, ...]
    notes: tuple[str, ...]


def attach_proofs(places: Iterable[Place], probe: Probe) -> Proofs:
    """Try the rewrite of each finding that has one, and attach what onnxruntime says.

    Call it ahead of the rules about run time: it tells the probe which tensors it needs, so that the one run of
    the model serves both.

    Args:
        places: Findings about the graph that was raised from the probe's model.
        probe: The model. If it does not run, nothing is proved; the rules about run time say why.
    """
    places = tuple(places)
    trials, notes = dict[int, Trial](), list[str]()
    for index, place in enumerate(places):
        if rewrite_of(place) is None:
            continue
        try:
            trials[index] = Trial(probe, rewritten(probe, [place]))
        except CnnlintError as error:
            notes.append(_note(place, error))
    probe.watch(name for trial in trials.values() for name in trial.needed)
    if trials and not probe.runs:
        return Proofs(places, tuple(notes))
    proofs: dict[int, Proof] = {}
    for index, trial in trials.items():
        try:
            proofs[index] = trial.proof()
        except CnnlintError as error:
            notes.append(_note(places[index], error))
    attached = (
        replace(place, finding=replace(place.finding, proof=proofs[index])) if index in proofs else place
        for index, place in enumerate(places)
    )
    return Proofs(tuple(attached), tuple(notes))


def rewritten(probe: Probe, places: Iterable[Place]) -> onnx.ModelProto:
    """Return the model of `probe` with the rewrites of `places` applied, its large weights still outside.

    Raises:
        RewriteError: A rewrite does not fit the model.
    """
    editor = Editor(probe.program.proto())
    for place in places:
        if (rewrite := rewrite_of(place)) is not None:
            rewrite(editor)
    return editor.finish()


def rewrite_of(place: Place) -> Callable[[Editor], None] | None:
    """Return what rewrites the model where `place` is; None if its rule has no rewrite."""
    rule, where = place.rule, place.where
    if not rule.is_fixable():
        return None
    if isinstance(rule, PatternRule) and isinstance(where, Match):
        return lambda editor: rule.rewrite(where, editor)
    if isinstance(rule, LayerRule) and isinstance(where, Layer):
        of_layer = cast("LayerRule[Layer]", rule)
        return lambda editor: of_layer.rewrite(where, editor)
    return None


def _note(place: Place, error: CnnlintError) -> str:
    layer = place.finding.layers[0] if place.finding.layers else "the model"
    return f"the rewrite of {place.rule.code} at {layer} was not tried: {error.cause}"

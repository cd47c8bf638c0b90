"""Trying the rewrites of findings on the user's own model, so that a report can say what onnxruntime said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.errors import CnnlintError
from cnnlint.graph.layer import Layer
from cnnlint.graph.patterns import Match
from cnnlint.rule import LayerRule, PatternRule
from cnnlint.walker import Place

if TYPE_CHECKING:
    import onnx

    from cnnlint.runtime.probe import Probe


class Attempt(Struct, frozen=True, eq=False):
    """A finding and the model without it.

    Attributes:
        place: The finding.
        rewritten: None if its rule has no rewrite, or the rewrite does not fit.
        obstacle: Why it does not fit, as a clause; "" if it does, or if there is none.
    """

    place: Place
    rewritten: onnx.ModelProto | None = None
    obstacle: str = ""


class Proven(Struct, frozen=True, eq=False):
    """The findings with their proofs, and why some have none."""

    places: tuple[Place, ...]
    notes: tuple[str, ...]


def attempt(probe: Probe, places: Iterable[Place]) -> tuple[Attempt, ...]:
    """Rewrite the model at each of `places` whose rule can, and have the first run watch what that changes.

    Done before the run time checks, so that one run of the model serves these and all proofs.
    """
    attempts = tuple(_attempt(probe, place) for place in places)
    rewritten = [tried.rewritten for tried in attempts if tried.rewritten is not None]
    if rewritten:
        from cnnlint.rewrite.region import changed_region

        original = probe.program.proto()
        logits = [tail.logits for tail in probe.tails]
        for model in rewritten:
            region = changed_region(original, model, logits)
            probe.watch((*region.border, *region.compared))
    return attempts


def settle(probe: Probe, attempts: Iterable[Attempt]) -> Proven:
    """Compare each rewritten model with the original under onnxruntime, and put the proof into its finding."""
    places, notes = list[Place](), list[str]()
    for tried in attempts:
        place, obstacle = tried.place, tried.obstacle
        if tried.rewritten is not None:
            from cnnlint.rewrite.prove import prove

            try:
                proof = prove(probe, tried.rewritten)
                place = replace(place, finding=replace(place.finding, proof=proof))
            except Exception as error:  # a finding stands without its proof
                obstacle = _cause(error)
        places.append(place)
        if obstacle:
            where = f" at {place.finding.layers[0]}" if place.finding.layers else ""
            notes.append(f"the rewrite of {place.finding.code}{where} is not proved: {obstacle}")
    return Proven(tuple(places), tuple(notes))


def proved(places: Iterable[Place], proven: Proven) -> tuple[Place, ...]:
    """Return `places` with the proofs of `proven`, which may be of the same network in another format."""
    proofs = {(place.finding.code, place.finding.layers): place.finding.proof for place in proven.places}
    return tuple(
        replace(place, finding=replace(place.finding, proof=proofs.get((place.finding.code, place.finding.layers))))
        for place in places
    )


def _attempt(probe: Probe, place: Place) -> Attempt:
    rule, where = place.rule, place.where
    if not rule.is_fixable():
        return Attempt(place)
    from cnnlint.rewrite.editor import Editor

    try:
        editor = Editor(probe.program.proto())
        match rule, where:
            case PatternRule(), Match():
                rule.rewrite(where, editor)
            case LayerRule(), Layer():
                rule.rewrite(where, editor)
            case _:
                return Attempt(place)
    except Exception as error:  # a finding stands without its proof
        return Attempt(place, obstacle=_cause(error))
    return Attempt(place, editor.finish())


def _cause(error: Exception) -> str:
    return error.cause if isinstance(error, CnnlintError) else f"{type(error).__name__}: {error}"

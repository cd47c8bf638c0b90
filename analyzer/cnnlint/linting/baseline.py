"""Baselines: what was there when a team began, what of it is still there, and what may be forgotten.

A baseline is a list of places at which rules found something. They are held against places as ignores are, so that a
finding is about new places only. An entry is used up by the first place that it fits. It belongs to the model at its
path, and if no file is there any more, to a model of the same structure. A place is recognized by its identity, or else
by the name of its layer.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnnlint.analysis.identity import structure
from cnnlint.engine.budget import BudgetRule
from cnnlint.engine.housekeeping import HousekeepingRule
from cnnlint.engine.rule import TargetRule
from cnnlint.engine.telling import Hit
from cnnlint.errors import ConfigError, meant_path
from cnnlint.frontends import is_address, place
from cnnlint.graph.graph import Graph

VERSION = 1
"""Of the file's format."""


class BaselineEntry(Struct, frozen=True, order=True, omit_defaults=True, forbid_unknown_fields=True):
    """A place that is known.

    Attributes:
        model: Its path relative to the baseline, or what else stands for it.
        rule: The code.
        layer: The name of the layer meant; "" for the whole model.
        place: The identity of the place.
    """

    model: str
    rule: str
    layer: str = ""
    place: str = ""


class Content(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a baseline file.

    Attributes:
        version: Of the format.
        models: What tells each model's structure, by its path.
        findings: The entries, sorted.
    """

    version: int
    models: dict[str, str]
    findings: tuple[BaselineEntry, ...]


class Sighting(Struct, frozen=True):
    """What the lint of one model says of a baseline.

    Attributes:
        model: What entries call it.
        structure: What tells its structure.
        tried: Codes of the rules that looked at all they had to look at.
        seen: The entries that were used up, each with the one that takes its place.
        present: All that may stand in a baseline; () unless one is written.
    """

    model: str
    structure: str
    tried: frozenset[str]
    seen: tuple[tuple[BaselineEntry, BaselineEntry], ...] = ()
    present: tuple[BaselineEntry, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether entries of a path that has vanished were used up."""
        return any(old.model != self.model for old, _ in self.seen)


class Baseline:
    """A baseline, and what the models of a run say of it.

    Args:
        path: The file.
        anew: Whether it is to be written, and holds all that is found.
        content: What it holds, where that is no file: what an earlier lint has found.

    Attributes:
        is_file: Whether it is one.

    Raises:
        ConfigError: The file cannot be read, or is no baseline.
    """

    def __init__(self, path: Path, *, anew: bool = False, content: Content | None = None) -> None:
        self.path = path
        self.anew = anew
        self.is_file = content is None
        self._content = _read(path, required=not anew) if content is None else content
        self._left = Counter(self._content.findings)
        self._sightings = list[Sighting]()
        named = {entry.model for entry in self._content.findings}
        self.vanished = frozenset(model for model in named if not self._is_there(model))

    def look(
        self, path: str, graph: Graph, hits: Sequence[Hit], told: Collection[Hit], tried: Iterable[str]
    ) -> tuple[frozenset[Hit], Sighting]:
        """Return those of `hits` that are known, and what to remember of that.

        Args:
            path: The model, as the user wrote it.
            graph: Its network.
            hits: What nobody ignores.
            told: Those of them that no other explains; a baseline that is written holds no others.
            tried: Codes of the rules that have looked at the model.
        """
        model, own = self._model(path), structure(graph)
        sighting = Sighting(model, own, frozenset(tried))
        mine = {hit: _entry(model, hit) for hit in hits if _may_be_known(hit)}
        if self.anew:
            known = frozenset(hit for hit in told if hit in mine)
            sighting = replace(sighting, present=tuple(mine[hit] for hit in told if hit in mine))
        else:
            seen = self._seen(mine, model, own)
            known = frozenset(seen)
            sighting = replace(sighting, seen=tuple((old, mine[hit]) for hit, old in seen.items()))
        self.recall(sighting)
        return known, sighting

    def recall(self, sighting: Sighting) -> None:
        """Take up what an earlier look at a model has said."""
        self._left.subtract(old for old, _ in sighting.seen)
        self._sightings.append(sighting)

    def stale(self) -> tuple[BaselineEntry, ...]:
        """Return the entries whose rule looked at their model, and found nothing there any more."""
        tried = dict[str, frozenset[str]]()
        for sighting in self._sightings:
            for model in {sighting.model, *(old.model for old, _ in sighting.seen)}:
                tried[model] = tried.get(model, frozenset()) | sighting.tried
        return tuple(entry for entry in sorted(+self._left) if entry.rule in tried.get(entry.model, ()))

    @property
    def has_looked(self) -> bool:
        """Whether a model was held against it; if none could be read, there is nothing to write."""
        return bool(self._sightings)

    def moved(self) -> int:
        """Return how many entries were used up by places that are called otherwise now."""
        return sum(old != now for sighting in self._sightings for old, now in sighting.seen)

    def content(self) -> Content:
        """Return what it comes to: anew, or without what is stale.

        What was not looked at stays; written anew, what belongs to models that are gone does not.
        """
        if self.anew:
            tried = {sighting.model: sighting.tried for sighting in self._sightings}
            rest = [
                entry
                for entry in self._content.findings
                if entry.model not in self.vanished and entry.rule not in tried.get(entry.model, ())
            ]
            entries = [*rest, *(entry for sighting in self._sightings for entry in sighting.present)]
        else:
            rest = (+self._left - Counter(self.stale())).elements()
            entries = [*rest, *(now for sighting in self._sightings for _, now in sighting.seen)]
        structures = self._content.models | {sighting.model: sighting.structure for sighting in self._sightings}
        named = sorted({entry.model for entry in entries})
        return Content(
            VERSION, {model: structures[model] for model in named if model in structures}, tuple(sorted(entries))
        )

    def write(self) -> int:
        """Write its `content` to the file, and return how many entries that has.

        Raises:
            ConfigError: It cannot be written.
        """
        content = self.content()
        try:
            self.path.write_text(_text(content.models, content.findings), encoding="utf-8", newline="\n")
        except OSError as error:
            raise ConfigError(f"the baseline cannot be written: {error.strerror}", path=str(self.path)) from error
        return len(content.findings)

    def _seen(self, mine: dict[Hit, BaselineEntry], model: str, own: str) -> dict[Hit, BaselineEntry]:
        """Return the entry that each hit uses up: of its own path first, then of vanished models alike."""
        left = +self._left
        seen = _paired(mine, [entry for entry in left.elements() if entry.model == model])
        alike = {gone for gone in self.vanished if self._content.models.get(gone) == own}
        if alike and len(seen) < len(mine):
            rest = {hit: entry for hit, entry in mine.items() if hit not in seen}
            seen |= _paired(rest, [entry for entry in left.elements() if entry.model in alike])
        return seen

    def _model(self, path: str) -> str:
        path = place(path)
        if is_address(path):
            return path
        try:
            return os.path.relpath(path, self.path.absolute().parent).replace(os.sep, "/")
        except ValueError:  # on another drive
            return os.path.abspath(path).replace(os.sep, "/")

    def _is_there(self, model: str) -> bool:
        return is_address(model) or os.path.lexists(self.path.absolute().parent / model)


def _may_be_known(hit: Hit) -> bool:
    """Return whether a baseline may hold it: no budget, and nothing that cnnlint says of its own work."""
    return not isinstance(hit.rule, (BudgetRule, TargetRule, HousekeepingRule))


def _entry(model: str, hit: Hit) -> BaselineEntry:
    place = hit.finding.places[0]
    return BaselineEntry(model, hit.finding.code, place.layers[0] if place.layers else "", place.identity)


def _paired(mine: dict[Hit, BaselineEntry], entries: Iterable[BaselineEntry]) -> dict[Hit, BaselineEntry]:
    """Return the entry for each hit that has one: by identity, and those that are left by the layer's name."""
    pairs, rest = dict[Hit, BaselineEntry](), Counter(entries)
    for by_name in (False, True):
        waiting = dict[tuple[str, str], list[BaselineEntry]]()
        for entry in rest.elements():
            if entry.layer or not by_name:  # what is said of a whole model has no name to be known by
                waiting.setdefault((entry.rule, entry.layer if by_name else entry.place), []).append(entry)
        for hit, now in mine.items():
            key = (now.rule, now.layer if by_name else now.place)
            if hit not in pairs and (same := waiting.get(key)):
                pairs[hit] = same.pop(0)
                rest[pairs[hit]] -= 1
    return pairs


def _read(path: Path, *, required: bool) -> Content:
    import json

    remedy = f"`cnnlint MODEL... --write-baseline {path}` writes it"
    try:
        content = msgspec.convert(json.loads(path.read_bytes()), Content)
    except FileNotFoundError as error:
        if not required:
            return Content(VERSION, {}, ())
        raise ConfigError(
            "there is no such baseline", path=str(path), remedy=meant_path(str(path)) or remedy
        ) from error
    except OSError as error:
        raise ConfigError(f"the baseline cannot be read: {error.strerror}", path=str(path)) from error
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        remedy = "give a file that --write-baseline wrote, or write another"
        raise ConfigError(f"is no baseline: {error}", path=str(path), remedy=remedy) from error
    if content.version != VERSION:
        cause = f"the baseline is of version {content.version}, and this cnnlint knows {VERSION}"
        raise ConfigError(cause, path=str(path), remedy="use the cnnlint that wrote it")
    return content


def _text(models: dict[str, str], entries: Iterable[BaselineEntry]) -> str:
    """Return a baseline as JSON, an entry a line, so that a version control system merges and shows it well."""
    structures = ",".join(f"\n    {_json(model)}: {_json(own)}" for model, own in models.items())
    findings = ",".join(f"\n    {_json(msgspec.to_builtins(entry))}" for entry in entries)
    return f'{{\n  "version": {VERSION},\n  "models": {{{structures}\n  }},\n  "findings": [{findings}\n  ]\n}}\n'


def _json(value: object) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a path that is no Unicode
        return json.dumps(value)
    return text

"""Assign the arrays of a file to layers: by group in `.keras`, by order and name in `.h5`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol, cast

from msgspec.structs import replace

from cnnlint.frontends.keras.records import ArchiveRecord, WeightRecord, config_of, is_operation, name_of
from cnnlint.frontends.keras.settings import Config, snake_case

OLD_LAYERS = "_layer_checkpoint_dependencies"
"""The group "layers" in the first `.keras` archives, of Keras 2.12 and 2.13."""

NOT_COUNTED = "seed_generator"
"""A group with random number state, which Keras does not count as weights."""


WRAPPED = "layer"
"""The group of a wrapped layer."""


class WeightGroups(Protocol):
    """The weights of a model; layers and nested models must be requested in the order of the file."""

    def enter(self, record: Config) -> WeightGroups:
        """Return the groups of a nested model."""
        ...

    def take(self, record: Config) -> tuple[WeightRecord, ...]:
        """Return the weights of a layer, with names relative to it; call it once per layer of a model."""
        ...

    def unwrap(self, record: Config) -> tuple[tuple[WeightRecord, ...], WeightGroups]:
        """Return a wrapper's own weights, and the groups with the weights of the wrapped layer."""
        ...


class ArchiveGroups:
    """Groups of `model.weights.h5`: `layers/conv2d_1` is the second Conv2D of the model.

    Args:
        index: Index of the whole file.
        prefix: Group of the model.
    """

    def __init__(self, index: ArchiveIndex, prefix: str = "") -> None:
        self._index = index
        self._prefix = f"{prefix}/layers" if prefix else "layers"
        self._counts = dict[str, int]()

    def enter(self, record: Config) -> ArchiveGroups:
        """Return the groups of a nested model."""
        return ArchiveGroups(self._index, self._group(record))

    def take(self, record: Config) -> tuple[WeightRecord, ...]:
        """Return the weights in the layer's group."""
        if is_operation(record.get("module"), config_of(record), record.get("class_name")):
            return ()
        return self._index.below(self._group(record))

    def unwrap(self, record: Config) -> tuple[tuple[WeightRecord, ...], WeightGroups]:
        """Return the weights outside and inside of the wrapper's group "layer"."""
        group = self._group(record)
        own = tuple(weight for weight in self._index.below(group) if not weight.name.startswith(f"{WRAPPED}/"))
        inner = self._index.below(f"{group}/{WRAPPED}")
        return own, WrappedGroups(inner, ArchiveGroups(self._index, f"{group}/{WRAPPED}"))

    def _group(self, record: Config) -> str:
        kind = snake_case(str(record.get("class_name")))
        count = self._counts[kind] = self._counts.get(kind, -1) + 1
        group = f"{self._prefix}/{kind}_{count}" if count else f"{self._prefix}/{kind}"
        return self._index.group_of(record, group)


class ArchiveIndex:
    """The weights of a `.keras` archive by group."""

    def __init__(self, archive: ArchiveRecord) -> None:
        self._below = dict[str, list[WeightRecord]]()
        for weight in archive.weights:
            path = weight.key.replace("\\", "/").replace(OLD_LAYERS, "layers")
            parts = path.split("/")
            if NOT_COUNTED in parts:
                continue
            for depth in range(1, len(parts)):
                group = "/".join(parts[:depth])
                name = "/".join(part for part in parts[depth:] if part != "vars")
                self._below.setdefault(group, []).append(replace(weight, name=name))
        self._names = {
            group.replace("\\", "/").replace(OLD_LAYERS, "layers"): name for group, name in archive.layer_names.items()
        }
        self._named = dict[tuple[str, str], list[str]]()
        for group, name in self._names.items():
            self._named.setdefault((group.rpartition("/")[0], name), []).append(group)
        self._shared = dict[int, str]()

    def below(self, group: str) -> tuple[WeightRecord, ...]:
        """Return all weights in a group, with names relative to it."""
        return tuple(self._below.get(group, ()))

    def group_of(self, record: Config, group: str) -> str:
        """Return the group of a layer: the first one, if the layer is shared by several models.

        Layer names in the file take precedence over counting.
        """
        identity = record.get("shared_object_id")
        if isinstance(identity, int):
            group = self._shared.setdefault(identity, group)
        name = name_of(record)
        if self._names.get(group, name) == name:
            return group
        named = self._named.get((group.rpartition("/")[0], name), [])
        return named[0] if len(named) == 1 else group


class WrappedGroups:
    """The weights of a wrapped layer or model.

    Args:
        weights: The weights, for a layer.
        model: The groups, for a model.
    """

    def __init__(self, weights: tuple[WeightRecord, ...], model: WeightGroups) -> None:
        self._weights = weights
        self._model = model

    def enter(self, record: Config) -> WeightGroups:
        """Return the groups of the wrapped model."""
        del record
        return self._model

    def take(self, record: Config) -> tuple[WeightRecord, ...]:
        """Return the weights of the wrapped layer."""
        del record
        return self._weights

    def unwrap(self, record: Config) -> tuple[tuple[WeightRecord, ...], WeightGroups]:
        """Return the weights of a wrapper within a wrapper."""
        return (), WrappedGroups(self._weights, self.enter(record))


class LegacyGroups:
    """Groups of a legacy `.h5`: one per layer of the outermost model, by name."""

    def __init__(self, archive: ArchiveRecord) -> None:
        self._weights = dict[str, list[WeightRecord]]()
        for weight in archive.weights:
            self._weights.setdefault(weight.group, []).append(weight)

    def enter(self, record: Config) -> LegacyNestedGroups:
        """Return the weights of a nested model."""
        return LegacyNestedGroups(self.take(record))

    def take(self, record: Config) -> tuple[WeightRecord, ...]:
        """Return the weights in the layer's group."""
        weights = self._weights.get(name_of(record), ())
        return tuple(replace(weight, name=plain(weight.name)) for weight in weights)

    def unwrap(self, record: Config) -> tuple[tuple[WeightRecord, ...], WeightGroups]:
        """Return the wrapper's weights as those of the wrapped layer."""
        return (), _wrapped_legacy(self.take(record))


class LegacyNestedGroups:
    """The weights of a nested model of a legacy `.h5`, which has a single group for all its layers.

    Weights are assigned by the layers' names within the variables' names, and in the order of requests if two models
    in it have a layer of the same name. Weights are indexed once by each name in their path, so no layer searches
    those of the others.

    Args:
        weights: Weights that may belong to this model.
        taken: Keys of weights that are already assigned, shared with the models nested in this one.
    """

    def __init__(self, weights: Iterable[WeightRecord], taken: set[str] | None = None) -> None:
        self._taken = set[str]() if taken is None else taken
        self._through = dict[str, deque[tuple[int, WeightRecord]]]()
        self._within = dict[tuple[str, int], list[WeightRecord]]()
        scopes = dict[tuple[int, str], int]()
        for weight in {weight.key: weight for weight in weights}.values():
            scope, names = 0, set[str]()
            for name in weight.name.split("/")[:-1]:
                if name not in names:
                    names.add(name)
                    self._through.setdefault(name, deque()).append((scope, weight))
                    self._within.setdefault((name, scope), []).append(weight)
                scope = scopes.setdefault((scope, name), len(scopes) + 1)

    def enter(self, record: Config) -> LegacyNestedGroups:
        """Return the weights of a model nested in this one.

        Variables need not be named after the model that they are in. Then the names of its layers do.
        """
        inner = {name_of(layer) for layer in inner_layers(record)}
        under = [weight for _, weight in self._through.get(name_of(record), ()) if weight.key not in self._taken]
        mine = [weight for weight in under if not inner.isdisjoint(weight.name.split("/"))]
        return LegacyNestedGroups(mine, self._taken) if mine else self

    def take(self, record: Config) -> tuple[WeightRecord, ...]:
        """Return the weights whose path goes through the layer's name: those of the first scope that has any left."""
        name = name_of(record)
        waiting = self._through.get(name, deque())
        while waiting and waiting[0][1].key in self._taken:
            waiting.popleft()
        if not waiting:
            return ()
        found = self._within[name, waiting[0][0]]
        mine = tuple(weight for weight in found if weight.key not in self._taken)
        self._taken.update(weight.key for weight in mine)
        return mine

    def unwrap(self, record: Config) -> tuple[tuple[WeightRecord, ...], WeightGroups]:
        """Return the wrapper's weights as those of the wrapped layer."""
        return (), _wrapped_legacy(self.take(record))


class UnreadGroups:
    """Placeholders if no weights were read: one unknown weight per layer.

    Args:
        prefix: Prefix of the names of layers.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def enter(self, record: Config) -> UnreadGroups:
        """Return the groups of a nested model."""
        return UnreadGroups(f"{self._prefix}{name_of(record)}/")

    def take(self, record: Config) -> tuple[WeightRecord, ...]:
        """Return a placeholder for the weights of a layer, unless it is a function."""
        if is_operation(record.get("module"), config_of(record), record.get("class_name")):
            return ()
        return (WeightRecord(f"{self._prefix}{name_of(record)}", "", None, ""),)

    def unwrap(self, record: Config) -> tuple[tuple[WeightRecord, ...], WeightGroups]:
        """Return no weights, and the groups of the wrapped layer."""
        return (), self.enter(record)


def _wrapped_legacy(weights: tuple[WeightRecord, ...]) -> WrappedGroups:
    return WrappedGroups(weights, LegacyNestedGroups(weights))


def groups_of(archive: ArchiveRecord) -> WeightGroups:
    """Return the weights of the outermost model."""
    if archive.unread:
        return UnreadGroups()
    return LegacyGroups(archive) if archive.format == "h5" else ArchiveGroups(ArchiveIndex(archive))


def inner_layers(record: Config) -> list[Config]:
    """Return all layers in a nested model, including those of models within it."""
    found = list[Config]()
    layers: Any = config_of(record).get("layers")
    for layer in cast("list[Any]", layers) if isinstance(layers, list) else []:
        if isinstance(layer, dict):
            config = cast("Config", layer)
            found += [config, *inner_layers(config)]
    return found


def plain(name: str) -> str:
    """Return a variable's path without TensorFlow's output number: "conv/kernel:0"."""
    return re.sub(r":\d+$", "", name)

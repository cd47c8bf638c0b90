"""A Keras archive as rules about the file see it: its configuration, its layers, and the classes that Keras has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from cnnlint.frontends.keras.flat_model import FlatModel
from cnnlint.frontends.keras.records import ArchiveRecord, LayerRecord, config_of, name_of
from cnnlint.frontends.keras.settings import Config


class Serialized(Struct, frozen=True, gc=False):
    """An object that a configuration describes: a layer, or an initializer, a policy, a regularizer inside one.

    Attributes:
        layer: The layer that it is or belongs to, with the names of enclosing models: "encoder/conv1".
        module: That its class is exported from.
        class_name: Its class.
        registered: The name that the class is registered by; "" if it is not, or belongs to Keras.
        settings: Its own configuration.
    """

    layer: str
    module: str
    class_name: str
    registered: str
    settings: Config


class KnownClass(Struct, frozen=True):
    """A class that Keras has.

    Attributes:
        required: Settings that it must be given; None if it reads its configuration in its own way.
        optional: Settings that it may be given.
    """

    required: frozenset[str] | None
    optional: frozenset[str] = frozenset()


class KerasFile:
    """A Keras archive and the facts about it, worked out when first asked for.

    Attributes:
        archive: All that the file says but the values of weights.
    """

    def __init__(self, archive: ArchiveRecord, network: FlatModel) -> None:
        self.archive = archive
        self._network = network

    @property
    def version(self) -> tuple[int, ...]:
        """The version of Keras that wrote it; () if it does not say."""
        return _numbers(self.archive.keras_version)

    @property
    def is_judged(self) -> bool:
        """Whether it is an archive of Keras 3, and of no newer release than the table of classes."""
        return self.archive.format == "keras" and (3,) <= self.version[:2] <= newest_keras()[:2]

    @cached_property
    def objects(self) -> tuple[Serialized, ...]:
        """All objects in the configuration, in the order of the file; a shared one is listed wherever it stands."""
        return tuple(_objects(self.archive.config))

    @cached_property
    def layers(self) -> tuple[LayerRecord, ...]:
        """The layers that are called, each once, in the order of the network."""
        return tuple({step.layer.path: step.layer for step in self._network.steps}.values())

    def wrong_weights(self) -> Iterator[tuple[LayerRecord, list[tuple[int, ...]], list[tuple[int, ...]]]]:
        """Yield layers whose arrays are not what their configuration makes: with those wanted and those held.

        Only of archives, which hold them by layer and number; in `.h5` files wrappers mix theirs with the layers'.
        """
        for layer in self.layers if self.archive.format == "keras" else ():
            wanted = expected_shapes(layer)
            held = [weight.shape for weight in layer.weights]
            known = all(each.dtype.startswith(("float", "bfloat")) and each.name != VECTOR for each in layer.weights)
            if wanted is not None and None not in held and known:
                shapes = [shape for shape in held if shape is not None]
                if shapes != wanted:
                    yield layer, wanted, shapes


def _objects(config: Config) -> Iterator[Serialized]:
    stack: list[tuple[str, object, bool]] = [("", config, False)]
    while stack:
        around, value, is_layer = stack.pop()
        if isinstance(value, list):
            listed = cast("list[object]", value)
            stack += [(around, item, is_layer) for item in reversed(listed) if isinstance(item, dict | list)]
        if not isinstance(value, dict):
            continue
        record = cast("Config", value)
        name, settings = record.get("class_name"), config_of(record)
        inner: Config = record
        if isinstance(name, str) and isinstance(record.get("config"), dict) and not name.startswith("__"):
            if is_layer:
                around = f"{around}/{name_of(record)}" if around else name_of(record)
            module, registered = str(record.get("module") or ""), str(record.get("registered_name") or "")
            yield Serialized(around, module, name, registered, settings)
            inner = settings
        stack += [
            (around, item, key in LAYERS) for key, item in reversed(inner.items()) if isinstance(item, dict | list)
        ]


LAYERS = frozenset({"backward_layer", "cell", "cells", "layer", "layers"})
"""Settings whose values are layers."""


def expected_shapes(layer: LayerRecord) -> list[tuple[int, ...]] | None:
    """Return the shapes of a layer's arrays, in the order that Keras saves them, by its configuration.

    Returns:
        None if it is of another class, or its configuration does not say what it is built for.
    """
    shape, config = layer.input_shape, layer.config
    if layer.is_custom or config.get("lora_rank") or config.get("quantization_config") or config.get("renorm"):
        return None
    if layer.class_name == "Embedding":
        rows, width = (_count(config, name) for name in ("input_dim", "output_dim"))
        return None if rows is None or width is None else [(rows, width)]
    if shape is None or len(shape) < 2:
        return None
    axis = 1 if config.get("data_format") == "channels_first" else -1
    channels = shape[axis]
    bias = bool(config.get("use_bias", True))
    if layer.class_name == "BatchNormalization":
        along = config.get("axis", -1)
        features = shape[along] if isinstance(along, int) and -len(shape) <= along < len(shape) else None
        vectors = 2 + bool(config.get("scale", True)) + bool(config.get("center", True))
        return None if features is None else [(features,)] * vectors
    if channels is None:
        return None
    if layer.class_name == "Dense":
        units = _count(config, "units")
        return None if units is None else [(shape[-1] or 0, units), *([(units,)] if bias else [])]
    kernel = config.get("kernel_size")
    taps = tuple(cast("list[int]", kernel)) if isinstance(kernel, list | tuple) else None
    if taps is None or not all(isinstance(tap, int) for tap in cast("tuple[object, ...]", taps)):
        return None
    filters, groups, multiplier = (_count(config, *each) for each in COUNTS)
    if filters is None or groups is None or multiplier is None:
        return None
    kind = layer.class_name.rstrip("123D") if not layer.class_name.endswith("Transpose") else "Transpose"
    if kind == "DepthwiseConv":
        return [(*taps, channels, multiplier), *([(channels * multiplier,)] if bias else [])]
    biases = [(filters,)] if bias else []
    if kind == "Conv":
        return [(*taps, channels // max(groups, 1), filters), *biases]
    if layer.class_name.startswith("Conv") and kind == "Transpose":
        return [(*taps, filters, channels), *biases]
    if kind == "SeparableConv":
        ones = (1,) * len(taps)
        return [(*taps, channels, multiplier), (*ones, channels * multiplier, filters), *biases]
    return None


COUNTS = (("filters", 0), ("groups", 1), ("depth_multiplier", 1))
"""Numbers of a window's layer, and what they are where its configuration does not say."""


def _count(config: Config, name: str, default: int | None = None) -> int | None:
    """Return a setting that is a number of something; None if the file has anything else there."""
    value = config.get(name, default)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


VECTOR = "vector_u"
"""What a SpectralNormalization adds to the layer that it wraps."""


@cache
def _table() -> tuple[tuple[int, ...], bytes]:
    data = Path(__file__).with_name("classes.txt").read_bytes()
    head = msgspec.json.decode(data[: data.index(b"\n")], type=dict[str, str])
    return _numbers(head["keras"]), data


def newest_keras() -> tuple[int, ...]:
    """Return the version of Keras that the table of classes was written from."""
    return _table()[0]


@cache
def _classes() -> Mapping[tuple[str, str], bytes]:
    lines = (line.split(b"\t") for line in _table()[1].splitlines()[1:])
    return {(module.decode(), name.decode()): settings for module, name, settings in lines}


def known_class(module: str, name: str) -> KnownClass | None:
    """Return a class that Keras exports; None if it exports none of this name."""
    return _decoded(module, name)


@cache
def _decoded(module: str, name: str) -> KnownClass | None:
    line = _classes().get((module, name))
    if line is None:
        return None
    found: Any = msgspec.json.decode(line)
    return KnownClass(None) if found is None else KnownClass(frozenset(found[0]), frozenset(found[1]))


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:3]
    return tuple(int(part) for part in parts) if all(part.isdecimal() and len(part) < 9 for part in parts) else ()

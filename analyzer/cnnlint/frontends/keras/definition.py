"""A Keras model as the file defines it, in the dialects of Keras 2 and 3: layers with their weights and calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.errors import ModelError
from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.records import LayerRecord, config_of, described, name_of
from cnnlint.frontends.keras.settings import Config
from cnnlint.frontends.keras.weight_groups import WeightGroups


class TensorName(Struct, frozen=True, gc=False):
    """A tensor as a Functional model names it: output `index` of call `node` of a layer.

    Attributes:
        layer: The layer's name.
        node: Which of its calls.
        index: Which of the call's outputs.
        shape: In Keras' order of axes; None if the file does not say.
        dtype: "" if the file does not say.
    """

    layer: str
    node: int
    index: int
    shape: tuple[int | None, ...] | None = None
    dtype: str = ""


class CallRecord(Struct, frozen=True, gc=False):
    """One call of a layer.

    Attributes:
        args: Constants and `TensorName`s, in lists and dicts as they were given.
        kwargs: The same by name.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def read_calls(nodes: object) -> list[CallRecord]:
    """Return the calls in a layer's `inbound_nodes`.

    Raises:
        ValueError: They are in no known dialect.
    """
    calls = list[CallRecord]()
    for node in settings.items(nodes) or []:
        record = settings.mapping(node)
        if record is not None and "args" in record:
            args = settings.items(_modern(record["args"])) or []
            kwargs = _modern(record.get("kwargs") or {})
            calls.append(CallRecord(tuple(args), cast("dict[str, Any]", kwargs)))
        else:
            calls.append(_legacy_call(node))
    return calls


def is_legacy(nodes: object) -> bool:
    """Return whether `inbound_nodes` are in the dialect of Keras 2, which numbers the calls of models from 1."""
    return any(not (isinstance(node, dict) and "args" in node) for node in settings.items(nodes) or [])


def read_tensor_names(structure: object) -> list[TensorName]:
    """Return the tensors in a model's `input_layers` or `output_layers`, in the order that Keras flattens them."""
    return collect(_legacy(structure, {}), TensorName)


def collect(structure: object, kind: type[Any]) -> list[Any]:
    """Return the values of `kind` in nested lists and dicts; those of a dict sorted by key."""
    if isinstance(structure, kind):
        return [structure]
    if isinstance(structure, dict):
        record = cast("dict[str, Any]", structure)
        return [found for key in sorted(record) for found in collect(record[key], kind)]
    if isinstance(structure, list | tuple):
        return [found for item in cast("list[Any]", structure) for found in collect(item, kind)]
    return []


def replace_tensors(structure: Any, replacement: Callable[[TensorName], Any]) -> Any:
    """Return `structure` with every `TensorName` in it replaced."""
    if isinstance(structure, TensorName):
        return replacement(structure)
    if isinstance(structure, dict):
        return {key: replace_tensors(value, replacement) for key, value in cast("dict[str, Any]", structure).items()}
    if isinstance(structure, list | tuple):
        return [replace_tensors(item, replacement) for item in cast("list[Any]", structure)]
    return structure


def _modern(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_modern(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    record = cast("Config", value)
    if record.get("class_name") == "__keras_tensor__":
        config = cast("Config", record["config"])
        history = settings.items(config.get("keras_history"))
        if history is None or len(history) != 3:
            raise ValueError("a tensor without history")
        shape = settings.shape_of(config.get("shape"))
        return TensorName(str(history[0]), int(history[1]), int(history[2]), shape, str(config.get("dtype") or ""))
    if "class_name" in record:
        return record
    return {key: _modern(item) for key, item in record.items()}


def _legacy_call(node: object) -> CallRecord:
    kwargs = dict[str, Any]()
    found = _legacy(node, kwargs)
    listed = settings.items(found)
    return CallRecord((listed[0] if listed is not None and len(listed) == 1 else found,), kwargs)


def _legacy(value: object, kwargs: dict[str, Any]) -> Any:
    """Return a structure with tensors as `TensorName`s; arguments next to a tensor go into `kwargs`."""
    listed = settings.items(value)
    if listed is not None:
        if len(listed) in (3, 4) and isinstance(listed[0], str) and isinstance(listed[1], int):
            if len(listed) == 4 and isinstance(listed[3], dict):
                for name, argument in cast("Config", listed[3]).items():
                    kwargs[name] = _legacy(argument, {}) if _names_tensor(argument) else argument
            if listed[0] == "_CONSTANT_VALUE":
                return listed[2]
            return TensorName(listed[0], listed[1], int(listed[2]))
        return [_legacy(item, kwargs) for item in listed]
    if isinstance(value, dict):
        return {key: _legacy(item, kwargs) for key, item in cast("Config", value).items()}
    return value


def _names_tensor(value: object) -> bool:
    listed = settings.items(value) or []
    if len(listed) in (3, 4) and isinstance(listed[0], str) and isinstance(listed[1], int):
        return True
    inner = [item for item in listed if settings.items(item) is not None]
    return bool(inner) and all(_names_tensor(item) for item in inner)


WRAPPERS = frozenset({"TimeDistributed", "SpectralNormalization"})
"""Layers that apply another layer, and become that layer in the graph."""

MAX_DEPTH = 32
"""Models within models."""


class LayerDefinition(Struct, frozen=True, gc=False):
    """A layer, or a model used as a layer.

    Attributes:
        layer: Its record; without weights for a model, whose layers have them.
        calls: In a Functional model: how it is called.
        model: Its contents, if it is a model whose layers the file lists.
        wrapped: What a TimeDistributed applies to each step.
        first_input_node: The number of its first call in references by other calls.
        first_output_node: The number of its first call in the outputs of the enclosing model.
    """

    layer: LayerRecord
    calls: tuple[CallRecord, ...]
    model: ModelDefinition | None = None
    wrapped: LayerDefinition | None = None
    first_input_node: int = 0
    first_output_node: int = 0

    @property
    def is_input(self) -> bool:
        """Whether it is an InputLayer."""
        return self.layer.class_name == "InputLayer"


class ModelDefinition(Struct, frozen=True, gc=False):
    """The contents of a model.

    Attributes:
        layers: In the file's order.
        inputs: Its input tensors; empty for a Sequential one.
        outputs: Its output tensors; None for a Sequential model, which ends with its last layer.
        input_shape: Input shape of a Sequential model, the batch first; None if the file does not say.
    """

    layers: tuple[LayerDefinition, ...]
    inputs: tuple[TensorName, ...] = ()
    outputs: tuple[TensorName, ...] | None = None
    input_shape: tuple[int | None, ...] | None = None


def lists_layers(record: Config) -> bool:
    """Return whether a serialized object is a model whose layers the file lists."""
    config = config_of(record)
    layers = config.get("layers")
    if not isinstance(layers, list):
        return False
    if "output_layers" in config or record.get("class_name") == "Sequential":
        return True
    # A subclass of Sequential: all entries are layers, and none has calls of its own.
    listed = cast("list[Any]", layers)
    return bool(listed) and all(
        isinstance(layer, dict) and "class_name" in layer and "inbound_nodes" not in layer for layer in listed
    )


class Enclosing(Struct, frozen=True, gc=False):
    """The enclosing models of a model or layer.

    Attributes:
        path: Path of the file, for messages.
        groups: The weights of the enclosing model.
        prefix: Prefix of its name.
        trainable: Whether all enclosing models are.
        depth: Number of enclosing models.
    """

    path: str
    groups: WeightGroups
    prefix: str = ""
    trainable: bool = True
    depth: int = 0

    def inside(self, groups: WeightGroups, name: str, *, trainable: bool) -> Enclosing:
        """Return the same for the contents of a model or a wrapper.

        Raises:
            ModelError: Models nest without end.
        """
        if self.depth == MAX_DEPTH:
            raise ModelError(f"its models are nested more than {MAX_DEPTH} deep", path=self.path)
        return Enclosing(self.path, groups, f"{name}/", trainable, self.depth + 1)


def define(record: Config, around: Enclosing) -> ModelDefinition:
    """Return the contents of a model that lists its layers.

    Raises:
        ModelError: A layer's record is broken, or models nest without end.
    """
    config = config_of(record)
    if config.get("trainable", True) is False:
        around = replace(around, trainable=False)
    layers = list[LayerDefinition]()
    for entry in settings.items(config["layers"]) or []:
        layer = settings.mapping(entry)
        if layer is None:
            raise ModelError("its configuration lists something that is not a layer", path=around.path)
        layers.append(_define_layer(layer, around))
    if "output_layers" in config:
        return ModelDefinition(
            tuple(layers),
            tuple(read_tensor_names(config.get("input_layers"))),
            tuple(read_tensor_names(config["output_layers"])),
        )
    return ModelDefinition(tuple(layers), input_shape=_built_shape(record, layers))


def _define_layer(record: Config, around: Enclosing) -> LayerDefinition:
    full = f"{around.prefix}{name_of(record)}"
    inbound = record.get("inbound_nodes")
    try:
        calls = tuple(read_calls(inbound))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"the calls of layer {full!r} cannot be read: {error}", path=around.path) from error
    inner = settings.mapping(config_of(record).get("layer"))
    if record.get("class_name") in WRAPPERS and inner is not None:
        return _define_wrapper(record, inner, calls, around)
    if not lists_layers(record):
        layer = described(record, path=full, weights=around.groups.take(record), trainable=around.trainable)
        return LayerDefinition(layer, calls)
    layer = described(record, path=full, trainable=around.trainable)
    inside = define(record, around.inside(around.groups.enter(record), full, trainable=layer.trainable))
    # The first call of a model is its own construction. Keras 2 counts it; Keras 3 counts it only for Functional
    # models, and only in the outputs of the enclosing model.
    legacy = is_legacy(inbound)
    functional = inside.outputs is not None
    return LayerDefinition(
        layer,
        calls,
        inside,
        first_input_node=1 if legacy else 0,
        first_output_node=1 if legacy or functional else 0,
    )


def _define_wrapper(record: Config, inner: Config, calls: tuple[CallRecord, ...], around: Enclosing) -> LayerDefinition:
    """Define a wrapper as the layer that it wraps, with its own weights added."""
    full = f"{around.prefix}{name_of(record)}"
    wrapper = described(record, path=full, trainable=around.trainable)
    own, groups = around.groups.unwrap(record)
    wrapped = _define_layer(inner, around.inside(groups, full, trainable=wrapper.trainable))
    if record.get("class_name") == "TimeDistributed":
        return LayerDefinition(wrapper, calls, wrapped=wrapped)
    # SpectralNormalization has a second copy of the kernel, and the vector for computing its norm.
    vectors = tuple(replace(weight, name="vector_u") for weight in own[1:])
    layer = replace(wrapped.layer, name=wrapper.name, path=full, weights=(*wrapped.layer.weights, *vectors))
    return LayerDefinition(layer, calls, wrapped.model)


def _built_shape(record: Config, layers: list[LayerDefinition]) -> tuple[int | None, ...] | None:
    config = config_of(record)
    built = record.get("build_config")
    candidates: list[object] = [config.get("build_input_shape")]
    if isinstance(built, dict):
        candidates.append(cast("Config", built).get("input_shape"))
    for candidate in candidates:
        if (shape := settings.shape_of(candidate)) is not None:
            return shape
    return layers[0].layer.input_shape if layers else None

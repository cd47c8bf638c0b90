"""The calls of a layer in a Functional model, in the dialects of Keras 2 and 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.records import Config


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
    """Return whether `inbound_nodes` are in the dialect of Keras 2, which counts the calls of models from 1."""
    return any(not (isinstance(node, dict) and "args" in node) for node in settings.items(nodes) or [])


def read_tensor_names(structure: object) -> list[TensorName]:
    """Return the tensors in a model's `input_layers` or `output_layers`, in the order that Keras flattens them."""
    return flatten(_legacy(structure, {}), TensorName)


def flatten(structure: object, kind: type[Any]) -> list[Any]:
    """Return the values of `kind` in nested lists and dicts, those of a dict in the order of its keys."""
    if isinstance(structure, kind):
        return [structure]
    if isinstance(structure, dict):
        record = cast("dict[str, Any]", structure)
        return [found for key in sorted(record) for found in flatten(record[key], kind)]
    if isinstance(structure, list | tuple):
        return [found for item in cast("list[Any]", structure) for found in flatten(item, kind)]
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
    """Return a structure with its tensors named; arguments that are noted beside a tensor go into `kwargs`."""
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

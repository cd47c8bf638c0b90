"""Keras configurations: bounded JSON parsing, and values in all spellings of Keras 2 and 3."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from cnnlint.errors import ModelError
from cnnlint.limits import MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_VALUES

Config = dict[str, Any]
"""A JSON object as Keras writes it; values are checked where they are used."""

SYNONYMS = {"silu": "swish", "hard_silu": "hard_swish", "exp": "exponential"}
"""Other names of functions in Keras -> the vocabulary's."""


def parse(text: bytes | str, *, name: str, path: str) -> Config:
    """Return the JSON object in `text`, by a fast parser if it is standard JSON, else allowing NaN and Infinity.

    Args:
        text: UTF-8.
        name: Its name in messages: "config.json", "the attribute model_config".
        path: Path of the file.

    Raises:
        ModelError: It is not a JSON object, or exceeds a limit.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_JSON_BYTES:
        raise ModelError(f"{name} has more than {MAX_JSON_BYTES:,} bytes, which is the limit", path=path)
    # An upper bound: every value but the first follows a comma or a bracket.
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise ModelError(f"{name} holds more than {MAX_JSON_VALUES:,} values, which is the limit", path=path)
    try:
        value: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            value = json.loads(data)
        except RecursionError as error:
            raise ModelError(f"{name} is broken: it nests too deeply", path=path) from error
        except ValueError as error:
            raise ModelError(f"{name} is broken: {error}", path=path) from error
    if not isinstance(value, dict):
        raise ModelError(f"{name} is broken: it holds no JSON object", path=path)
    _check_depth(cast("object", value), name, path)
    return cast("Config", value)


def model_config(text: bytes | str, *, name: str, path: str) -> Config:
    """Return the record of a model: an object with a class name and a configuration.

    Raises:
        ModelError: The text is not such a record.
    """
    config = parse(text, name=name, path=path)
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), dict | list):
        raise ModelError(f"{name} describes no Keras model: it has no class_name and config", path=path)
    return config


def _check_depth(value: object, name: str, path: str) -> None:
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [below for item in level for below in _inside(item) if isinstance(below, dict | list)]
        if not level:
            return
    raise ModelError(f"{name} nests more than {MAX_JSON_DEPTH} deep, which is the limit", path=path)


def _inside(value: object) -> Iterable[object]:
    return cast("Config", value).values() if isinstance(value, dict) else cast("list[object]", value)


def items(value: object) -> list[Any] | None:
    """Return the elements of a list, or of a tuple as Keras 2 serializes it; None for anything else."""
    if isinstance(value, list | tuple):
        return list(cast("list[Any]", value))
    if isinstance(value, dict):
        record = cast("Config", value)
        if record.get("class_name") in ("__tuple__", "ListWrapper", "TensorShape"):
            return items(record.get("items"))
    return None


def mapping(value: object) -> Config | None:
    """Return a JSON object; None for anything else."""
    return cast("Config", value) if isinstance(value, dict) else None


def integers(value: object, count: int) -> tuple[int, ...]:
    """Return `count` integers: one for all axes, or one each.

    Raises:
        ValueError: The value is neither.
    """
    if isinstance(value, int):
        return (value,) * count
    found = tuple(item for item in items(value) or () if isinstance(item, int))
    if len(found) == 1:
        return found * count
    if len(found) != count:
        raise ValueError(f"{value!r} is not {count} integers")
    return found


def pairs(value: object, count: int) -> tuple[tuple[int, int], ...]:
    """Return an amount before and after for each of `count` axes, for padding and cropping layers.

    Raises:
        ValueError: The value has another form.
    """
    if isinstance(value, int):
        return ((value, value),) * count
    found = items(value) or []
    if count == 1 and len(found) == 2 and all(isinstance(item, int) for item in found):
        found = [found]
    if len(found) == 1 and count > 1:
        found = found * count
    if len(found) != count:
        raise ValueError(f"{value!r} is not {count} amounts")
    both = [integers(item, 2) for item in found]
    return tuple((amount[0], amount[1]) for amount in both)


def shape_of(value: object) -> tuple[int | None, ...] | None:
    """Return a shape with None for open extents; None if the value is not a shape."""
    found = items(value)
    if found is None or not all(item is None or type(item) is int for item in found):  # JSON's false is no extent
        return None
    return tuple(found)


def compute_dtype(policy: object, default: str = "float32") -> str:
    """Return the type that a layer computes in: "float16" for the policy "mixed_float16"."""
    name = policy_name(policy)
    if name is None:
        return default
    name = name.rpartition("_from_")[2]
    return name.removeprefix("mixed_")


def policy_name(policy: object) -> str | None:
    """Return the name of a dtype policy: a plain type, "mixed_float16", "int8_from_float32"; None if not given."""
    if isinstance(policy, str):
        return policy
    if isinstance(policy, dict):
        record = cast("Config", policy)
        config = record.get("config")
        if isinstance(config, dict):
            inner = cast("Config", config)
            return policy_name(inner.get("name") or inner.get("source_name") or inner.get("default_policy"))
    return None


def function_name(value: object) -> str | None:
    """Return the name of a serialized function in the vocabulary; None if there is no function.

    An activation may also be a layer, such as ReLU; then the name is its class.
    """
    if value is None:
        return None
    if isinstance(value, dict):
        record = cast("Config", value)
        inner = record.get("config")
        name = inner if isinstance(inner, str) else record.get("class_name")
        return function_name(name)
    name = str(value).rpartition(">")[2]
    return SYNONYMS.get(name, name)


def snake_case(name: str) -> str:
    """Return a class name as in the weights file: "DepthwiseConv2D" becomes "depthwise_conv2d"."""
    name = re.sub(r"\W+", "", name.rpartition(">")[2])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def is_custom(value: object) -> bool:
    """Return whether a serialized function or object comes from outside Keras."""
    if not isinstance(value, dict):
        return False
    record = cast("Config", value)
    module = record.get("module")
    return (isinstance(module, str) and module.partition(".")[0] not in ("keras", "builtins")) or (
        record.get("class_name") == "__lambda__"
    )

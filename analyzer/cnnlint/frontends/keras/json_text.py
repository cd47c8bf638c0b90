"""JSON as Keras writes it: quick for what the standard allows, patient with NaN and Infinity."""

from __future__ import annotations

import json
from typing import cast

import msgspec

from cnnlint.errors import ModelError
from cnnlint.frontends.keras.records import Config


def parse(text: bytes | str, *, name: str, path: str) -> Config:
    """Return the JSON object in `text`.

    Args:
        text: UTF-8.
        name: What it is called in messages: "config.json", "the attribute model_config".
        path: Of the file that holds it.

    Raises:
        ModelError: It is no JSON, or no object.
    """
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{name} is broken: {error}", path=path) from error
    if not isinstance(value, dict):
        raise ModelError(f"{name} is broken: it holds no JSON object", path=path)
    return cast("Config", value)


def model_config(text: bytes | str, *, name: str, path: str) -> Config:
    """Return the record of a model: an object with a class name and a configuration.

    Raises:
        ModelError: The text is no such thing.
    """
    config = parse(text, name=name, path=path)
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), dict | list):
        raise ModelError(f"{name} describes no Keras model: it has no class_name and config", path=path)
    return config

"""Writes the table of Keras's classes and their settings that the rules on Keras files read, from the installed Keras.

    python docs/make_keras.py

A line for each class that a configuration may name: the module that it is exported from, its name, and as JSON the
settings that it must have and those that it may have; null where a class reads its configuration in its own way.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "analyzer" / "cnnlint" / "frontends" / "keras" / "classes.txt"

OF_EVERY_LAYER = ("activity_regularizer", "autocast", "batch_input_shape", "batch_shape", "batch_size", "dtype",
                  "input_dim", "input_shape", "name", "trainable")  # fmt: skip
"""What `keras.layers.Layer` takes for all of them."""


def table() -> str:
    """Return the table."""
    import keras
    from keras.src import api_export

    lines = [json.dumps({"keras": keras.__version__})]
    names: dict[str, Any] = api_export.REGISTERED_NAMES_TO_OBJS
    for full in sorted(names):
        module, _, name = full.rpartition(".")
        made = names[full]
        if inspect.isclass(made) and "legacy" not in full:
            lines.append(f"{module}\t{name}\t{json.dumps(_settings(keras, made), separators=(',', ':'))}")
    return "\n".join(lines) + "\n"


def _settings(keras: Any, made: type[Any]) -> list[list[str]] | None:
    """Return the settings that a layer must have and those that it may have; None if that cannot be told."""
    if not issubclass(made, keras.layers.Layer) or issubclass(made, keras.Model):
        return None
    reader = inspect.getsource(made.from_config)
    plain = "cls(**config" in reader or "super().from_config(config" in reader
    if not plain or "*" in str(inspect.signature(made.from_config)).replace("**", ""):
        return None
    required, optional = list[str](), set(re.findall(r"config\.pop\(\s*\"(\w+)\"", reader))
    for base in made.__mro__:
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
            return None
        optional.update(re.findall(r"kwargs\.(?:pop|get)\(\s*\"(\w+)\"", inspect.getsource(base)))
        named = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
        optional.update(parameter.name for parameter in named)
        if base is made:
            required = [parameter.name for parameter in named if parameter.default is parameter.empty]
        if len(named) == len(parameters):
            break
        if base is keras.layers.Layer:
            optional.update(OF_EVERY_LAYER)
            break
    return [sorted(required), sorted(optional - set(required))]


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8", newline="\n")

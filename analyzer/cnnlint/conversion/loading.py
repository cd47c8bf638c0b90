"""Load a Keras model for conversion without running code from the file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnnlint.conversion.toolchain import quiet
from cnnlint.errors import ConversionError, ModelError

if TYPE_CHECKING:
    from cnnlint.conversion.toolchain import Toolchain

REWRITE = "write it with keras.layers or keras.ops in a functional model, and save it again"
REGISTER = "call cnnlint from Python, where the class is registered with Keras"


def load_keras(path: str, tools: Toolchain) -> Any:
    """Load the `.keras` or `.h5` file at `path` in Keras's safe mode, not compiled.

    Raises:
        ModelError: There is no such file.
        ConversionError: A layer needs code that is not Keras's own, or Keras cannot load the file.
    """
    if not Path(path).exists():
        raise ModelError("no such file", path=path)
    for entry in _serialized_objects(_config(path)):
        _refuse_foreign_code(entry, path, tools)
    try:
        with quiet():
            return tools.keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise ConversionError(f"Keras cannot load it: {first_line(error)}", path=path) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _refuse_foreign_code(entry: dict[str, Any], path: str, tools: Toolchain) -> None:
    kind: str = entry["class_name"]
    config: Any = entry.get("config")
    fields = cast("dict[str, Any]", config) if isinstance(config, dict) else {}
    name = fields.get("name") or entry.get("name")
    called = f"the layer {name} ({kind})" if name else f"the object {kind}"
    if kind == "Lambda":
        raise ConversionError(f"{called} holds Python code, which cnnlint does not run", path=path, remedy=REWRITE)
    module: Any = entry.get("module", "keras")
    if isinstance(module, str) and (module == "keras" or module.startswith("keras.")):
        return
    registered = entry.get("registered_name") or kind
    if kind == "function":
        registered = config if isinstance(config, str) else registered
        called = f"the function {registered}"
    find = tools.keras.saving.get_registered_object
    if find(registered) is None and find(kind) is None and module != "builtins":
        raise ConversionError(f"{called} has a class that Keras does not know", path=path, remedy=REGISTER)


def _serialized_objects(config: object) -> Iterator[dict[str, Any]]:
    """Yield every serialized object in a Keras configuration, outer ones first."""
    pending = [config]
    while pending:
        item = pending.pop(0)
        if isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            if isinstance(fields.get("class_name"), str):
                yield fields
            pending.extend(fields.values())
        elif isinstance(item, list):
            pending.extend(cast("list[Any]", item))


def _config(path: str) -> object:
    """Return the configuration in the archive; None if it cannot be read, and Keras then raises the error."""
    with suppress(OSError, KeyError, ValueError, zipfile.BadZipFile):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        import h5py  # pyright: ignore[reportMissingTypeStubs] - h5py ships none

        with h5py.File(path, "r") as file:
            return json.loads(cast("str | bytes", file.attrs["model_config"]))
    return None

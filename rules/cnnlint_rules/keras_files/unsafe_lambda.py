"""KR004: Python code in the file, which Keras does not load unless it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    KerasFile,
    KerasRule,
    NearMiss,
    Severity,
)


class UnsafeLambda(KerasRule, code="KR004", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """A Lambda layer holds a Python lambda as bytecode, which `load_model` refuses.

    ## Why
    Keras saves a lambda as the bytecode of its function. Whoever loads the file would run code that came with it, so
    `keras.saving.load_model` refuses such a file in its safe mode, which is the default; with `safe_mode=False` it runs
    in that version of Python only that wrote it. A model that others are to load cannot be given to them so.

    ## Instead
    Write a layer of your own with `call` and register it, or use a layer or a function of `keras.ops`, which are saved
    by name.

    ## When not
    For a model that never leaves the program that made it.

    ## References
    - Keras, `keras.layers.Lambda`, and `safe_mode` of `keras.saving.load_model`.
    """

    def check(self, file: KerasFile, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each Lambda that holds code."""
        for layer in file.layers:
            function = layer.config.get("function")
            if layer.class_name == "Lambda" and _is_code(function):
                yield self.finding(
                    *context.layers_at([layer.path]),
                    message=f"The layer {layer.path} holds a Python lambda as bytecode: load_model refuses the file"
                    " unless it is given safe_mode=False.",
                    evidence={},
                    advice=Advice(text="Write a layer of your own and register it, or use a function of keras.ops"),
                )

    examples = (
        Bad(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "half", "function": {
                    "class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": null, "closure": null}}}}
            ]}}
            """,
            at=("half",),
        ),
        Good(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "Rescaling", "module": "keras.layers", "config": {"name": "half", "scale": 0.5}}
            ]}}
            """
        ),
    )


def _is_code(function: object) -> bool:
    """Return whether a function is saved as bytecode, as Keras 3 and Keras 2 do it."""
    if isinstance(function, dict):
        return "__lambda__" in cast("dict[str, object]", function).values()
    return isinstance(function, list) and isinstance(next(iter(cast("list[object]", function)), None), str)

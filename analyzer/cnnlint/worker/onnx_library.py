"""onnx's own checker and shape inference, in a process that lives for one question.

Both are in one compiled module, which knows only bytes. It is loaded by itself: the Python around it, with numpy and
protobuf, takes four times as long to import.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from functools import cache
from typing import Any

EXTENSION = "onnx_cpp2py_export"
"""The compiled module inside of the package onnx."""


@cache
def library() -> Any:
    """Return the compiled module of onnx."""
    from importlib import import_module

    if "onnx" not in sys.modules:
        from importlib.machinery import PathFinder
        from importlib.util import module_from_spec

        package = PathFinder.find_spec("onnx")
        folders = None if package is None else package.submodule_search_locations
        found = None if folders is None else PathFinder.find_spec(EXTENSION, folders)
        if found is not None and found.loader is not None:
            with suppress(ImportError):  # a release of onnx in which it cannot be loaded by itself
                module = module_from_spec(found)
                found.loader.exec_module(module)
                return module
    return import_module(f"onnx.{EXTENSION}")


def inferred(given: bytes, *, follows: bool) -> bytes:
    """Return a serialized ModelProto with the shapes that onnx infers.

    Args:
        given: A serialized ModelProto.
        follows: Whether values of small tensors are propagated.
    """
    return library().shape_inference.infer_shapes(given, False, False, follows)


def verdict(given: bytes) -> bytes:
    """Return what onnx's checker says of a serialized ModelProto, as the JSON of `runtime.referee.Verdict`."""
    onnx = library()
    rejected = ""
    try:
        onnx.checker.check_model(given, True)
    except Exception as error:  # whatever it raises is its verdict
        rejected = str(error).strip() or type(error).__name__
    newest = {domain: most for domain, (_, most) in onnx.defs.schema_version_map().items()}
    return json.dumps({"rejected": rejected, "opsets": newest}).encode()

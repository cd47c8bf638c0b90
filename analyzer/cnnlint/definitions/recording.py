"""Which lines of the user's code made which layer: recorded when the constructor of a layer runs.

This module stands by itself: it is also loaded by interpreters that know nothing of cnnlint, from Python 3.9 on.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import weakref
from importlib.machinery import PathFinder
from inspect import currentframe, signature
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, FrameType, ModuleType

CLASSES = {
    "keras.src.ops.operation": "Operation",
    "keras.src.engine.base_layer": "Layer",
    "keras.engine.base_layer": "Layer",
    "tf_keras.src.engine.base_layer": "Layer",
    "torch.nn.modules.module": "Module",
}
"""The class from which all layers of a framework derive, by its module. An operation of Keras 3 may be no layer."""

TRAINERS = {
    "keras.src.backend.tensorflow.trainer": ("TensorFlowTrainer", "fit"),
    "keras.src.backend.torch.trainer": ("TorchTrainer", "fit"),
    "keras.src.backend.jax.trainer": ("JAXTrainer", "fit"),
    "keras.src.engine.training": ("Model", "fit"),
    "keras.engine.training": ("Model", "fit"),
    "tf_keras.src.engine.training": ("Model", "fit"),
    "torch._tensor": ("Tensor", "backward"),
}
"""What trains a network, by the module that defines it."""

TAB = 4
"""Columns from one stop of a tab to the next, in lines that are shown."""

INSTALLED = frozenset({"site-packages", "dist-packages"})

DEEPEST = 40
"""Frames of one chain of calls that are kept, the innermost ones."""

Line = tuple[str, int, str, str, int, int]
"""A frame: file, line, qualified function, the line's text, and where the call stands in it (0 to 0 if unknown)."""


class TrainsFirst(BaseException):
    """The code that is to define a network trains it; no `except Exception` of the user's holds this up."""


class Recorder:
    """Records, while it is in use as a context, the user's frames behind each layer that is made.

    Args:
        root: The working tree: only files below it are the user's.
        refuse_training: Whether to raise `TrainsFirst` where a network is trained.
    """

    def __init__(self, root: str, *, refuse_training: bool = False) -> None:
        self.root = os.path.realpath(root)
        self._libraries = tuple(
            os.path.realpath(path) + os.sep for name in ("stdlib", "platstdlib") if (path := sysconfig.get_path(name))
        )
        self._refuses = refuse_training
        self._patched: list[tuple[Any, str, Any]] = []
        self._lines: weakref.WeakKeyDictionary[Any, tuple[Line, ...]] = weakref.WeakKeyDictionary()
        self._users: dict[str, bool] = {}
        self._finder = _Finder(self._patch)

    def __enter__(self) -> Recorder:
        for name in {*CLASSES, *TRAINERS} & {*sys.modules}:
            self._patch(sys.modules[name])
        sys.meta_path.insert(0, self._finder)
        return self

    def __exit__(self, *_: object) -> None:
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        while self._patched:
            holder, name, original = self._patched.pop()
            setattr(holder, name, original)

    def lines_of(self, layer: object) -> tuple[Line, ...]:
        """Return the user's frames in which `layer` was made, innermost first; () if it was made before."""
        try:
            return self._lines.get(layer, ())
        except TypeError:
            return ()

    def keras_lines(self, model: Any) -> dict[str, tuple[Line, ...]]:
        """Return the frames of each layer of a Keras model, by its name, those of nested models as "outer/inner"."""
        found: dict[str, tuple[Line, ...]] = {}
        _walk(self, model, "", found, set())
        return found

    def torch_lines(self, module: Any) -> dict[str, tuple[Line, ...]]:
        """Return the frames of the modules that are not the user's own classes, by their path in `module`.

        What a module of the user's computes by itself stands in its `forward`, which the export names.
        """
        found: dict[str, tuple[Line, ...]] = {}
        for path, inner in module.named_modules():
            defined = getattr(sys.modules.get(type(inner).__module__), "__file__", None)
            if path and (lines := self.lines_of(inner)) and not (defined and self.is_users(defined)):
                found[path] = lines
        return found

    def chain(self, frame: FrameType | None, made: object = None) -> tuple[Line, ...]:
        """Return the user's frames from `frame` outward, without the constructors of `made` itself."""
        lines: list[Line] = []
        while frame is not None and len(lines) < DEEPEST:
            code = frame.f_code
            own = (
                code.co_name == "__init__" and code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is made
            )
            if not own and self.is_users(code.co_filename):
                lines.append(self._line(frame))
            frame = frame.f_back
        return tuple(lines)

    def is_users(self, file: str) -> bool:
        """Return whether `file` lies in the working tree and belongs to no installed package."""
        known = self._users.get(file)
        if known is None:
            known = self._users[file] = self._is_users(file)
        return known

    def _is_users(self, file: str) -> bool:
        if file.startswith("<"):
            return False
        whole = os.path.realpath(file)
        if not whole.startswith(self.root.rstrip(os.sep) + os.sep) or whole.startswith(self._libraries):
            return False
        return not INSTALLED.intersection(whole.split(os.sep))

    def _line(self, frame: FrameType) -> Line:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)  # Python 3.11
        text = linecache.getline(code.co_filename, frame.f_lineno).rstrip("\r\n")
        begin, end = shown_at(text, *_bytes(code, frame.f_lasti, frame.f_lineno, text))
        return os.path.realpath(code.co_filename), frame.f_lineno, name, text.expandtabs(TAB), begin, end

    def _patch(self, module: ModuleType) -> None:
        kind = getattr(module, CLASSES.get(module.__name__, ""), None)
        if kind is not None:
            self._replace(kind, "__init__", self._recording)
        holder, name = TRAINERS.get(module.__name__, ("", ""))
        kind = getattr(module, holder, None)
        if kind is not None and self._refuses:
            self._replace(kind, name, self._refusing)

    def _replace(self, holder: Any, name: str, by: Callable[[Any], Any]) -> None:
        original = getattr(holder, name)
        self._patched.append((holder, name, original))
        setattr(holder, name, by(original))

    def _recording(self, original: Any) -> Any:
        def __init__(layer: Any, *given: Any, **named: Any) -> Any:  # noqa: N807 - it stands in for one
            try:
                if layer not in self._lines:
                    self._lines[layer] = self.chain(_caller(), layer)
            except TypeError:  # a class of the user's that cannot be hashed, or not be referred to weakly
                pass
            return original(layer, *given, **named)

        return _as(original, __init__)

    def _refusing(self, original: Any) -> Any:
        def trains(*given: Any, **named: Any) -> Any:
            lines = self.chain(_caller())
            if lines:
                raise TrainsFirst(lines[0])
            return original(*given, **named)  # a library that works on its own

        return _as(original, trains)


class _Finder:
    """Has the classes of a framework patched as soon as the module that defines them has been imported."""

    def __init__(self, patch: Callable[[ModuleType], None]) -> None:
        self._patch = patch

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """Return the spec that others find, with a loader that patches."""
        if name not in CLASSES and name not in TRAINERS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = None if spec is None else spec.loader
        if loader is None:
            return None
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._patch(module)

        loader.exec_module = exec_module
        return spec


def _caller() -> FrameType | None:
    """Return the frame that called the function that calls this."""
    here = currentframe()
    return here.f_back.f_back if here is not None and here.f_back is not None else None


def _as(original: Any, wrapper: Any) -> Any:
    """Give `wrapper` the name and signature that Keras and PyTorch look at."""
    for name in ("__doc__", "__name__", "__qualname__", "__module__"):
        setattr(wrapper, name, getattr(original, name, None))
    wrapper.__signature__ = signature(original)
    return wrapper


def _bytes(code: CodeType, instruction: int, line: int, text: str) -> tuple[int, int]:
    """Return where the call that `instruction` makes stands in its line, in bytes; 0 to 0 if nobody knows."""
    positions: Callable[[], Any] | None = getattr(code, "co_positions", None)  # Python 3.11
    if positions is None or not text:
        return 0, 0
    place: tuple[int, int, int | None, int | None] = next(islice(positions(), instruction // 2, None))
    first, last, begin, end = place
    if first != line or begin is None or end is None:
        return 0, 0
    return begin, end if last == first else len(text.encode())


def shown_at(text: str, *places: int) -> tuple[int, ...]:
    """Return the characters at which places of a line stand, which Python counts in bytes, once its tabs are spaces."""
    encoded = text.encode()
    return tuple(len(encoded[:place].decode(errors="replace").expandtabs(TAB)) for place in places)


def _walk(recorder: Recorder, model: Any, prefix: str, found: dict[str, tuple[Line, ...]], seen: set[int]) -> None:
    for layer in getattr(model, "layers", None) or ():
        name = f"{prefix}{layer.name}"
        if name not in found and (lines := recorder.lines_of(layer)):
            found[name] = lines
        if hasattr(layer, "layers") and id(layer) not in seen:
            _walk(recorder, layer, f"{name}/", found, seen | {id(layer)})
    for operation in getattr(model, "operations", None) or ():
        name = f"{prefix}{operation.name}"
        if name not in found and (lines := recorder.lines_of(operation)):
            found[name] = lines

"""The lines that made the layers of a network of this process, recorded from a moment that its owner chose."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnnlint.definitions.recording import INSTALLED, Recorder
from cnnlint.definitions.run import as_frame, up_to_root

if TYPE_CHECKING:
    from cnnlint.definitions.run import Sources

_running: list[Recorder] = []
"""The recorder of this process, if it has one: layers are patched once, whoever asks."""


def begin(root: str | None = None) -> None:
    """Record from now on, for the life of the process, which line of the user's makes which layer.

    Args:
        root: The working tree, whose files are the user's; that of the program if None.
    """
    if not _running:
        _running.append(Recorder(root or _tree()).__enter__())


def sources(model: Any, kind: Literal["keras", "torch"]) -> Sources:
    """Return the user's frames behind each layer of a model of this process; {} if nothing was recorded."""
    if not _running:
        return {}
    recorder = _running[0]
    found = recorder.keras_lines(model) if kind == "keras" else recorder.torch_lines(model)
    return {layer: tuple(map(as_frame, lines)) for layer, lines in found.items()}


def _tree() -> str:
    """Return the working tree of the program: of its file, or of the working directory if it is an installed one."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    here = Path(os.path.realpath(Path.cwd()))
    if main is None or INSTALLED.intersection(Path(os.path.realpath(main)).parts):
        return str(up_to_root(here)[-1])
    folder = Path(os.path.realpath(main)).parent
    root = up_to_root(folder)[-1]
    return str(here if root == folder and folder.is_relative_to(here) else root)

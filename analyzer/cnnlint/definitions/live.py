"""The lines that made the layers of a network of this process, recorded from a moment that its owner chose."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnnlint.definitions.recording import Recorder
from cnnlint.definitions.run import as_frame, up_to_root

if TYPE_CHECKING:
    from cnnlint.definitions.run import Sources

_running: list[Recorder] = []
"""The recorder of this process, if it has one: layers are patched once, whoever asks."""


def begin(root: str | None = None) -> None:
    """Record from now on, for the life of the process, which line of the user's makes which layer.

    Args:
        root: The working tree, whose files are the user's; that of the working directory if None.
    """
    if not _running:
        tree = root or str(up_to_root(Path(os.path.realpath(Path.cwd())))[-1])
        _running.append(Recorder(tree).__enter__())


def sources(model: Any, kind: Literal["keras", "torch"]) -> Sources:
    """Return the user's frames behind each layer of a model of this process; {} if nothing was recorded."""
    if not _running:
        return {}
    recorder = _running[0]
    found = recorder.keras_lines(model) if kind == "keras" else recorder.torch_lines(model)
    return {layer: tuple(map(as_frame, lines)) for layer, lines in found.items()}

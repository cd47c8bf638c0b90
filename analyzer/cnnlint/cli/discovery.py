"""From the paths of a command line to the models that they stand for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from glob import glob, has_magic

from cnnlint.errors import ModelError

SUFFIXES = (".onnx", ".keras", ".h5", ".hdf5")
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})


def models(paths: Sequence[str]) -> tuple[list[str], list[ModelError]]:
    """Return the models that `paths` stand for, each once and in order, and an error for each that stands for none.

    A folder stands for every model below it (hidden folders and virtual environments left out), a SavedModel
    folder for itself, and a pattern for all that it fits; a file or URL is taken as it is, whatever it is called.
    """
    found = dict[str, str]()
    errors = list[ModelError]()
    for path in paths:
        try:
            for model in _stand_for(path):
                key = model if "://" in model else os.path.realpath(model)
                found.setdefault(key, model)
        except ModelError as error:
            errors.append(error)
    return list(found.values()), errors


def _stand_for(path: str) -> Iterator[str]:
    if "://" in path:
        yield path
    elif os.path.isdir(path):
        yield from _in_folder(path)
    elif os.path.lexists(path):
        yield os.path.dirname(path) or "." if os.path.basename(path) in SAVED_MODEL else path
    elif has_magic(path):
        yield from _fitting(path)
    else:
        raise ModelError("there is no such file or folder", path=path)


def _in_folder(folder: str) -> Iterator[str]:
    any_found = False
    for model in _walk(folder):
        any_found = True
        yield model
    if not any_found:
        raise ModelError(f"no model in this folder or below it ({', '.join(SUFFIXES)}, SavedModel)", path=folder)


def _walk(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        if any(name in files for name in SAVED_MODEL):
            folders.clear()
            yield os.path.normpath(where)
            continue
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in SKIPPED_FOLDERS
            and not os.path.exists(os.path.join(where, name, "pyvenv.cfg"))
        )
        yield from (
            os.path.normpath(os.path.join(where, name)) for name in sorted(files) if name.lower().endswith(SUFFIXES)
        )


def _fitting(pattern: str) -> Iterator[str]:
    matches = sorted(glob(pattern, recursive=True))
    any_found = False
    for match in matches:
        if os.path.isdir(match):
            if any(os.path.isfile(os.path.join(match, name)) for name in SAVED_MODEL):
                any_found = True
                yield match
        elif match.lower().endswith(SUFFIXES):
            any_found = True
            yield match
    if not any_found:
        raise ModelError("this pattern fits no model", path=pattern)

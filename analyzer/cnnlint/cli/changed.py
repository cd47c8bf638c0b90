"""The models that changed files concern, as pre-commit hands these over: models, their data, configurations, code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnnlint.cli.discovery import SAVED_MODEL, SUFFIXES, discover
from cnnlint.engine.config.load import NAMES
from cnnlint.engine.config.settings import resolve
from cnnlint.errors import CnnlintError

if TYPE_CHECKING:
    from cnnlint.definitions.target import Definition
    from cnnlint.engine.config.nearest import Documents
    from cnnlint.engine.config.schema import Flags


def concerned(changed: Sequence[str], documents: Documents, flags: Flags) -> tuple[str, ...]:
    """Return the models that have to be linted again after files have changed, each once, in order.

    A model stands for itself, a file in the folder of a SavedModel for that, external data for the ONNX models that
    refer to it. A configuration or a baseline stands for all models of the repository that it holds for: a tightened
    budget breaks models that nobody has touched.

    Args:
        changed: The paths, of whatever kind; those that concern no model are left out.
        documents: The configurations.
        flags: What outweighs them.

    Raises:
        ConfigError: A configuration is wrong.
    """
    models = dict[str, None]()
    held_by = list[str]()
    for path in changed:
        name = os.path.basename(path)
        if name.lower().endswith(SUFFIXES) or name in SAVED_MODEL:
            models[path] = None
        elif name in NAMES or name.endswith((".toml", ".json")):
            held_by.append(os.path.realpath(path))
        elif folder := _saved_model(path):
            models[folder] = None
        else:
            models |= dict.fromkeys(_referring(path))
    if held_by:
        models |= dict.fromkeys(_held(frozenset(held_by), documents, flags))
    return tuple(models)


def concerned_definitions(
    changed: Sequence[str], definitions: Iterable[Definition], documents: Documents, flags: Flags
) -> tuple[Definition, ...]:
    """Return the networks, as code defines them, that have to be linted again after files have changed.

    A Python file concerns those that import it, their configuration and its baseline all of them, but for those that
    are excluded. No code is run to tell.

    Args:
        changed: The paths, of whatever kind.
        definitions: All that the configuration of the working directory has.
        documents: The configurations.
        flags: What outweighs them.

    Raises:
        ConfigError: A configuration is wrong.
    """
    files = {os.path.realpath(path) for path in changed}
    document = documents.chosen()
    settings = resolve(document, flags)
    definitions = tuple(replace(each, model=None) for each in definitions if not settings.excludes(each.name))
    held_by = (None if document is None else document.path, settings.baseline)
    if not files.isdisjoint(os.path.realpath(path) for path in held_by if path is not None):
        return definitions
    python = [file for file in files if file.endswith(".py")]
    if not python:
        return ()
    from cnnlint.definitions.reach import Imports

    reach = Imports().reach
    return tuple(each for each in definitions if reach(each).holds_any(python, each))


def _saved_model(path: str) -> str:
    """Return the folder of the SavedModel that the file at `path` is part of; "" if it is part of none."""
    folder = os.path.dirname(path)
    while folder:
        if any(os.path.isfile(os.path.join(folder, name)) for name in SAVED_MODEL):
            return folder
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            break
    return ""


def _referring(path: str) -> Iterator[str]:
    """Yield the ONNX models that have external data in the file at `path`: it lies in their folder or below it."""
    wanted, folder = os.path.realpath(path), os.path.dirname(path)
    while True:
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            names = []
        for name in names:
            model = os.path.join(folder, name)
            if name.lower().endswith(".onnx") and wanted in _data_of(model):
                yield model
        if not folder or folder == (above := os.path.dirname(folder)):
            return
        folder = above


def _data_of(model: str) -> frozenset[str]:
    """Return the resolved paths of a model's external data; what cannot be read has none that we know of."""
    from cnnlint.frontends.onnx.external import LocalFolder
    from cnnlint.frontends.onnx.skeleton import read_source
    from cnnlint.frontends.sources import local_file

    folder = LocalFolder(model)
    with suppress(CnnlintError):  # where one of its files is missing, those before it are known
        read_source(local_file(model), folder, model)
    return frozenset(os.path.realpath(file.path) for file in folder.files())


def _held(files: frozenset[str], documents: Documents, flags: Flags) -> Iterator[str]:
    """Yield the models of the repository whose configuration or baseline is one of `files` (resolved paths)."""
    answers = dict[object, bool]()
    for model in _all_models():
        document = documents.of(model)
        key = None if document is None else document.path
        if key not in answers:
            baseline = resolve(document, flags).baseline
            mine = {os.path.realpath(path) for path in (key, baseline) if path is not None}
            answers[key] = bool(mine & files)
        if answers[key]:
            yield model


def _all_models() -> tuple[str, ...]:
    """Return the models that git tracks below the working directory; outside of a repository, all that are there."""
    from cnnlint.frontends.git import tracked

    names = tracked(os.getcwd())
    if names is None:
        return discover((".",)).models
    wanted = [name for name in names if name.lower().endswith(SUFFIXES) or os.path.basename(name) in SAVED_MODEL]
    return tuple(name for name in wanted if os.path.exists(name))

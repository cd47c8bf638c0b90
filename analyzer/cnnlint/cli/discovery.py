"""The models that a command line names, without those that its configurations leave out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.definitions.target import Definition, parse
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.config.settings import Settings, definitions_of, resolve
from cnnlint.engine.telling import relative
from cnnlint.errors import ConfigError, ModelError, meant_path
from cnnlint.frontends import is_address, is_revision
from cnnlint.report.view import several

if TYPE_CHECKING:
    from cnnlint.engine.config.load import Document
    from cnnlint.engine.config.nearest import Documents

SUFFIXES = (".onnx", ".keras", ".h5", ".hdf5")
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})


class Discovery(Struct, frozen=True):
    """What a command line comes to.

    Attributes:
        models: Each once, in order.
        errors: One for each path without a model, and one if every model that was looked for is skipped.
        skipped: "3 models skipped by exclude"; "" if none are, or if it is an error.
        definitions: The code behind those that a configuration defines by code, by their path.
    """

    models: tuple[str, ...]
    errors: tuple[ModelError, ...]
    skipped: str = ""
    definitions: dict[str, Definition] = {}


def discover(
    paths: Sequence[str],
    documents: Documents | None = None,
    flags: Flags | None = None,
    *,
    definitions: Iterable[Definition] = (),
    by_name: bool = True,
) -> Discovery:
    """Return the models that `paths` name.

    A folder names every model below it (hidden folders and virtual environments left out), a SavedModel folder
    itself, and a pattern every match; a file or URL is taken as it is, whatever its name, and even if it is excluded.

    Args:
        paths: As the user wrote them.
        documents: The configurations, which may exclude models; None if nothing is excluded.
        flags: What outweighs them.
        definitions: Networks that a configuration defines by code, which are meant too.
        by_name: Whether a path may be the name of a network that the configuration defines by code, or its code.

    Raises:
        ConfigError: A configuration is wrong, or git is to be asked and cannot be.
    """
    found = dict[str, tuple[str, bool]]()
    errors = list[ModelError]()
    coded = dict[str, Definition]()

    def add(model: str, key: str, *, named: bool, definition: Definition | None = None) -> None:
        known = found.setdefault(key, (model, named))
        found[key] = (known[0], known[1] or named)
        if definition is not None:
            coded[known[0]] = definition

    for path in paths:
        try:
            defined = _defined(path, documents if by_name else None)
            for definition in defined:
                add(definition.name, f"{definition.factory}\0{definition.name}", named=True, definition=definition)
            for model, named in () if defined else _stand_for(path):
                add(model, model if is_address(model) else os.path.realpath(model), named=named)
        except ModelError as error:
            errors.append(error)
    for definition in definitions:
        if definition.model is None:
            add(definition.name, f"{definition.factory}\0{definition.name}", named=False, definition=definition)
        else:
            stored = os.path.join(definition.root, definition.model)
            add(relative(stored), os.path.realpath(stored), named=False, definition=definition)
    reasons = {} if documents is None else _reasons(found.values(), documents, flags or Flags())
    kept = tuple(model for model, _ in found.values() if model not in reasons)
    counts = Counter(reasons.values())
    said = ", ".join(f"{several(count, 'model')} skipped by {reason}" for reason, count in counts.items())
    if not kept and any(model in reasons and not named for model, named in found.values()):
        errors.append(ModelError(f"nothing is left to lint: {said}"))
        said = ""
    return Discovery(kept, tuple(errors), said, {path: coded[path] for path in kept if path in coded})


def _defined(path: str, documents: Documents | None) -> list[Definition]:
    """Return the definitions that a word of the command line names: by code, or as its own configuration calls it."""
    if is_address(path) or has_magic(path) or os.path.lexists(path):
        return []
    named = parse(path)
    known = definitions_of(documents.chosen()) if documents is not None else ()
    if named is None:
        return [replace(each, model=None) for each in known if each.name == path]
    return [replace(each, model=None) for each in known if each.is_same(named)] or [named]


def _stand_for(path: str) -> Iterator[tuple[str, bool]]:
    """Yield the models that `path` stands for, and whether it names them."""
    if is_revision(path):
        yield from _in_revision(path)
    elif is_address(path):
        yield path, True
    elif os.path.isdir(path):
        for model in _in_folder(path):
            yield model, os.path.normpath(path) == model
    elif os.path.lexists(path):
        yield os.path.dirname(path) or "." if os.path.basename(path) in SAVED_MODEL else path, True
    elif has_magic(path):
        for model in _fitting(path):
            yield model, False
    else:
        raise ModelError("there is no such file or folder", path=path, remedy=meant_path(path))


def _in_revision(written: str) -> Iterator[tuple[str, bool]]:
    """Yield the models of a git revision, as `_stand_for` does."""
    from cnnlint.frontends import git

    address = git.parse(written)
    if not git.is_folder(address):
        yield str(address), True
        return
    paths = git.files(address)
    saved = sorted({os.path.dirname(path) for path in paths if os.path.basename(path) in SAVED_MODEL})
    found = [path for path in paths if path.lower().endswith(SUFFIXES) and _is_walked(path, address.path)]
    inside = [path for path in found if any(path.startswith(f"{folder}/") for folder in saved)]
    for model in sorted({*saved, *found} - {*inside}):
        yield str(address.beside(model)), model == address.path
    if not found and not saved:
        raise ModelError("the revision has no model in this folder or below it", path=str(address))


def _is_walked(path: str, top: str) -> bool:
    folders = path.removeprefix(top).strip("/").split("/")[:-1]
    return not any(folder.startswith(".") or folder in SKIPPED_FOLDERS for folder in folders)


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
        raise ModelError("this pattern matches no model", path=pattern)


def _reasons(found: Iterable[tuple[str, bool]], documents: Documents, flags: Flags) -> dict[str, str]:
    """Return why models are skipped, by their paths."""
    reasons, asked = dict[str, str](), list[str]()
    resolved = dict[Path | None, Settings]()
    for model, named in found:
        settings = _settings(documents.of(model), flags, resolved)
        if named and not settings.force_exclude:
            continue
        if settings.excludes(model):
            reasons[model] = "exclude"
        elif settings.respect_gitignore and not is_address(model):
            asked.append(model)
    return reasons | dict.fromkeys(_ignored_by_git(asked), ".gitignore")


def _settings(document: Document | None, flags: Flags, resolved: dict[Path | None, Settings]) -> Settings:
    key = None if document is None else document.path
    if key not in resolved:
        resolved[key] = resolve(document, flags)
    return resolved[key]


def _ignored_by_git(models: Iterable[str]) -> Iterator[str]:
    """Yield those of `models` that git ignores; what is in no repository, or is tracked in one, is not."""
    by_repository = dict[str, dict[str, str]]()
    for model in models:
        folder, name = os.path.split(os.path.abspath(model))
        folder = os.path.realpath(folder)  # git refuses what lies beyond a symbolic link
        if (root := _repository(folder)) is not None:
            by_repository.setdefault(root, {})[os.path.join(folder, name)] = model
    for root, paths in by_repository.items():
        for path in _checked(root, paths):
            yield paths[path]


def _repository(folder: str) -> str | None:
    while not os.path.lexists(os.path.join(folder, ".git")):
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return None
    return folder


def _checked(root: str, paths: Iterable[str]) -> list[str]:
    import subprocess

    # what a hook of git sets is about the repository that it runs in
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ("git", "check-ignore", "-z", "--stdin"),  # noqa: S607 - the git that the user uses
            input=os.fsencode("\0".join(paths)), cwd=root, env=environment, capture_output=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise ConfigError("respect-gitignore asks git, which is not installed") from error
    if done.returncode not in (0, 1):
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ConfigError(f"respect-gitignore asks git, which cannot tell: {said}", path=root)
    return [os.fsdecode(path) for path in done.stdout.split(b"\0") if path]

"""Results of earlier runs: a model that has not changed is not opened again."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from datetime import date
from hashlib import blake2b
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from cnnlint import limits
from cnnlint.errors import ConfigError, __version__
from cnnlint.linting.baseline import Baseline, Sighting
from cnnlint.results import ModelReport

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from cnnlint.engine.config.settings import Settings
    from cnnlint.engine.registry import RuleSet
    from cnnlint.graph.graph import Graph

LAYOUT = 3
"""Raise this when what an entry holds changes."""

TOOLS = ("h5py", "keras", "numpy", "onnx", "onnxruntime", "tensorflow", "tf2onnx")
"""Packages that a result may depend on."""

ABOUT_ALL_MODELS = frozenset({
    "document", "budgets", "inputs", "per_model_inputs", "per_model_ignores", "cache", "exclude", "force_exclude",
    "respect_gitignore", "jobs",
})  # fmt: skip
"""Settings of which a result depends on the part for its model at most."""

FileState = tuple[str, int, int, int]
"""Path, bytes, time of the last change in nanoseconds, and inode: what ruff, too, takes for a file's content."""


class CacheEntry(Struct, frozen=True):
    """What is kept of one model: its last result.

    Attributes:
        key: A digest of all that the result depends on but the files beside the model and the day.
        files: The external data, and the code that lines of the model were looked for in.
        here: The working directory that paths of code in the result start from; "" if there are none.
        day: When it was made, if an ignore may have run out since then; None if it holds on any day.
        report: The result.
        sighting: What it says of the baseline; None if there is none.
    """

    key: str
    files: tuple[FileState, ...]
    day: date | None
    report: ModelReport
    sighting: Sighting | None = None
    here: str = ""


class Slot:
    """The place of one model's result.

    Args:
        folder: Where results are kept.
        path: The model, as the user wrote it.
        settings: Of the run.
        known: All rules there are.
        near_misses: Whether reports hold why rules stayed silent.
        today: Decides which ignores have run out.
        baseline: What the model is held against.
    """

    def __init__(
        self,
        folder: Path,
        path: str,
        settings: Settings,
        known: RuleSet,
        *,
        near_misses: bool,
        today: date,
        baseline: Baseline | None = None,
    ) -> None:
        absolute = os.path.abspath(path)
        self.folder = folder
        self.file = self.folder / f"{_digest((absolute, path), 16)}.json"
        self._today = today
        self._model = state(absolute)
        self._has_dates = any(ignore.until is not None for ignore in settings.ignores_for(path))
        held = None if baseline is None else (state(str(baseline.path)), sorted(baseline.vanished))
        identity = (LAYOUT, __version__, path, self._model, near_misses, held, _meant(settings, path), _code(known))
        self._key = _digest(identity, 32)

    def read(self) -> CacheEntry | None:
        """Return what is kept of an earlier run if nothing has changed since; None if there is none."""
        try:
            entry = msgspec.json.decode(self.file.read_bytes(), type=CacheEntry)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None  # one that cannot be read is one that is not there
        if entry.key != self._key or entry.day not in {None, self._today}:
            return None
        if entry.here not in {"", os.getcwd()}:
            return None
        if any(state(path) != (path, *rest) for path, *rest in entry.files):
            return None
        return entry

    def write(
        self, report: ModelReport, graph: Graph, sighting: Sighting | None = None, code: Collection[str] = ()
    ) -> None:
        """Keep the result, in place of an earlier one, if all files that it depends on are known.

        Args:
            report: The result.
            graph: The model.
            sighting: What it says of the baseline.
            code: The files that lines of the model were looked for in.

        Raises:
            ConfigError: The folder cannot be written to.
        """
        files = {state(os.path.abspath(path)) for path in external_files(graph)} - {self._model}
        held = sum(found[1] for found in {*files, self._model} if found is not None)
        if self._model is None or None in files or held != graph.source.file_bytes:
            return
        has_dates = self._has_dates or any("until" in reason for _, reason in graph.ignores)
        files |= {state(path) for path in code}
        beside = tuple(sorted(found for found in files if found is not None))
        entry = CacheEntry(
            self._key, beside, self._today if has_dates else None, report, sighting, os.getcwd() if code else ""
        )
        try:
            self._prepare()
            # Readers of the same cache see the old entry or the new one, and never half of it.
            with tempfile.TemporaryDirectory(dir=self.folder, prefix="part-") as beginning:
                part = os.path.join(beginning, self.file.name)
                with open(part, "xb") as file:
                    file.write(msgspec.json.encode(entry))
                os.replace(part, self.file)
        except OSError as error:
            raise ConfigError(f"the cache {self.folder} cannot be written: {error.strerror}") from error

    def _prepare(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text("*\n")
            # https://bford.info/cachedir/: backups leave such folders out
            (self.folder / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")


def slot_of(
    path: str,
    settings: Settings,
    known: RuleSet,
    *,
    near_misses: bool = False,
    today: date,
    baseline: Baseline | None = None,
) -> Slot | None:
    """Return the place of a model's result; None without a cache, or if the model is no file on this machine."""
    if settings.cache is None or state(path) is None:
        return None
    return Slot(settings.cache, path, settings, known, near_misses=near_misses, today=today, baseline=baseline)


def state(path: str) -> FileState | None:
    """Return what tells whether the file at `path` has changed; None if it is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return path, status.st_size, status.st_mtime_ns, status.st_ino


def _digest(value: object, size: int) -> str:
    return blake2b(msgspec.json.encode(value, enc_hook=str), digest_size=size).hexdigest()


def _meant(settings: Settings, path: str) -> tuple[Any, ...]:
    """Return what of the settings is meant for the model at `path`."""
    shared = [(name, getattr(settings, name)) for name in settings.__struct_fields__ if name not in ABOUT_ALL_MODELS]
    return (*shared, settings.budgets_for(path), settings.inputs_for(path), settings.ignores_for(path))


def _code(known: RuleSet) -> list[object]:
    """Return what tells whether a rule, a limit, or a package that results depend on, has changed."""
    modules = {rule.__module__ for rule in known}
    files = {getattr(sys.modules.get(module), "__file__", None) for module in modules}
    specs = [find_spec(tool) for tool in TOOLS]
    files |= {spec.origin for spec in specs if spec is not None}
    bounds = [(name, value) for name, value in vars(limits).items() if name.isupper()]
    return [
        bounds,
        [_version(spec.origin) for spec in specs if spec is not None and spec.origin],
        sorted(known.origins.items()),
        sorted(filter(None, map(state, filter(None, files)))),
    ]


def _version(origin: str) -> str:
    """Return what the installed package, whose `__init__.py` is `origin`, is called with its version; "" if unknown."""
    package, beside = os.path.split(os.path.dirname(origin))[::-1]
    found = (entry for entry in os.listdir(beside) if entry.endswith(".dist-info"))
    return next((entry for entry in found if entry.partition("-")[0].lower() == package.lower()), "")


def external_files(graph: Graph) -> set[str]:
    """Return the files that weights lie in."""
    weights = (weight for layer in graph.layers for weight in layer.weights)
    return {path for weight in weights if (path := _path_of(weight.storage)) is not None}


def _path_of(storage: object) -> str | None:
    path = getattr(getattr(storage, "source", None), "path", None)
    return path if isinstance(path, str) else None

"""What the configuration file and the command line together come to, each value with its origin."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from cnnlint.definitions.target import Definition
from cnnlint.engine.budget import Budget
from cnnlint.engine.config.load import Document
from cnnlint.engine.config.schema import SETTINGS, BudgetTable, Configuration, Declaration, Flags
from cnnlint.engine.ignoring import Ignore, parse_reason
from cnnlint.engine.selection import Request
from cnnlint.errors import ConfigError
from cnnlint.frontends import is_address, place
from cnnlint.graph.quantity import parse_amount
from cnnlint.results import FailOn, MinSeverity, Severity
from cnnlint.worker.limits import RunLimits

Dims = tuple[int, ...]

CACHE = ".cnnlint_cache"
"""The folder that `cache = true` keeps results in, next to the configuration file."""

LEAST_MEMORY = 200_000_000
"""Bytes below which importing onnxruntime itself may fail."""


class Setting(Struct, frozen=True):
    """A value and where it comes from.

    Attributes:
        key: As the file spells it: "fail-on", "rules.FC001.min-share".
        value: Ready for JSON.
        origin: "cnnlint.toml:12", "--fail-on" or "default".
    """

    key: str
    value: object
    origin: str


class Settings(Struct, frozen=True, kw_only=True):
    """The settings for the models under one configuration file."""

    document: Document | None
    root: Path
    requests: tuple[Request, ...]
    severity: dict[str, Severity]
    fail_on: FailOn
    min_severity: MinSeverity
    pedantic: bool
    preview: bool
    static: bool | None
    exclude: tuple[tuple[Path, str], ...]
    force_exclude: bool
    respect_gitignore: bool
    limits: RunLimits
    jobs: int | None
    baseline: Path | None
    cache: Path | None
    model_ignores: bool
    inputs: dict[str, Dims]
    per_model_inputs: tuple[tuple[str, dict[str, Dims]], ...]
    per_model_ignores: tuple[tuple[str, Ignore], ...]
    targets: tuple[str, ...]
    budgets: tuple[BudgetTable, ...]
    rule_files: tuple[Path, ...]
    rules: dict[str, dict[str, Any]]

    def excludes(self, model: str) -> bool:
        """Return whether the model at the path `model`, or a folder that it lies in, is excluded."""
        return any(_covers(glob, model, root) for root, glob in self.exclude)

    def budgets_for(self, model: str) -> tuple[Budget, ...]:
        """Return the budgets that the model at the path `model` must keep."""
        return tuple(budget for budget in self.budgets if any(matches(glob, model, self.root) for glob in budget.globs))

    def inputs_for(self, model: str) -> dict[str, Dims]:
        """Return the shapes that the inputs of the model at the path `model` are to have; a later glob wins."""
        found = dict(self.inputs)
        for glob, inputs in self.per_model_inputs:
            if matches(glob, model, self.root):
                found.update(inputs)
        return found

    def ignores_for(self, model: str) -> tuple[Ignore, ...]:
        """Return the ignores that are meant for the model at the path `model`."""
        return tuple(ignore for glob, ignore in self.per_model_ignores if matches(glob, model, self.root))

    def for_run(self, run: frozenset[Path]) -> Settings:
        """Return the settings for a run over the models `run` (resolved paths).

        An ignore whose glob fits files that the run leaves out may be of use there, so it is not to be called unused.
        """
        settled = list[tuple[str, Ignore]]()
        for glob, ignore in self.per_model_ignores:
            left_out = (path for path in files(glob, self.root) if path.resolve() not in run)
            whole = is_plain(glob) or all(self.excludes(str(path)) for path in left_out)
            settled.append((glob, ignore if whole else msgspec.structs.replace(ignore, reportable=False)))
        return msgspec.structs.replace(self, per_model_ignores=tuple(settled))

    def check_globs(self, models: tuple[str, ...]) -> None:
        """Make sure that all that the file says of inputs and budgets is meant for a model of the run, or one left out.

        Raises:
            ConfigError: A glob matches no model and no file, so a budget limits nothing: it is mistyped, or the model
                has moved.
        """
        if self.document is None or not models:
            return
        file, remedy = self.document.configuration, "correct the glob, or delete it"
        for index, budget in enumerate(file.budgets):
            if not self._are_met(budget.globs, models):
                cause = f"the budget for {', '.join(budget.globs)} matches no model"
                raise self.document.error(cause, "budgets", index, remedy=remedy)
        for glob in file.per_model_inputs:
            if not self._are_met((glob,), models):
                raise self.document.error("the glob matches no model", "per-model-inputs", glob, remedy=remedy)

    def _are_met(self, globs: tuple[str, ...], models: tuple[str, ...]) -> bool:
        defined = () if self.document is None else self.document.configuration.definitions
        known = (*models, *(definition.name for definition in defined))
        met = any(matches(glob, model, self.root) for glob in globs for model in known)
        return met or any(files(glob, self.root, most=1) for glob in globs)


def resolve(document: Document | None, flags: Flags, *, folder: Path | None = None) -> Settings:
    """Return what `document` (or the defaults) and `flags` come to.

    Args:
        document: The configuration file; None if there is none.
        flags: What outweighs it.
        folder: What globs are relative to without a file; the working directory if None.

    Raises:
        ConfigError: A value of either cannot be read.
    """
    file = Configuration() if document is None else document.configuration
    root = (folder or Path.cwd()) if document is None else document.root
    requests = [
        Request(select=file.select, extend_select=file.extend_select, ignore=file.ignore, where=_where(document)),
        Request(select=flags.select, extend_select=flags.extend_select, ignore=flags.ignore, where=flags.said_in),
    ]
    given = _shapes(None, flags.inputs)
    rules = {name: {**file.rules.get(name, {}), **flags.rules.get(name, {})} for name in {**file.rules, **flags.rules}}
    return Settings(
        document=document,
        root=root,
        requests=tuple(requests),
        severity={**file.severity, **flags.severity},
        fail_on=_first("fail_on", flags, file),
        min_severity=_first("min_severity", flags, file),
        pedantic=_first("pedantic", flags, file),
        preview=_first("preview", flags, file),
        static=_first("static", flags, file),
        exclude=(*((root, glob) for glob in file.exclude), *((Path.cwd(), glob) for glob in flags.exclude)),
        force_exclude=_first("force_exclude", flags, file),
        respect_gitignore=_first("respect_gitignore", flags, file),
        limits=_limits(document, file, flags),
        jobs=_first("jobs", flags, file),
        baseline=_file("baseline", flags, file, root),
        cache=flags.cache_dir or (root / CACHE if _first("cache", flags, file) else None),
        model_ignores=_first("model_ignores", flags, file),
        inputs=_shapes(document, file.inputs, "inputs") | given,
        per_model_inputs=tuple(
            (glob, _shapes(document, inputs, "per-model-inputs", glob) | given)  # flags outweigh every glob
            for glob, inputs in file.per_model_inputs.items()
        ),
        per_model_ignores=tuple(_ignores(document)) if document is not None else (),
        targets=_targets(document, flags),
        budgets=(*file.budgets, *flags.budgets),
        rule_files=(*(root / name for name in file.rule_files), *map(Path, flags.rule_files)),
        rules=rules,
    )


def definitions_of(document: Document | None) -> tuple[Definition, ...]:
    """Return the networks that a configuration defines by code.

    Raises:
        ConfigError: The shape of an input is none.
    """
    tables = () if document is None else document.configuration.definitions
    return tuple(
        Definition(
            name=table.name,
            factory=table.factory,
            arguments=table.arguments,
            inputs=_shapes(document, table.input, "definitions", index, "input"),
            model=table.model,
            root=str(document.root),
        )
        for index, table in enumerate(tables)
        if document is not None
    )


def _first(name: str, *said: Configuration) -> Any:
    """Return the setting `name` as the first of `said` has it that says something; its default if none does."""
    values = (getattr(each, name) for each in said)
    return next((value for value in values if value is not None), SETTINGS[name].option.default)


def _file(name: str, flags: Flags, file: Configuration, root: Path) -> Path | None:
    said = getattr(flags, name)
    if said is not None:
        return Path(said) if said else None
    written = getattr(file, name)
    return root / written if written else None


def _limits(document: Document | None, file: Configuration, flags: Flags) -> RunLimits:
    timeout, written = _first("run_timeout", flags, file), _first("run_memory", flags, file)
    if written is None:
        return RunLimits(timeout=timeout)
    try:
        memory = int(parse_amount(written, "bytes"))
        if memory < LEAST_MEMORY:
            raise ConfigError(f"{written} is too little to start onnxruntime", remedy="write 500MB or more")
    except ConfigError as error:
        if flags.run_memory is None and document is not None:
            raise document.error(error.cause, "run-memory", remedy=error.remedy) from error
        raise ConfigError(f"--run-memory {written}: {error.cause}", remedy=error.remedy) from error
    return RunLimits(timeout=timeout, memory=memory)


def _targets(document: Document | None, flags: Flags) -> tuple[str, ...]:
    """Return the releases that models are meant for, those of the command line in place of the file's."""
    targets = flags.for_ or (() if document is None else document.configuration.for_)
    if targets:
        from cnnlint.frontends.onnx.targets import parse_target  # it reads tables that few runs need

        for target in targets:
            try:
                parse_target(target)
            except ConfigError as error:
                if flags.for_ or document is None:
                    raise ConfigError(f"--for: {error.cause}", remedy=error.remedy) from error
                raise document.error(error.cause, "for", remedy=error.remedy) from error
    return targets


def _where(document: Document | None) -> str | None:
    return None if document is None else str(document.path)


def _shapes(document: Document | None, written: dict[str, str], *where: str | int) -> dict[str, Dims]:
    """Return the shape of each input; `where` is the table of the file that they stand in."""
    return {name: _dims(name, dims, document, where) for name, dims in written.items()}


def _dims(name: str, written: str, document: Document | None, where: tuple[str | int, ...]) -> Dims:
    extents = written.lower().replace("×", "x").replace(",", "x").split("x")
    if all(extent.strip().isdecimal() and int(extent) > 0 for extent in extents):
        return tuple(int(extent) for extent in extents)
    cause, remedy = f"{written!r} is not a shape", "write every extent as a number: 1x3x224x224"
    if document is not None:
        raise document.error(cause, *where, name, remedy=remedy)
    raise ConfigError(f"the input {name}: {cause}", remedy=remedy)


def _ignores(document: Document) -> list[tuple[str, Ignore]]:
    found = list[tuple[str, Ignore]]()
    for key, entries in document.configuration.per_model_ignores.items():
        glob, _, layers = key.partition("#")
        for entry in entries:
            selector, _, rest = entry.partition(":")
            try:
                reason, until = parse_reason(rest)
            except ValueError as error:
                raise document.error(str(error), "per-model-ignores", key) from error
            ignore = Ignore(
                selector=selector.strip(),
                layers=(layers,) if layers else (),
                reason=reason,
                until=until,
                origin=document.place_from_here("per-model-ignores", key),
            )
            found.append((glob, ignore))
    return found


def listing(document: Document | None, flags: Flags) -> list[Setting]:
    """Return every setting of files, tables by their entries, with the flag, line or default that it comes from."""
    file = Configuration() if document is None else document.configuration
    found = list[Setting]()
    for name in Configuration.__struct_fields__:
        setting, said = SETTINGS[name], _plain(getattr(flags, name))
        plain, silent = _plain(getattr(file, name)), _plain(getattr(Configuration(), name))
        if isinstance(plain, dict):
            for path, entry in _leaves({**plain, **said}):
                origin = document.place(setting.key, *path) if document else "default"
                found.append(
                    Setting(".".join((setting.key, *path)), entry, _flag(setting) if path[0] in said else origin)
                )
        elif setting.option.flag and said not in (None, []):
            if setting.option.adds_up and plain != silent and document:
                found.append(Setting(setting.key, plain, document.place(setting.key)))
            found.append(Setting(setting.key, said, _flag(setting, said)))
        elif plain != silent and document:
            found.append(Setting(setting.key, plain, document.place(setting.key)))
        else:
            found.append(Setting(setting.key, setting.option.default if plain is None else plain, "default"))
    return found


def _flag(setting: Declaration, said: object = True) -> str:
    """Return the flag that says it, the second of two for what is switched off."""
    positive, _, negative = setting.option.flag.partition("/")
    return negative if said is False else positive


def _leaves(table: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the path and value of each entry of a table and of the tables in it."""
    for name, entry in table.items():
        if isinstance(entry, dict):
            for path, leaf in _leaves(cast("dict[str, Any]", entry)):
                yield (name, *path), leaf
        else:
            yield (name,), entry


def _plain(value: object) -> Any:
    """Return `value` as JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=str))


def matches(glob: str, model: str, root: Path) -> bool:
    """Return whether the path `model` fits `glob`, which is relative to `root`.

    `*` and `?` stop at a slash, `**` does not. A glob without a slash fits the file's name in any folder, and one that
    begins with "./" beside the configuration only. A path
    outside `root` can only be met by its name or by an absolute glob. Any other text ("<keras.Model cnn>", a
    URL) is met as it stands, and a model of a git revision by its path in the working tree.
    """
    model = place(model)
    if is_address(model):
        return model == glob or pattern(glob).fullmatch(model) is not None
    if "/" not in glob:
        return pattern(glob).fullmatch(os.path.basename(os.path.normpath(model))) is not None
    full = os.path.normpath(os.path.join(os.getcwd(), model)).replace(os.sep, "/")
    anchored = (
        glob
        if glob.startswith("/")
        else f"{str(root.absolute()).replace(os.sep, '/').rstrip('/')}/{glob.removeprefix('./')}"
    )
    literal, rest = _split(anchored)
    return full.startswith(literal) and pattern(rest).fullmatch(full[len(literal) :]) is not None


def _covers(glob: str, model: str, root: Path) -> bool:
    """Return whether `glob` fits the path `model`, or a folder between it and `root`."""
    glob, model = glob.rstrip("/"), place(model)
    if matches(glob, model, root):
        return True
    if is_address(model):
        return False
    folder, end = os.path.dirname(os.path.abspath(model)), str(root.absolute()).rstrip(os.sep) + os.sep
    while folder.startswith(end):
        if matches(glob, folder, root):
            return True
        folder = os.path.dirname(folder)
    return False


def files(glob: str, root: Path, *, most: int = 1000) -> list[Path]:
    """Return the files under `root` that `glob` fits, `most` of them at the most."""
    if glob.startswith("/"):
        return [Path(glob)] if os.path.isfile(glob) else []
    segments = (glob.removeprefix("./") if "/" in glob else f"**/{glob}").split("/")
    last = len(segments) - 1
    mixed = next(
        (at for at, segment in enumerate(segments) if "**" in segment and (segment != "**" or at == last)), None
    )
    if mixed is None:
        found = iter(root.glob("/".join(segments)))
    else:  # .gitignore takes it for a wildcard that crosses folders, pathlib for folders alone, or refuses it
        everything = root.glob("/".join([*segments[:mixed], "**", "*"]))
        found = (path for path in everything if matches(glob, str(path), root))
    try:
        return list(islice((path for path in found if path.is_file() or path.name == "saved_model.pb"), most))
    except OSError:  # a name that no file can have, since it is too long
        return []


def is_plain(glob: str) -> bool:
    """Return whether `glob` names a single path."""
    return re.search(r"[*?]", glob) is None


def _split(glob: str) -> tuple[str, str]:
    """Return the folder before the first wildcard, and the rest; brackets in folder names stay what they are."""
    wild = re.search(r"[*?]", glob)
    end = len(glob) if wild is None else glob.rfind("/", 0, wild.start()) + 1
    return glob[:end], glob[end:]


@cache
def pattern(glob: str) -> re.Pattern[str]:
    """Return `glob` as a regular expression."""
    translated = ""
    position = 0
    for found in re.finditer(r"\*\*/|\*\*|\*|\?", glob):
        translated += re.escape(glob[position : found.start()])
        translated += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}[found[0]]
        position = found.end()
    return re.compile(translated + re.escape(glob[position:]))

"""Finding rules: in installed packages by entry point, and in local files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.machinery import all_suffixes
from pathlib import Path
from types import ModuleType
from zlib import crc32

from msgspec import Struct

from cnnlint.engine import housekeeping
from cnnlint.engine.rule import Rule
from cnnlint.errors import FAULTS, ConfigError, RuleError, did_you_mean, worded

GROUP = "cnnlint.rules"
"""The entry-point group: its values name modules or packages that hold rules."""

ALL = "ALL"
"""The selector that every rule answers to."""

LOCAL = "cnnlint_local_"
"""What the names of modules begin with that local files of rules become."""


class RuleSet(Struct, frozen=True, dict=True):
    """The rules of a run.

    Attributes:
        rules: Sorted by code.
        origins: Where each comes from, by code: "cnnlint 0.1.0", or the path of a local file.
    """

    rules: tuple[type[Rule], ...]
    origins: Mapping[str, str]

    def __iter__(self) -> Iterator[type[Rule]]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @cached_property
    def by_code(self) -> Mapping[str, type[Rule]]:
        """The rules by code."""
        return {rule.code: rule for rule in self.rules}

    @cached_property
    def by_name(self) -> Mapping[str, type[Rule]]:
        """The rules by name."""
        return {rule.name: rule for rule in self.rules}

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The letters that codes begin with."""
        return tuple(sorted({rule.code[:-3] for rule in self.rules}))

    def get(self, selector: str) -> type[Rule] | None:
        """Return the rule of the code or name `selector`; None if there is none."""
        return self.by_code.get(selector.upper()) or self.by_name.get(selector.lower())

    def matching(self, selector: str) -> tuple[type[Rule], ...]:
        """Return the rules that a code, a name, the beginning of a code or "ALL" stands for; () if none."""
        if selector.upper() == ALL:
            return self.rules
        if (rule := self.get(selector)) is not None:
            return (rule,)
        return tuple(rule for rule in self.rules if selector and rule.code.startswith(selector.upper()))

    @cached_property
    def successors(self) -> Mapping[str, tuple[type[Rule], ...]]:
        """The rules that took the place of each code and each name that is no longer used."""
        found = dict[str, tuple[type[Rule], ...]]()
        for rule in self.rules:
            for former in rule.replaces:
                found[former] = (*found.get(former, ()), rule)
        return found

    def retired(self, selector: str) -> str:
        """Return what became of a code or name that is no longer used, as a clause; "" if `selector` is none."""
        rules = self.successors.get(selector.upper()) or self.successors.get(selector.lower(), ())
        if len(rules) > 1:
            *others, last = (f"{rule.code} {rule.name}" for rule in rules)
            return f"{selector} was split into {', '.join(others)} and {last}"
        return "".join(f"{selector} is now called {rule.name} ({rule.code})" for rule in rules)

    def chosen(self, selectors: Sequence[str]) -> tuple[type[Rule], ...]:
        """Return the rules that any of `selectors` stands for, by code.

        Raises:
            ConfigError: A selector stands for none.
        """
        found = set[type[Rule]]()
        for selector in selectors:
            if not (matched := self.matching(selector)):
                raise self.unknown(selector)
            found.update(matched)
        return tuple(rule for rule in self.rules if rule in found)

    def require(self, selector: str) -> type[Rule]:
        """Return the rule of the code or name `selector`.

        Raises:
            ConfigError: There is none; the remedy names the closest.
        """
        if (rule := self.get(selector)) is None:
            raise self.unknown(selector)
        return rule

    def unknown(self, selector: str, *, where: str | None = None) -> ConfigError:
        """Return the error for a selector that no rule answers to; `where` says who asked for it."""
        if cause := self.retired(selector):
            return ConfigError(cause, path=where)
        known = (*self.by_code, *self.by_name, *self.families)
        remedy = did_you_mean(selector, known) or "`cnnlint rules` lists them"
        return ConfigError(f"there is no rule {selector}", path=where, remedy=remedy)


def load_rules(files: Iterable[Path] = (), *, path: Sequence[str] | None = None) -> RuleSet:
    """Return the rules of every installed package and of the local `files`.

    Args:
        files: Python files with rules; their code is run.
        path: Where to look for packages; `sys.path` if None.

    Raises:
        RuleError: A plugin cannot be imported, a rule is malformed, two rules claim one code or name, one claims a
            code or name that is no longer used, or no installed package offers any rule.
    """
    rules = dict[str, type[Rule]]()
    origins = dict[str, str]()
    points = entry_points(GROUP, sys.path if path is None else path)
    for point in points:
        _collect(_plugin_rules(point.value, point.distribution), point.distribution, rules, origins)
    if not rules:
        raise RuleError("no rules found", remedy="reinstall cnnlint")
    for file in files:
        local = list(_rules_of([run_file(file)], str(file)))
        if not local:
            raise RuleError(f"{file}: there is no rule in this file", remedy="a rule is a class with a code")
        _collect(local, str(file), rules, origins)
    _collect(_rules_of([housekeeping], "cnnlint"), "cnnlint", rules, origins)
    known = RuleSet(tuple(rules[code] for code in sorted(rules)), origins)
    _check_retired(known)
    return known


def _collect(found: Iterable[type[Rule]], origin: str, rules: dict[str, type[Rule]], origins: dict[str, str]) -> None:
    names = {rule.name: rule for rule in rules.values()}
    for rule in found:
        for claim, other in ((rule.code, rules.get(rule.code)), (rule.name, names.get(rule.name))):
            if other is not None and other is not rule:
                raise RuleError(
                    f"two rules claim {claim}: {_place(other)} of {origins[other.code]} and {_place(rule)} of {origin}",
                    remedy="give one of them another code and name, or uninstall its package",
                )
        rules[rule.code] = names[rule.name] = rule
        origins.setdefault(rule.code, origin)


def _check_retired(known: RuleSet) -> None:
    """Make sure that what a code or a name once meant is all that it ever means."""
    for former in known.successors:
        if (rule := known.get(former)) is not None:
            raise RuleError(
                f"{_place(rule)} of {known.origins[rule.code]} claims {former}, but {known.retired(former)}",
                remedy="a code or name that was in use is not given to another rule",
            )


def _plugin_rules(name: str, origin: str) -> Iterator[type[Rule]]:
    if ":" in name:
        raise RuleError(f"plugin {origin}: the entry point {name} names an object, not a module or package")
    package = _import(name, origin)
    modules = [package]
    if hasattr(package, "__path__"):
        modules += [_import(inner, origin) for inner in _inside(package)]
    yield from _rules_of(modules, f"plugin {origin}")


def _inside(package: ModuleType) -> Iterator[str]:
    """Yield the names of all modules and packages in `package`.

    To list folders is a third of what `pkgutil` takes, which is asked about packages that are not in folders.
    """
    for folder in package.__path__:
        if os.path.isdir(folder):
            yield from _listed(folder, f"{package.__name__}.")
        else:
            from pkgutil import walk_packages

            yield from (found.name for found in walk_packages([folder], f"{package.__name__}."))


def _listed(folder: str, prefix: str) -> Iterator[str]:
    modules = set[str]()
    for entry in sorted(os.listdir(folder)):
        stem, dot, _ = entry.partition(".")
        inner = os.path.join(folder, entry)
        if not dot:
            if os.path.isfile(os.path.join(inner, "__init__.py")):
                yield prefix + entry
                yield from _listed(inner, f"{prefix}{entry}.")
        elif stem.isidentifier() and stem != "__init__" and stem not in modules and entry.endswith(_SUFFIXES):
            modules.add(stem)
            yield prefix + stem


_SUFFIXES = tuple(all_suffixes())
"""What the files of modules end in."""


def _import(name: str, origin: str) -> ModuleType:
    try:
        return import_module(name)
    except FAULTS as error:
        raise RuleError(f"plugin {origin}: {name} cannot be imported: {worded(error)}") from error


def run_file(file: Path) -> ModuleType:
    """Return the module that a local file of rules becomes; its code is run.

    Raises:
        RuleError: There is no such file, or its code fails.
    """
    from importlib.util import module_from_spec, spec_from_file_location

    where = str(file)
    if not os.path.isfile(file):  # pathlib raises for a name that is too long
        raise RuleError("there is no such rule file", path=where)
    # The name is one of its own, so that a file called numpy.py does not stand in for numpy.
    name = f"{LOCAL}{file.stem}_{crc32(str(file.resolve()).encode()):08x}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise RuleError("a rule file ends in .py", path=where)
    module = module_from_spec(spec)
    sys.modules[name] = module  # annotations of the rules' options are looked up here
    try:
        spec.loader.exec_module(module)
    except FAULTS as error:
        del sys.modules[name]
        raise RuleError(f"cannot be run: {worded(error)}", path=where) from error
    return module


def _rules_of(modules: Sequence[ModuleType], origin: str) -> Iterator[type[Rule]]:
    """Yield the rules that `modules` define; one that they import from elsewhere is not theirs to offer."""
    for module in modules:
        for value in tuple(vars(module).values()):
            if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__:
                if not vars(value).get("code"):
                    continue
                if flaw := _flaw(value):
                    raise RuleError(f"{origin}: rule {_place(value)} {flaw}")
                yield value


def _flaw(rule: type[Rule]) -> str:
    """Return what is wrong with `rule` as a clause; "" if it is well formed."""
    if not (rule.__doc__ or "").strip():
        return "has no docstring, which is its page"
    return rule.flaw()


def _place(rule: type[Rule]) -> str:
    return f"{rule.__module__}.{rule.__qualname__}"


SUFFIXES = (".dist-info", ".egg-info")


class EntryPoint(Struct, frozen=True):
    """A module that an installed package offers.

    Attributes:
        distribution: The package and its version: "cnnlint 0.1.0".
        name: What the package calls the entry point.
        value: The dotted module, as the package wrote it.
    """

    distribution: str
    name: str
    value: str


def entry_points(group: str, path: Sequence[str]) -> tuple[EntryPoint, ...]:
    """Return the entry points of `group` of the packages on `path` (such as `sys.path`), sorted.

    As in an import, a package that is found twice counts where it is found first.
    """
    first = dict[str, tuple[str, str]]()
    zipped = False
    for folder in path:
        try:
            with os.scandir(folder or ".") as entries:
                named = sorted(entry.name for entry in entries if entry.name.endswith(SUFFIXES))
        except OSError:
            zipped = zipped or os.path.isfile(folder)
            continue
        for name in named:
            stem = name.rpartition(".")[0]
            project = re.sub(r"[-_.]+", "-", stem.split("-")[0]).lower()
            first.setdefault(project, (os.path.join(folder or ".", name), stem))
    found = {
        EntryPoint(" ".join(stem.split("-")[:2]), name, value)
        for metadata, stem in first.values()
        for name, value in _section(_read(os.path.join(metadata, "entry_points.txt")), group)
    }
    if zipped:
        found.update(_ask_importlib(group, path))
    return tuple(sorted(found, key=lambda point: (point.distribution, point.name)))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _section(text: str, group: str) -> Iterator[tuple[str, str]]:
    inside = False
    for raw in text.splitlines() if f"[{group}]" in text else ():
        line = raw.strip()
        if line.startswith("["):
            inside = line == f"[{group}]"
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].strip()


def _ask_importlib(group: str, path: Sequence[str]) -> Iterator[EntryPoint]:
    from importlib.metadata import distributions

    for distribution in distributions(path=[folder for folder in path if os.path.isfile(folder)]):
        for point in distribution.entry_points:
            if point.group == group:
                yield EntryPoint(f"{distribution.name} {distribution.version}", point.name, point.value)

"""Finding a configuration file and reading it: every mistake in it is named with its place.

The nearest file counts: the first folder from the model's own upward that holds a cnnlint.toml, or a
pyproject.toml with a `[tool.cnnlint]` table. A model outside every such folder takes the one found from the
working directory, as with ruff.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
from msgspec import Struct

from cnnlint.definitions.target import is_factory
from cnnlint.engine.config.schema import BudgetTable, Configuration, DefinitionTable
from cnnlint.errors import ConfigError, __version__, did_you_mean, installing, meant_path
from cnnlint.limits import MAX_KEY_PARTS
from cnnlint.results import FailOn, Severity

NAMES = ("cnnlint.toml", "pyproject.toml")
"""Names of configuration files, the one that outweighs the other first."""

TABLE = ("tool", "cnnlint")

_LONG_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MAX_KEY_PARTS}}}""")
"""Python's TOML reader takes time quadratic in the parts of a dotted key."""

CLAUSE = r"\s*(~=|==|!=|<=|>=|<|>)\s*([0-9]{1,9}(?:\.[0-9]{1,9}){0,9})(\.\*)?\s*"
"""One clause of a version specifier: operator, release, and whether all that begin like it are meant."""

CHOICES: dict[KeyPath, tuple[str, ...]] = {("fail-on",): get_args(FailOn), ("severity",): tuple(Severity)}
"""Keys whose value is one of a few words."""

TYPES = {
    "array": "a list", "bool": "true or false", "float": "a number", "int": "a whole number", "object": "a table",
    "str": "a string",
}  # fmt: skip
"""msgspec's words for the types of TOML, and those of its users."""


class Document(Struct, frozen=True):
    """A configuration file that has been read.

    Attributes:
        path: Of the file.
        configuration: What stands in it.
        prefix: The table that it stands in: ("tool", "cnnlint"), or () in cnnlint.toml.
        lines: Where its keys stand.
    """

    path: Path
    configuration: Configuration
    prefix: tuple[str, ...]
    lines: dict[KeyPath, int]

    @property
    def root(self) -> Path:
        """The folder that its globs and files are relative to."""
        return self.path.parent

    def place(self, *key: str | int) -> str:
        """Return the file and line of a key: "cnnlint.toml:12"."""
        line = line_of((*self.prefix, *key), self.lines)
        return str(self.path) if line is None else f"{self.path}:{line}"

    def place_from_here(self, *key: str | int) -> str:
        """Return the same from the working directory, if the file lies below it, for reports that leave the machine."""
        place, here = Path(self.place(*key)), Path.cwd()
        return (place.relative_to(here) if place.is_relative_to(here) else place).as_posix()

    def error(self, cause: str, *key: str | int, remedy: str | None = None) -> ConfigError:
        """Return the error that `cause` is wrong at `key`."""
        return ConfigError(f"{_dotted(key)}: {cause}", path=self.place(*key), remedy=remedy)


def find_document(folder: Path) -> Document | None:
    """Return the configuration nearest to `folder`, itself included; None if there is none.

    Raises:
        ConfigError: The nearest file is wrong.
    """
    for candidate in (folder, *folder.parents):
        if (document := _document_in(candidate)) is not None:
            return document
    return None


def _document_in(folder: Path) -> Document | None:
    for name in NAMES:
        path = folder / name
        if os.path.isfile(path) and (document := read_document(path, required=name == "cnnlint.toml")) is not None:
            return document
    return None


def read_document(path: Path, *, required: bool = True) -> Document | None:
    """Read a configuration file: pyproject.toml by its `[tool.cnnlint]`, any other as a whole.

    Returns:
        None for a pyproject.toml without that table, if it is not `required`.

    Raises:
        ConfigError: The file is missing, is no TOML, or holds what cnnlint does not know.
    """
    text = _read(path)
    prefix = TABLE if path.name == "pyproject.toml" else ()
    if prefix and not required and "cnnlint" not in text:
        return None
    table: object = _parse(text, path)
    for name in prefix:
        table = cast("dict[str, object]", table).get(name) if isinstance(table, dict) else None
    if table is None:
        if required:
            raise ConfigError("has no [tool.cnnlint] table", path=str(path))
        return None
    lines = key_lines(text)
    document = Document(path, Configuration(), prefix, lines)
    if not isinstance(table, dict):
        raise ConfigError("tool.cnnlint is not a table", path=document.place())
    _check_version(cast("dict[str, Any]", table), document)
    return Document(path, _convert(cast("dict[str, Any]", table), document), prefix, lines)


def _check_version(table: dict[str, Any], document: Document) -> None:
    """Make sure that the file is for this version, before keys that only another version knows are called unknown."""
    wanted = table.get("required-version")
    if not isinstance(wanted, str):
        return  # there is none, or its type is found to be wrong with those of the other keys
    fits = meets(__version__, wanted)
    if fits is None:
        remedy = 'write it like ">=0.2" or ">=0.2,<1"'
        raise document.error(f"{wanted!r} is no version specifier", "required-version", remedy=remedy)
    if not fits:
        remedy = installing(f"cnnlint{wanted.replace(' ', '')}")
        cause = f"this is cnnlint {__version__}, and the configuration is for {wanted}"
        raise document.error(cause, "required-version", remedy=remedy)


def meets(version: str, wanted: str) -> bool | None:
    """Return whether `version` meets the specifier `wanted`: clauses such as ">=0.2" with commas between.

    The operators mean what PEP 440 says they do; the versions that they are about are releases, without suffixes.

    Returns:
        None where `wanted` is no such specifier.
    """
    clauses = [re.fullmatch(CLAUSE, clause) for clause in wanted.split(",")]
    found = [_meets(version, clause[1], clause[2], every=bool(clause[3])) for clause in clauses if clause is not None]
    return None if len(found) < len(clauses) or None in found else all(found)


def _meets(version: str, operator: str, said: str, *, every: bool) -> bool | None:
    numbers, final = _release(version)
    asked, precision = _release(said)[0], said.count(".") + 1
    if operator in ("==", "!="):
        same = _begin_alike(numbers, asked, precision) if every else numbers == asked and final
        return same == (operator == "==")
    if every or (operator == "~=" and precision == 1):
        return None
    match operator:
        case "<":
            return numbers < asked  # a release candidate of `asked` comes before it, and is not meant
        case "<=":
            return numbers <= asked
        case ">":
            return numbers > asked
        case _:
            in_series = operator == ">=" or _begin_alike(numbers, asked, precision - 1)
            return in_series and (numbers, final) >= (asked, True)


def _begin_alike(numbers: tuple[int, ...], others: tuple[int, ...], count: int) -> bool:
    return all(one == other for one, other in zip_longest(numbers[:count], others[:count], fillvalue=0))


def _release(version: str) -> tuple[tuple[int, ...], bool]:
    """Return the numbers of a version, zeros at the end left out, and whether it is no preliminary one."""
    found = re.match(r"[\d.]*\d", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), found is not None and found[0] == version


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no such configuration file", path=str(path), remedy=meant_path(str(path))
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", path=str(path)) from error


def _parse(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    if _LONG_KEY.search(text):
        raise ConfigError(f"has a key of more than {MAX_KEY_PARTS} parts", path=str(path))
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one; so is a number of more digits than Python reads
        raise ConfigError(f"is not valid TOML: {error}", path=str(path)) from error
    except RecursionError as error:
        raise ConfigError("is not valid TOML: values are nested too deeply", path=str(path)) from error


def _convert(table: dict[str, Any], document: Document) -> Configuration:
    _check_keys(table, Configuration, (), document)
    for name, kind in (("budgets", BudgetTable), ("definitions", DefinitionTable)):
        entries = table.get(name)
        for index, entry in enumerate(cast("list[object]", entries) if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                _check_keys(cast("dict[str, Any]", entry), kind, (name, index), document)
    try:
        configuration = msgspec.convert(table, Configuration)
    except msgspec.ValidationError as error:
        cause, key = parse_validation_error(error)
        key, remedy = _choice(table, key)
        raise document.error(cause, *key, remedy=remedy) from error
    for index, budget in enumerate(configuration.budgets):
        try:
            limits = budget.limits()
        except ConfigError as error:
            raise document.error(error.cause, "budgets", index, remedy=error.remedy) from error
        if not limits:
            raise document.error("a budget limits nothing", "budgets", index, remedy='add one such as params = "5 M"')
    _check_definitions(configuration.definitions, document)
    return configuration


def _check_definitions(definitions: tuple[DefinitionTable, ...], document: Document) -> None:
    names = [definition.name for definition in definitions]
    for index, definition in enumerate(definitions):
        if not is_factory(definition.factory):
            cause, remedy = f"{definition.factory!r} names no code", "write FILE.py:NAME or dotted.name:NAME"
            raise document.error(cause, "definitions", index, "factory", remedy=remedy)
        if definition.name in names[:index]:
            raise document.error("another definition has this name", "definitions", index, "name")


def _check_keys(table: Mapping[str, Any], kind: type[Struct], where: KeyPath, document: Document) -> None:
    known = [found.encode_name for found in msgspec.structs.fields(kind)]
    for key in table:
        if key not in known:
            remedy = did_you_mean(key, known) or f"known are {', '.join(known)}"
            raise document.error("unknown key", *where, key, remedy=remedy)


def _choice(table: Mapping[str, Any], key: KeyPath) -> tuple[KeyPath, str | None]:
    """Return the place of a word that is none of a few, to the entry of its table, and the words to choose from."""
    if key not in CHOICES:
        return key, None
    value, words = table.get(str(key[0])), CHOICES[key]
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        wrong = next((name for name, entry in entries.items() if entry not in words), None)
        key, value = (key, None) if wrong is None else ((*key, wrong), entries[wrong])
    near = did_you_mean(value, words) if isinstance(value, str) else None
    return key, near or f"one of {', '.join(words)}"


def parse_validation_error(error: msgspec.ValidationError) -> tuple[str, KeyPath]:
    """Return what is wrong as a clause, and the path of the key that it is about."""
    cause, _, place = str(error).partition(" - at `")
    steps = re.findall(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]", place)
    key: KeyPath = tuple(int(index) if index else name for name, index in steps)
    # An entry of a table is shown by msgspec as [...], whichever it is: the message keeps the table's own name.
    cause = f"{cause[0].lower()}{cause[1:]}".replace("`", "").replace(" | null", "")
    mistaken = re.fullmatch(r"expected ([\w |]+), got (\w+)", cause)
    if mistaken is not None:
        wanted = " or ".join(TYPES.get(kind, kind) for kind in mistaken[1].split(" | "))
        cause = f"expected {wanted}, got {TYPES.get(mistaken[2], mistaken[2])}"
    return cause.replace("invalid enum value", "there is no"), key


def _dotted(key: KeyPath) -> str:
    text = ""
    for step in key:
        quoted = step if isinstance(step, int) or re.fullmatch(r"[\w-]+", step) else f'"{step}"'
        text += f"[{step + 1}]" if isinstance(step, int) else f".{quoted}" if text else f"{quoted}"
    return text or "the table"


# Nothing that was matched is ever tried again in a shorter form (`++`): lines may be as long as their writers please.
PART = r"""[A-Za-z0-9_-]++|"[^"]*+"|'[^']*+'"""
KEYS = rf"(?:{PART})(?:\s*+\.\s*+(?:{PART}))*+"
KEY = rf"\s*+({KEYS})\s*+="
HEADER = rf"\s*+(\[\[?)\s*+({KEYS})\s*+\]\]?\s*+(?:#.*)?"

KeyPath = tuple[str | int, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, of every table and key in `text`; keys inside inline tables have none.

    A key's path holds the table's names, and the index where it is a table of an array.
    """
    lines = dict[KeyPath, int]()
    arrays = dict[KeyPath, int]()
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.fullmatch(HEADER, line):
            table = _indexed(_parts(header[2]), arrays, opens_item=header[1] == "[[")
            lines.setdefault(table, number)
        elif found := re.match(KEY, line):
            path = (*table, *_parts(found[1]))
            for length in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """Return the line of `path`, or of the nearest key around it."""
    for length in range(len(path), 0, -1):
        if (number := lines.get(path[:length])) is not None:
            return number
    return None


def _parts(written: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(PART, written))


def _indexed(names: KeyPath, arrays: dict[KeyPath, int], *, opens_item: bool) -> KeyPath:
    path: KeyPath = ()
    for position, name in enumerate(names):
        path = (*path, name)
        if opens_item and position == len(names) - 1:
            arrays[path] = arrays.get(path, -1) + 1
        if path in arrays:
            path = (*path, arrays[path])
    return path

"""What the code of a definition imports, read from its text: which files of the working tree, and which packages.

Nothing is run. From the file of the factory on, imports are followed wherever they stand, also inside functions, below
the folders that Python may look in. More is followed than a run may import, and less only where a name is made while
the code runs, or a file cannot be parsed: that is told.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.definitions.recording import INSTALLED
from cnnlint.definitions.run import tree_of

if TYPE_CHECKING:
    from cnnlint.definitions.target import Definition

IMPORTERS = frozenset({"import_module", "__import__", "run_path", "run_module", "spec_from_file_location"})
"""Functions that import what they are given."""

CALLED = tuple(name.encode() for name in IMPORTERS)


class Reach(Struct, frozen=True):
    """What a definition imports.

    Attributes:
        files: The Python files of the user's, that of the definition included, as resolved paths.
        packages: Names of other packages, the first part of each.
        is_whole: Whether that is all; False where the code imports by a name that it makes, or cannot be parsed.
    """

    files: frozenset[str]
    packages: frozenset[str]
    is_whole: bool

    def holds_any(self, files: Iterable[str], definition: Definition) -> bool:
        """Return whether a change of one of several Python files, resolved paths, may change the network."""
        below = os.path.join(tree_of(definition), "")
        return any(file in self.files or (not self.is_whole and file.startswith(below)) for file in files)


class Imports:
    """Follows imports; each file is read once."""

    def __init__(self) -> None:
        self._read = dict[str, tuple[list[tuple[int, str]], bool]]()
        self._files = _Files()

    def reach(self, definition: Definition) -> Reach:
        """Return what the code of a definition imports."""
        here = os.path.realpath(definition.root or os.getcwd())
        if definition.file is not None:
            start = [os.path.realpath(definition.file)]
            first = os.path.dirname(start[0])
        else:
            first, start = here, self._files.named(definition.place, [here])
        tree = tree_of(definition)
        roots = list(dict.fromkeys((first, here, tree, *_folders(tree))))
        files, packages, is_whole = dict.fromkeys(start), set[str](), bool(start)
        todo = [*start]
        while todo:
            file = todo.pop()
            names, is_known = self._imports(file)
            is_whole &= is_known
            for level, name in names:
                found = self._files.imported(file, level, name, roots)
                if not found and not level:
                    packages.add(name.partition(".")[0])
                new = [each for each in found if each not in files]
                files |= dict.fromkeys(new)
                todo += new
        return Reach(frozenset(files), frozenset(packages), is_whole)

    def _imports(self, file: str) -> tuple[list[tuple[int, str]], bool]:
        """Return what a file imports, with the dots before each name, and whether that is all."""
        if file not in self._read:
            try:
                with open(file, "rb") as stream, warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of the user's code
                    text = stream.read()
                    tree = ast.parse(text)
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                self._read[file] = [], False
            else:
                names = [name for statement in _statements(tree) for name in _named(statement)]
                called = list(_called(tree)) if any(name in text for name in CALLED) else []
                names += [(0, name) for name in called if name is not None]
                self._read[file] = names, None not in called
        return self._read[file]


def _folders(tree: str) -> Iterator[str]:
    """Yield the folders of a working tree that packages may lie in: `src`, or any other that is installed in place."""
    for entry in sorted(os.scandir(tree), key=lambda entry: entry.name):
        is_code = not entry.name.startswith(".") and entry.name not in INSTALLED and entry.is_dir()
        if is_code and not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
            yield entry.path


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a module that import, or hold what may."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        else:
            todo += [each for each in ast.iter_child_nodes(node) if isinstance(each, BLOCKS)]


BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)


def _named(statement: ast.stmt) -> Iterator[tuple[int, str]]:
    """Yield what an import statement names, each with the dots before it."""
    if isinstance(statement, ast.Import):
        yield from ((0, each.name) for each in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        base = f"{statement.module}." if statement.module else ""
        yield from ((statement.level, f"{base}{each.name}".rstrip("*").rstrip(".")) for each in statement.names)


def _called(tree: ast.Module) -> Iterator[str | None]:
    """Yield what functions import; None where the name is made while the code runs."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if called in IMPORTERS:
            given = node.args[0] if node.args else None
            name = given.value if isinstance(given, ast.Constant) else None
            is_plain = isinstance(name, str) and name[:1] not in ("", ".") and called in ("import_module", "__import__")
            yield name if isinstance(name, str) and is_plain else None


class _Files:
    """The modules below folders, each of which is listed once."""

    def __init__(self) -> None:
        self._names = dict[str, frozenset[str]]()

    def imported(self, file: str, level: int, name: str, roots: Iterable[str]) -> list[str]:
        """Return the files that an import in `file` reads; none if it is of a package that is installed.

        Args:
            file: The path.
            level: The dots before the name.
            name: What is imported: a package, a module, or a name in one.
            roots: The folders to look in.
        """
        folder = os.path.dirname(file)
        if not level:
            return self.named(name, (*roots, folder))  # scripts put their own folder on the path
        for _ in range(level - 1):
            folder = os.path.dirname(folder)
        return self.named(name, (folder,)) or self._modules(folder, "__init__")

    def named(self, name: str, roots: Iterable[str]) -> list[str]:
        """Return the files that importing `a.b.c` reads, whose last part may be a name in a module."""
        parts = name.split(".")
        for root in roots:
            folder, files = root, list[str]()
            for part in parts:
                files += self._modules(folder, part)
                if part not in self._listed(folder):
                    break
                folder = os.path.join(folder, part)
                files += self._modules(folder, "__init__")
            if files:
                return files
        return []

    def _modules(self, folder: str, name: str) -> list[str]:
        file = f"{name}.py"
        return [os.path.realpath(os.path.join(folder, file))] if file in self._listed(folder) else []

    def _listed(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

"""The house, as CONTRIBUTING draws it: what stands at its root, names that mean one thing, no circles of imports."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "analyzer" / "cnnlint", ROOT / "analyzer" / "cnnlint_pytest", ROOT / "rules" / "cnnlint_rules")
MODULES = {path: ast.parse(path.read_text()) for package in PACKAGES for path in sorted(package.rglob("*.py"))}


def name(path: Path) -> str:
    """Return the name that a module is imported by."""
    package = next(package for package in PACKAGES if package in path.parents)
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.Module, known: set[str]) -> set[str]:
    """Return the modules of ours that one imports, in functions and for types too."""
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            # a name is a module of a package, or something in one
            found |= {full if (full := f"{node.module}.{alias.name}") in known else node.module for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


def test_the_root_has_only_what_one_looks_for_first() -> None:
    assert len(list((ROOT / "analyzer" / "cnnlint").glob("*.py"))) <= 9


def test_no_two_classes_have_one_name() -> None:
    homes = defaultdict[str, list[str]](list)
    for path, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(name(path))
    assert {title: places for title, places in homes.items() if len(places) > 1} == {}


def test_no_modules_import_one_another_in_a_circle() -> None:
    known = {name(path) for path in MODULES}
    # the face of the package names where each public name lives
    arrows = {
        name(path): imported(tree, known) - {"cnnlint", name(path)}
        for path, tree in MODULES.items()
        if name(path) != "cnnlint"
    }
    circle = list[str]()
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == []

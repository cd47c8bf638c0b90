"""Which files a definition imports, told from their text; held to what Python imports when it runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.editing import project
from cnnlint.definitions.reach import Imports, Reach
from cnnlint.definitions.target import Definition

TREE = {
    "app/train.py": """
        import os.path
        import beside, deep.inner.leaf as leaf
        from package import part, VALUE
        from in_place import sizes

        def make():
            from late import something
            return something
    """,
    "app/beside.py": "from package.sub.up import *\n",
    "app/late.py": "import importlib\nsomething = importlib.import_module('by_name')\n",
    "app/by_name.py": "",
    "app/deep/inner/leaf.py": "from . import twin\n",
    "app/deep/inner/twin.py": "",
    "app/package/__init__.py": "from .values import VALUE\n",
    "app/package/values.py": "VALUE = 1\n",
    "app/package/part.py": "try:\n    import package.optional\nexcept ImportError:\n    pass\n",
    "app/package/optional.py": "",
    "app/package/sub/__init__.py": "",
    "app/package/sub/up.py": "from ..values import VALUE\n",
    "app/package/unused.py": "",
    "app/unused.py": "",
    "source/in_place/__init__.py": "",
    "source/in_place/sizes.py": "",
}
"""Every way to import a file; nothing imports those that are called unused."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return project.write(tmp_path / "tree", TREE).resolve()


def reach(tree: Path, factory: str = "app/train.py:make") -> Reach:
    return Imports().reach(Definition(name="net", factory=factory, root=str(tree)))


def below(tree: Path, files: frozenset[str]) -> set[str]:
    return {str(Path(file).relative_to(tree)) for file in files}


def test_all_files_that_python_imports_are_told_and_no_others(tree):
    found = reach(tree)
    code = f"""
import json, sys
sys.path[:0] = [{str(tree / "app")!r}, {str(tree / "source")!r}]
import train
train.make()
print(json.dumps([m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = frozenset(file for file in json.loads(ran.stdout) if file.startswith(str(tree)))
    assert below(tree, found.files) == below(tree, imported)
    assert not any("unused" in file for file in found.files)
    assert found.is_whole
    assert {"os", "importlib"} <= found.packages
    assert not {"beside", "package", "in_place"} & found.packages


def test_a_module_is_found_below_the_folder_of_the_configuration(tree):
    found = reach(tree / "app", "package.sub.up:VALUE")
    assert below(tree / "app", found.files) == {
        "package/__init__.py",
        "package/values.py",
        "package/sub/__init__.py",
        "package/sub/up.py",
    }


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module(chosen())\n",
        "__import__('net_' + str(1))\n",
        "from runpy import run_path\nrun_path('x.py')\n",
        "def broken(:\n",
    ],
)
def test_any_change_of_the_tree_concerns_code_whose_imports_cannot_be_told(tree, text):
    (tree / "app" / "late.py").write_text(text, encoding="utf-8")
    found, definition = reach(tree), Definition(name="net", factory="app/train.py:make", root=str(tree))
    assert not found.is_whole
    assert found.holds_any([str(tree / "app" / "unused.py")], definition)
    assert not found.holds_any([str(tree.parent / "elsewhere.py")], definition)


def test_imports_in_a_circle_end(tree):
    (tree / "app" / "by_name.py").write_text("import train\n", encoding="utf-8")
    assert below(tree, reach(tree).files) >= {"app/by_name.py", "app/train.py"}

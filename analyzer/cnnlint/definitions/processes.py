"""The processes in which definitions are run one after the other: one for each framework, which is imported once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnnlint.definitions.reach import Imports
from cnnlint.definitions.run import Child, interpreter
from cnnlint.errors import DefinitionError

if TYPE_CHECKING:
    from cnnlint.definitions.run import Built
    from cnnlint.definitions.target import Definition

FRAMEWORKS = {"keras": ("keras", "tensorflow", "tf_keras"), "torch": ("torch", "pytorch", "timm", "lightning")}
"""How the names of packages begin that bring a framework."""


class Processes:
    """Runs definitions, those of one framework in one process, which is kept until `close`.

    TensorFlow and PyTorch crash in one process. Which of them a definition takes is guessed by what its files import;
    one in whose turn a process crashes that has run others gets one of its own.
    """

    def __init__(self) -> None:
        self._children = dict[tuple[str, str], Child]()
        self._alone = set[str]()

    def run(self, definition: Definition, *, memory: int | None = None, **limits: Any) -> Built:
        """Run the code of a definition, and return what it made; see `cnnlint.definitions.run.run`.

        Raises:
            DefinitionError: It gives no model.
            ConfigError: There is no such interpreter.
        """
        key = self._key(definition)
        child = self._children.get(key)
        is_used = child is not None and child.is_alive
        if child is None or not child.is_alive:
            child = self._children[key] = Child(definition, memory=memory)
        try:
            return child.build(definition, **limits)
        except DefinitionError:
            if not child.has_crashed or not is_used or definition.name in self._alone:
                raise
            self._alone.add(definition.name)
            return self.run(definition, memory=memory, **limits)

    def close(self) -> None:
        """End the processes."""
        while self._children:
            _, child = self._children.popitem()
            child.end()

    def _key(self, definition: Definition) -> tuple[str, str]:
        python = interpreter(definition.python, definition.root or os.getcwd())
        return python, definition.name if definition.name in self._alone else _framework(definition)


def _framework(definition: Definition) -> str:
    packages = Imports().reach(definition).packages
    found = [name for name, begins in FRAMEWORKS.items() if any(each.startswith(begins) for each in packages)]
    return found[0] if len(found) == 1 else ""

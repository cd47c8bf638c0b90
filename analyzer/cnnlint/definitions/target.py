"""What a definition is called: `train.py:make_model`, `package.module:factory`, or by its table in a configuration."""

from __future__ import annotations

import os
import re
from typing import Any

from msgspec import Struct, field

IN_FILE = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)")
IN_MODULE = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")


class Definition(Struct, frozen=True, kw_only=True):
    """A network as Python code defines it: a factory, a class, or a model that a module holds.

    Attributes:
        name: What reports, budgets, ignores and `exclude` call it: its name in the configuration, or as it was written.
        factory: `FILE.py:NAME` or `dotted.name:NAME`.
        arguments: What the factory is called with.
        inputs: Shapes of inputs by name, which the export of a PyTorch module takes.
        model: The path of a stored model that the factory made; None if there is none.
        root: The folder that files, and modules, are looked for in; the working directory if "".
        python: The interpreter that runs it; None for the one that `interpreter` finds.
    """

    name: str
    factory: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    model: str | None = None
    root: str = ""
    python: str | None = None

    @property
    def file(self) -> str | None:
        """The path of the file that it names; None if it names a module."""
        found = IN_FILE.fullmatch(self.factory)
        return None if found is None else os.path.join(self.root, found["file"])

    @property
    def place(self) -> str:
        """The file or module, as it was written."""
        return self.factory.rpartition(":")[0]

    @property
    def attribute(self) -> str:
        """The name of the factory, class or model."""
        return self.factory.rpartition(":")[2]

    def is_same(self, other: Definition) -> bool:
        """Return whether both name the same object."""
        if self.attribute != other.attribute or (self.file is None) != (other.file is None):
            return False
        if self.file is None or other.file is None:
            return self.place == other.place
        return os.path.realpath(self.file) == os.path.realpath(other.file)


def is_factory(text: str) -> bool:
    """Return whether `text` has the form of `FILE.py:NAME` or `dotted.name:NAME`."""
    return IN_FILE.fullmatch(text) is not None or IN_MODULE.fullmatch(text) is not None


def parse(text: str) -> Definition | None:
    """Return the definition that a word of the command line names; None if it names none, or there is such a file."""
    return Definition(name=text, factory=text) if is_factory(text) and not os.path.lexists(text) else None

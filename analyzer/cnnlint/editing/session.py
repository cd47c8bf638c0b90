"""Definitions linted again and again, by processes in which the frameworks stay imported."""

from __future__ import annotations

import os
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.definitions.processes import Processes
from cnnlint.definitions.run import tree_of
from cnnlint.engine.config.load import NAMES
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.settings import definitions_of
from cnnlint.errors import CnnlintError, DefinitionError
from cnnlint.linting.linter import Baselines, Linter
from cnnlint.results import Frame, ModelReport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cnnlint.definitions.run import Built
    from cnnlint.definitions.target import Definition
    from cnnlint.engine.config.schema import Flags
    from cnnlint.engine.drawing import Drawing
    from cnnlint.engine.ignoring import Ignore


class Look(Struct, frozen=True, kw_only=True):
    """A definition as it was when it was last linted.

    Attributes:
        definition: Its code.
        report: What was found.
        error: Why there is no network; None if there is one.
        drawing: Its layers, with the lines behind each; None if there is no network.
        defined: The line that defines it, () if nobody knows.
        seconds: What the lint took.
    """

    definition: Definition
    report: ModelReport
    error: CnnlintError | None
    drawing: Drawing | None
    defined: tuple[Frame, ...]
    seconds: float


class EditingSession:
    """Lints definitions, and knows which of them a changed file concerns.

    The processes that run them are kept: TensorFlow is imported once, the user's modules each time. One that meets a
    limit is ended, and the next definition gets a new one.

    Args:
        find: What reads the configurations, and says which definitions there are; once more when one has changed.
        flags: What outweighs the configurations.

    Attributes:
        definitions: All of them.

    Raises:
        CnnlintError: `find` does.
    """

    def __init__(self, find: Callable[[], tuple[Documents, Sequence[Definition]]], flags: Flags) -> None:
        self._find = find
        self._documents, found = find()
        self.definitions = tuple(found)
        self._flags = flags
        self._processes = Processes()
        self._modules = dict[str, frozenset[str]]()
        self._defined = dict[str, tuple[Frame, ...]]()
        self._reports = dict[str, ModelReport]()
        self._in_code: dict[str, tuple[Ignore, ...]] = {}

    @property
    def folders(self) -> tuple[str, ...]:
        """The working trees of all definitions, each once."""
        return tuple(dict.fromkeys(map(tree_of, self.definitions)))

    def concerned(self, changed: Collection[str]) -> tuple[Definition, ...]:
        """Return the definitions whose modules are among the `changed` files, or that gave no network so far.

        A configuration concerns all, and is read again.

        Raises:
            CnnlintError: It is wrong.
        """
        files = {os.path.realpath(path) for path in changed}
        if any(os.path.basename(file) in NAMES for file in files):
            self._documents, found = self._find()
            self.definitions = tuple(found)
            return self.definitions
        return tuple(
            definition
            for definition in self.definitions
            if not (known := self._modules.get(definition.name)) or not known.isdisjoint(files)
        )

    def look(self, definition: Definition) -> Look:
        """Run and lint a definition.

        Raises:
            ConfigError: The configuration is wrong, or there is no interpreter.
            RuleError: A plugin or a file of rules is.
        """
        began = perf_counter()
        drawings: dict[str, Drawing] = {}
        linter = Linter(self._flags, documents=self._documents, drawings=drawings, baselines=Baselines(), run=self._run)
        with closing(linter):
            linted = linter.lint(definition)
        # what an ignore in code hides is known once all that the code makes have been linted
        names = {each.name for each in self.definitions} - {definition.name}
        others = [report for name, report in self._reports.items() if name in names]
        self._reports[definition.name] = linted
        self._in_code[definition.name] = linter.in_code.get(linted.path, ())
        linter.in_code |= {name: self._in_code[name] for name in names & {*self._in_code}}
        report, *_ = linter.settled([linted, *others])
        return Look(
            definition=definition,
            report=report,
            error=linter.errors.get(report.path),
            drawing=drawings.get(report.path),
            defined=self._defined.get(definition.name, ()),
            seconds=perf_counter() - began,
        )

    def close(self) -> None:
        """End the processes that run the definitions."""
        self._processes.close()

    def _run(self, definition: Definition, **limits: Any) -> Built:
        try:
            built = self._processes.run(definition, **limits)
        except DefinitionError:
            self._modules.pop(definition.name, None)  # what it would import when it is mended is not known
            raise
        self._modules[definition.name] = frozenset(map(os.path.realpath, built.modules))
        self._defined[definition.name] = built.sources.get("", ())
        return built


def defined_here() -> tuple[Documents, Sequence[Definition]]:
    """Return the configuration of the working directory, and what it defines, as the code and not a stored model.

    Raises:
        ConfigError: The configuration is wrong.
    """
    documents = Documents()
    return documents, [replace(each, model=None) for each in definitions_of(documents.here())]

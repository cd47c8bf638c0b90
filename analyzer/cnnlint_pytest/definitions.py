"""`pytest --cnnlint`: each of the [[definitions]] of the configuration is a test, which fails with its report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from cnnlint.api.linting import Report
from cnnlint.editing.session import EditingSession, defined_here
from cnnlint.engine.config.schema import Flags
from cnnlint.errors import CnnlintError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnlint.definitions.target import Definition


class Definitions:
    """The plugin of a run that asks for definitions.

    Raises:
        UsageError: The configuration is wrong, or defines nothing.
    """

    def __init__(self, config: pytest.Config) -> None:
        try:
            self.session = EditingSession(defined_here, Flags())
            document = defined_here()[0].here()
        except CnnlintError as error:
            raise pytest.UsageError(str(error)) from error
        if document is None or not self.session.definitions:
            raise pytest.UsageError("--cnnlint: the configuration of the working directory has no [[definitions]]")
        self.path = document.path
        if not any(_is_same(argument.partition("::")[0], self.path) for argument in config.args):
            config.args.append(str(self.path))

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect the configuration."""
        if not _is_same(file_path, self.path):
            return None
        return cast("Any", ConfigurationFile).from_parent(parent, path=file_path, linting=self.session)

    def pytest_unconfigure(self) -> None:
        """End the process that runs the definitions."""
        self.session.close()


class ConfigurationFile(pytest.File):
    """The configuration, whose tests are its definitions."""

    def __init__(self, *, linting: EditingSession, **given: Any) -> None:
        super().__init__(**given)
        self._linting = linting

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each definition."""
        item = cast("Any", DefinitionItem)
        for definition in self._linting.definitions:
            yield item.from_parent(self, name=definition.name, linting=self._linting, definition=definition)


class DefinitionItem(pytest.Item):
    """The lint of one definition."""

    def __init__(self, *, linting: EditingSession, definition: Definition, **given: Any) -> None:
        super().__init__(**given)  # pyright: ignore[reportUnknownMemberType] - its types are not whole
        self._linting = linting
        self._definition = definition

    def runtest(self) -> None:
        """Fail with the report, if it fails."""
        try:
            look = self._linting.look(self._definition)
        except CnnlintError as error:
            pytest.fail(str(error), pytrace=False)
        error = look.error
        if isinstance(error, DefinitionError):
            said = f"\n\nit printed:\n{error.said}" if error.said.strip() else ""
            pytest.fail(f"{error}\n{error.trace}{said}", pytrace=False)
        report = Report(models=(look.report,))
        if report.exit_code:
            pytest.fail(str(report), pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return what the test is called."""
        return self.path, None, f"cnnlint: {self.name}"


def _is_same(one: str | Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)

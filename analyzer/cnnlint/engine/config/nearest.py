"""Which configuration file holds for a model: the one that the user gave, none, or the nearest."""

from __future__ import annotations

from pathlib import Path

from cnnlint.engine.config.load import Document, find_document, read_document
from cnnlint.frontends import is_address, place


class Documents:
    """Finds the configuration of one model after the other, and reads each file once.

    Args:
        config: The one configuration file to take.
        isolated: Whether to take none.

    Attributes:
        are_searched: Whether neither is said.

    Raises:
        ConfigError: The file at `config` is wrong.
    """

    def __init__(self, config: Path | None = None, *, isolated: bool = False) -> None:
        self.config, self.isolated = config, isolated
        self.are_searched = config is None and not isolated
        self._fixed = read_document(config) if config is not None else None
        self._found = dict[Path, Document | None]()

    @classmethod
    def fixed(cls, document: Document | None) -> Documents:
        """Return those of a run in which all models have one configuration, which has been read elsewhere."""
        documents = cls(isolated=True)
        documents._fixed = document
        return documents

    def of(self, model: str) -> Document | None:
        """Return the configuration for the model at the path `model`; None if there is none.

        Raises:
            ConfigError: The nearest file is wrong.
        """
        if not self.are_searched:
            return self._fixed
        model = place(model)
        document = None if is_address(model) else self._from(Path(model).absolute().parent)
        return document or self.here()

    def chosen(self) -> Document | None:
        """Return the configuration that the user chose: the given one, or that which the working directory has."""
        return self.here() if self.are_searched else self._fixed

    def here(self) -> Document | None:
        """Return the configuration that the working directory has."""
        return self._from(Path.cwd())

    def _from(self, folder: Path) -> Document | None:
        if folder not in self._found:
            self._found[folder] = find_document(folder)
        return self._found[folder]

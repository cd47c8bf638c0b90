"""Configuration: where it is found, what may stand in it, and what it comes to for one model."""

from cnnlint.engine.config.load import Document, find_document, read_document
from cnnlint.engine.config.schema import Configuration, Flags
from cnnlint.engine.config.settings import Settings, resolve

__all__ = ["Configuration", "Document", "Flags", "Settings", "find_document", "read_document", "resolve"]

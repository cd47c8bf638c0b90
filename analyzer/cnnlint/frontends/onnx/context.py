"""What the parts of one reading share: the bytes, the folder beside them, and what was decoded before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.wire import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnnlint.frontends.onnx.external import Folder
    from cnnlint.frontends.onnx.records import AttributeValue, GraphRecord, ValueRecord
    from cnnlint.frontends.onnx.source import ByteSource

    GraphReader = Callable[["Context", int, int, int], GraphRecord]

MAX_SUBGRAPHS = 64
"""Deepest nesting of subgraphs; protobuf itself stops at 100 messages, which is 33 subgraphs."""


class Context:
    """The state of one reading.

    Networks repeat themselves: thousands of nodes hold the same few dozen attributes and types, byte for byte.
    The memos decode each once.

    Args:
        source: The model's bytes.
        folder: Where its external data lies; None for a model in memory, whose external data stays unread.
        graph: Reads a GraphProto at [start, stop) and so many subgraphs deep; attributes hold graphs whose nodes
            hold attributes.
    """

    __slots__ = ("attributes", "folder", "graph", "source", "types")

    def __init__(self, source: ByteSource, folder: Folder | None, graph: GraphReader) -> None:
        self.source = source
        self.folder = folder
        self.graph = graph
        self.attributes: dict[bytes, tuple[str, AttributeValue | None, str]] = {}
        self.types: dict[bytes, ValueRecord] = {}

    def text(self, start: int, stop: int) -> str:
        """Read the string at [start, stop)."""
        return text(self.source.read(start, stop - start))

    def error(self, cause: str, remedy: str | None = None) -> ModelError:
        """Return an error about this model."""
        return ModelError(cause, path=self.source.path, remedy=remedy)

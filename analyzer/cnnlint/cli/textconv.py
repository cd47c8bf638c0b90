"""`cnnlint textconv`: a model as the lines that `git diff` compares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

import click

from cnnlint.cli.options import about, verbose_option
from cnnlint.cli.streams import write
from cnnlint.errors import CnnlintError, ModelError, error_of
from cnnlint.frontends.sources import local_file, pieces
from cnnlint.graph.quantity import count
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import extents

if TYPE_CHECKING:
    from cnnlint.frontends.sources import ByteSource
    from cnnlint.graph.graph import Graph

KERAS = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")
"""How the files of Keras begin; git hands over temporary files, whose names say little."""


@click.command("textconv")
@click.argument("model", type=click.Path())
@verbose_option()
@about("model")
def command(*, model: str, **_: object) -> int:
    """Print MODEL as text, a line for each layer, for git to compare.

    `*.onnx diff=cnnlint` in .gitattributes and `git config diff.cnnlint.textconv "cnnlint textconv"` have `git diff`,
    `git log -p` and `git show` use it. Columns do not depend on other lines, no path appears, and of a Git LFS pointer
    the object is read. What is no model is one line that says so, since git would give up on exit code 2.
    """
    source = local_file(model)
    try:
        lines = _lines(source, model)
    except CnnlintError as error:
        lines = _unreadable(error)
    except Exception as error:  # one odd blob must not end a `git log -p`
        lines = _unreadable(error_of(error, None))
    write(without_commands("".join(f"{printable(line)}\n" for line in lines)))
    return 0


def _lines(source: ByteSource, path: str) -> list[str]:
    from cnnlint.frontends.git import lfs_object

    source = lfs_object(source.read(0, min(source.size, 1024)), os.getcwd(), path) or source
    return [*_head(source), *_layers(_graph(source))]


def _unreadable(error: CnnlintError) -> list[str]:
    return [f"not readable: {error.cause}"]


def _graph(source: ByteSource) -> Graph:
    """Return the network; where git has put the file there is no external data, and layers are told without."""
    if source.read(0, 8).startswith(KERAS):
        from cnnlint.frontends.keras import load_source

        return load_source(source, "model")
    from cnnlint.frontends.onnx.raise_graph import raise_model
    from cnnlint.frontends.onnx.skeleton import read_source

    return raise_model(read_source(source, Elsewhere(), "model"))


class Elsewhere:
    """The folder of external data, which git has not handed over; sizes are those that the model states."""

    path = None
    size = 1 << 62

    def files(self) -> Iterator[ByteSource]:
        """Yield nothing: no file is there."""
        yield from ()

    def file(self, location: str, tensor: str) -> ByteSource:  # noqa: ARG002 - a DataFolder
        """Return what stands for each of its files."""
        return self

    def read(self, offset: int, length: int) -> bytes:  # noqa: ARG002 - a ByteSource
        """Raise the error that it is not there."""
        raise ModelError("what its layers are is stored in external data, which git does not hand over")

    def view(self, offset: int, length: int) -> bytes:
        """Raise the error that it is not there."""
        return self.read(offset, length)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Raise the error that it is not there."""
        return len(self.read(offset, len(buffer)))


def _head(source: ByteSource) -> Iterator[str]:
    buffer = memoryview(bytearray(min(source.size, 1 << 20)))
    content = sha256()
    for piece in pieces(source, 0, source.size, buffer, 1):
        content.update(piece)
    yield f"file         {count(source.size)} bytes, sha256 {content.hexdigest()[:16]}"


def _layers(graph: Graph) -> Iterator[str]:
    from cnnlint.engine.summary import summarize

    summary = summarize(graph)
    yield f"format       {summary.format}"
    for name, amount in (
        ("parameters", summary.parameters),
        ("MACs", summary.macs),
        ("weights", summary.weight_bytes),
        ("activations", summary.peak_activation_bytes),
    ):
        yield f"{name:<12} {count(amount)}"
    yield ""
    labels = {layer.name: layer.label for layer in graph.layers}
    joined = {layer.name: [tensor.name for tensor in layer.inputs] for layer in graph.layers}
    for row in summary.layers:
        cells = (
            f"{row.name:<40}",
            f"{labels.get(row.name, row.kind):<28}",
            f"{extents(row.output_shape):<16}",
            f"{count(row.parameters):>14}",
            f"{count(row.macs):>18}",
            f" from {', '.join(joined[row.name])}" if len(joined.get(row.name, ())) > 1 else "",
        )
        yield " ".join(cells).rstrip()

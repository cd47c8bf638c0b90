"""Which lines of the user's code are behind a layer: as its definition was seen to run, or as the file says.

PyTorch's exporter writes into an ONNX file which lines of Python each node comes from, under the paths that these had
where the export ran. Such a path is looked for in the working tree by its end, and told only if that line there still
holds the code that the exporter saw. Nothing outside of the working tree is opened, whatever a file says.
"""

from __future__ import annotations

import ast
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnnlint.definitions.comments import Code, wishes
from cnnlint.definitions.recording import INSTALLED, TAB, shown_at
from cnnlint.definitions.run import shown_file, up_to_root
from cnnlint.graph.quantity import count
from cnnlint.results import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cnnlint.definitions.comments import Wish
    from cnnlint.definitions.run import Sources
    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer

TRACED = re.compile(r'File "([^"\n]+)", line (\d{1,7}), in ([^\n]+)\n[ \t]*([^\n]*)')
"""A frame of a stack trace."""

SKIPPED = INSTALLED | {"node_modules", "__pycache__", "venv"}

MOST_FOLDERS = 20_000
"""Folders of a working tree that are looked through; in a larger one nothing is told."""


class Lines:
    """The user's code behind the layers of a graph.

    Args:
        graph: The network.
        file: Its ONNX file; None if it is none.
        sources: What its definition was seen to run, by layer or PyTorch module, and by "" for the definition itself.
        note: What is to be said of them, as a sentence; "" if nothing.
    """

    def __init__(
        self, graph: Graph, file: FileContext | None, sources: Mapping[str, tuple[Frame, ...]], *, note: str = ""
    ) -> None:
        self.note = note
        self._graph = graph
        self._file = file
        self._sources = sources

    def of(self, names: Iterable[str]) -> tuple[Frame, ...]:
        """Return the frames behind the first of several layers that are known, innermost first; () if none are.

        Of no layers, those of the definition.
        """
        names = tuple(names)
        if not names:
            return self._sources.get("", ())
        position = self._graph.position
        layers = [self._graph.layers[position[name]] for name in names if name in position]
        return next((found for layer in layers if (found := self._of(layer))), ())

    def _of(self, layer: Layer) -> tuple[Frame, ...]:
        for name in _names(layer):
            if found := self._sources.get(name):
                return found
        if self._file is not None:
            for part in reversed(layer.origin):
                if trace := self._file.trace(part.output):
                    return tuple(self._tree.frames(trace, part.scope.rpartition(".")[2]))
        return ()

    @cached_property
    def wishes(self) -> tuple[Wish, ...]:
        """What the user's code asks to have ignored, in all files that made layers."""
        frames = {frame for layer in self._graph.layers for frame in self._of(layer)}
        return wishes(frames.union(self._sources.get("", ())))

    @property
    def files(self) -> frozenset[str]:
        """The files that were looked at for the lines of traces."""
        return self._tree.looked_at if "_tree" in self.__dict__ else frozenset()

    @cached_property
    def _tree(self) -> WorkingTree:
        return WorkingTree(up_to_root(Path(os.path.realpath(Path.cwd())))[-1])


def tied(sources: Sources, made: Graph, stored: Graph) -> tuple[Sources, str]:
    """Return the lines of the layers that a stored model has from its definition, and how they differ, as a clause.

    Names that Keras generates count layers ("conv2d_3"): where one layer more or less stands before them, they name
    another layer. So they are trusted only if all layers of the two are the same.
    """
    mine, theirs = ({layer.name: layer for layer in graph.layers} for graph in (stored, made))
    differing = [name for name in {**mine, **theirs} if not _is_same(mine.get(name), theirs.get(name))]
    if not differing:
        return sources, ""
    known = {name for name, layer in mine.items() if name not in differing and not _is_generated(layer)}
    more = f" and {count(len(differing) - 3)} more" if len(differing) > 3 else ""
    kept = {name: frames for name, frames in sources.items() if not name or name in known}
    return kept, f"differs in {', '.join(differing[:3])}{more}"


def _is_same(one: Layer | None, other: Layer | None) -> bool:
    if one is None or other is None:
        return False
    shapes = [[weight.shape for weight in layer.weights] for layer in (one, other)]
    return one.signature() == other.signature() and shapes[0] == shapes[1]


def _is_generated(layer: Layer) -> bool:
    stem = re.sub(r"_\d+$", "", layer.name.rpartition("/")[2]).replace("_", "")
    return any(stem == part.op.lower() for part in layer.origin)


def _names(layer: Layer) -> Iterator[str]:
    """Yield what the source may call a layer: "encoder/conv1/relu" is of "encoder/conv1"."""
    yield layer.name
    for part in layer.origin:
        yield part.name
        if part.scope:
            yield part.scope
    name = layer.name
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


class WorkingTree:
    """The Python files below a folder: symbolic links are not followed, environments and hidden folders left out."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._read = dict[str, Code]()
        self._frames = dict[tuple[str, str], tuple[Frame, ...]]()
        self._found = dict[tuple[str, str, str, str], Frame | None]()

    def frames(self, trace: str, called: str = "") -> tuple[Frame, ...]:
        """Return the frames of a stack trace that are still in the tree, innermost first; `called` is the callee."""
        if (trace, called) not in self._frames:
            kept = list[Frame]()
            for traced in reversed(TRACED.findall(trace)):
                if traced not in self._found:  # traces of many layers share their callers
                    self._found[traced] = self._frame(*traced)
                if (frame := self._found[traced]) is not None:
                    kept.append(frame)
            if kept:
                kept[0] = self._underlined(kept[0], called)
            self._frames[trace, called] = tuple(map(self._told, kept))
        return self._frames[trace, called]

    @property
    def looked_at(self) -> frozenset[str]:
        """The files that were read."""
        return frozenset(os.path.join(self.root, file) for file in self._read)

    def _frame(self, path: str, number: str, function: str, text: str) -> Frame | None:
        parts = path.replace("\\", "/").split("/")
        if INSTALLED.intersection(parts) or not text.strip():
            return None
        file = self._meant(parts)
        if file is None:
            return None
        code, line = self._code(file), int(number)
        if not 0 < line <= len(code.lines) or not code.holds(line, text):
            return None
        shown = code.lines[line - 1].rstrip("\n")
        return Frame(file=file, line=line, function=code.scope(line) or function, text=shown)

    def _underlined(self, frame: Frame, called: str) -> Frame:
        begin, end = shown_at(frame.text, *self._call(frame, called))
        return replace(frame, text=frame.text.expandtabs(TAB), begin=begin, end=end)

    def _told(self, frame: Frame) -> Frame:
        return replace(frame, file=shown_file(os.path.join(self.root, frame.file)), text=frame.text.expandtabs(TAB))

    def _meant(self, parts: list[str]) -> str | None:
        """Return the file whose path has the longest end in common with the path `parts`; None if two have it."""
        common = [(_common_end(parts, file.split("/")), file) for file in self._files.get(parts[-1], ())]
        if not common:
            return None
        longest = max(length for length, _ in common)
        found = [file for length, file in common if length == longest]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        """The files by their names, each by its path from the root."""
        found = dict[str, list[str]]()
        for seen, (where, folders, files) in enumerate(os.walk(self.root)):
            if seen >= MOST_FOLDERS:
                return {}
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".")
                and name not in SKIPPED
                and not os.path.exists(os.path.join(where, name, "pyvenv.cfg"))
            ]
            below = os.path.relpath(where, self.root).replace(os.sep, "/")
            for name in files:
                if name.endswith(".py") and not os.path.islink(os.path.join(where, name)):
                    found.setdefault(name, []).append(name if below == "." else f"{below}/{name}")
        return found

    def _code(self, file: str) -> Code:
        if file not in self._read:
            self._read[file] = Code.read(os.path.join(self.root, file))
        return self._read[file]

    def _call(self, frame: Frame, called: str) -> tuple[int, int]:
        """Return where the call stands in the line, in bytes: that of `called`, or else the outermost one."""
        calls, text = self._code(frame.file).calls.get(frame.line, []), frame.text
        named = [each for each in calls if isinstance(each.func, ast.Attribute) and each.func.attr == called]
        chosen = min(named or calls, key=lambda each: (each.col_offset, -(each.end_col_offset or 0)), default=None)
        whole = len(text.encode())
        if chosen is None:
            return whole - len(text.lstrip().encode()), whole
        ends_here = chosen.end_lineno == frame.line and chosen.end_col_offset is not None
        return chosen.col_offset, chosen.end_col_offset or whole if ends_here else whole


def _common_end(one: list[str], other: list[str]) -> int:
    count = 0
    for mine, yours in zip(reversed(one), reversed(other), strict=False):
        if mine != yours:
            break
        count += 1
    return count

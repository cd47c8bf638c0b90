"""`cnnlint fix --any-size`: a network of one image size becomes one that takes images of any size, and is verified."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from cnnlint.analysis.cost import total_macs
from cnnlint.analysis.image_sizes import ImageSizes, Tie, foretells, image_sizes, stuck, ties
from cnnlint.analysis.inputs import larger_extents
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.operations.fix_report import AnySize
from cnnlint.rewrite.editor import Editor, RewriteError
from cnnlint.rewrite.open_axes import (
    SYMBOLS,
    OpenedHead,
    OpenImage,
    declare,
    declare_outputs,
    images,
    open_heads,
    transpose_single_channels,
)
from cnnlint.rewrite.storage import Workspace, keeps_apart, write
from cnnlint.runtime.probe import COSTLY, SEED
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.verify import compare
from cnnlint.verification.windows import Images, WindowedHead, Windows
from cnnlint.worker import steps

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape
    from cnnlint.verification.records import AtSize, ComparisonReport

NAMED = 5
"""Layers that a refusal names; there may be one in each block."""


def open_to_any_size(
    program: Program, graph: Graph, workspace: Workspace, stored: str, *, keep_rank: bool
) -> tuple[AnySize, ComparisonReport, Program] | None:
    """Open the image axes of a model, write it to `stored`, and verify it at the present and at larger sizes.

    Args:
        program: The model.
        graph: Its network at the present size.
        workspace: Where weights go that are made of others.
        stored: The file to write.
        keep_rank: Average the scores over positions, so that outputs keep their shapes.

    Returns:
        What was opened, the comparison at the present size, and the opened model; None if it takes any size already.

    Raises:
        RewriteError: A layer holds the network to the present size, or its nodes do not have the expected form.
        RuntimeCheckError: One of the models does not run.
    """
    found = images(graph, program.record)
    if not found:
        return None
    declared = {value.name: value.shape or () for value in program.record.graph.inputs}

    def shapes_at(size: Sequence[int]) -> dict[str, Shape]:
        return {image.name: _shape(declared[image.name], image, size) for image in found}

    editor = Editor(program.proto(), program.folder, cast("FileContext | None", graph.file))
    heads = open_heads(graph, editor, keep_rank=keep_rank)
    if not heads and not any(isinstance(declared[image.name][axis], int) for image in found for axis in image.axes):
        return None
    computed = editor.computed
    settled = workspace.settle(editor.finish(), computed)
    model = settled.proto()
    declare(model, found, () if keep_rank else heads)
    path = os.path.join(settled.folder, os.path.basename(settled.path))
    opened = load_onnx_bytes(model.SerializeToString(), path)
    _refuse(ties(opened, graph))
    declare_outputs(model, program.proto(), opened, graph)
    final = Program(model.SerializeToString(), settled.folder, settled.path)
    now = {image.name: image.extents for image in found}
    sizes = image_sizes(opened, graph, now)
    extents = found[0].extents
    size = next(_larger(extents, sizes))
    wide = load_onnx_bytes(final.content, path, inputs=shapes_at(size))
    _refuse(stuck(opened, graph, wide))
    if not foretells(opened, graph, wide, dict.fromkeys(now, size)):
        sizes = None
    steps.begin("verifying the opened model")
    write(final, stored, apart=keeps_apart(program))
    written = Program.from_file(stored)

    def runner(size: Sequence[int]) -> OnnxRunner:
        return OnnxRunner(f"{program.path} (any size)", written, load(stored, inputs=shapes_at(size)))

    parity = compare(OnnxRunner(program.path, program, graph), runner(extents), rewritten=True)
    windows = Windows(
        _reference(program, graph),
        [_windowed(head, averaged=keep_rank) for head in heads],
        Images({image.name: image.axes for image in found}, extents, sizes.step if sizes else ()),
        seed=SEED,
        costly=(total_macs(graph) or 0) > COSTLY,
    )
    checked = list["AtSize"]()
    if parity.equal:
        for size in _larger(extents, sizes):
            at = windows.at(runner(size), written, size)
            checked.append(at)
            if not at.equal:
                break
    shapes = {image.name: _one(declared[image.name], image) for image in found}
    report = AnySize(
        images=tuple(image.name for image in found),
        symbols=SYMBOLS[len(extents)],
        extents=extents,
        keeps_rank=keep_rank,
        heads=heads,
        outputs=tuple((value.name, value.shape) for value in final.record.graph.outputs),
        sizes=sizes,
        checked=tuple(checked),
        closing={name: "x".join(map(str, shape)) for name, shape in shapes.items()},
    )
    return report, parity, final


def _one(declared: Shape, image: OpenImage) -> tuple[int, ...]:
    """Return an image's shape at the present size, for one sample."""
    return tuple(dim if isinstance(dim, int) else 1 for dim in _shape(declared, image, image.extents))


def _reference(program: Program, graph: Graph) -> Program:
    """Return the original in a form whose trunk takes larger images; its dense head does not."""
    editor = Editor(program.proto(), program.folder)
    transpose_single_channels(graph, editor)
    return Program.from_proto(editor.finish(), program.folder) if editor.is_changed else program


def _refuse(found: Sequence[Tie]) -> None:
    if found:
        named = [f"{tie.layer}: {tie.cause}" for tie in found[:NAMED]]
        more = f"; and {len(found) - NAMED:,} more layers" if len(found) > NAMED else ""
        raise RewriteError(
            f"its image axes cannot be opened, since layers hold the present size: {'; '.join(named)}{more}"
        )


def _shape(declared: Shape, image: OpenImage, size: Sequence[int]) -> Shape:
    shape = list(declared)
    for axis, extent in zip(image.axes, size, strict=True):
        shape[axis] = extent
    return tuple(shape)


def _windowed(head: OpenedHead, *, averaged: bool) -> WindowedHead:
    return WindowedHead(
        map=head.map,
        map_layout=head.map_layout,
        extents=head.extents,
        scores=head.scores,
        outputs=head.outputs,
        layout=None if averaged else head.layout,
    )


def _larger(now: tuple[int, ...], sizes: ImageSizes | None) -> Iterator[tuple[int, ...]]:
    """Yield sizes to verify at: a larger image, and one that grows by two positions along its last axis alone."""
    wide = larger_extents(now)
    step = sizes.step[-1] if sizes and sizes.step and sizes.step[-1] else now[-1]
    long = (*now[:-1], now[-1] + 2 * step)
    for size in dict.fromkeys((wide, long) if len(now) > 1 else (wide,)):
        yield sizes.at_least(size, now) if sizes else size

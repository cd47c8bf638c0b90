"""EX009: a symbol for the batch that stands at another axis."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    ModelRule,
    NearMiss,
    Recurrent,
    Severity,
    Tensor,
    shown_shape,
)

BATCH = re.compile(r"(?i)batch.*|.*_batch|bs|n")
"""What exporters and people call the extent of a batch."""


class BatchOnWrongAxis(
    ModelRule, code="EX009", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """An input leaves open its channels, or another axis named after the batch, and fixes the batch.

    ## Why
    The file promises what the network cannot do: any number of channels, though the first convolution's kernel has one,
    or a batch along the height. A run with another batch is refused, shape inference carries the wrong symbol through
    all layers, and tools that set the batch by its name change an axis of the image. It comes from an axis that is
    off by one in `dynamic_axes` (`{"image": {1: "batch"}}`), or from a channels-first habit applied to a
    channels-last network.

    ## Instead
    Name axis 0: `dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}}`, and leave the channels fixed. In an
    existing file, set `dim_param` of the first dim and `dim_value` of the other, for inputs and outputs.

    ## When not
    Sequences with time steps first have the batch at the second axis; where there is a recurrent layer, or the input
    has three axes, only channels that a convolution fixes are looked at.

    ## References
    - PyTorch documentation, `torch.onnx.export`, `dynamic_axes`.
    - ONNX, "Intermediate Representation Specification", "Static tensor shapes": `dim_param`.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each input whose open axis is not that of the batch."""
        graph = context.graph
        is_sequence = next(graph.of_kind(Recurrent), None) is not None
        for tensor in graph.inputs:
            shape = tensor.shape
            if shape is None or len(shape) < 3 or not isinstance(shape[0], int):
                continue
            conv, channels = _reader(context, tensor)
            named = [axis for axis, dim in enumerate(shape) if isinstance(dim, str) and BATCH.fullmatch(dim)]
            if conv is not None and not isinstance(shape[1], int):
                yield self.finding(
                    conv,
                    message=f"The input {tensor.name} is {shown_shape(shape)}, channels first: its batch is fixed at"
                    f" {shape[0]} and its channels are open, of which {conv.name} reads {channels}.",
                    evidence={"batch": shape[0], "channels": channels},
                    advice=_advice(tensor.name),
                    subject=tensor.name,
                )
            elif named and not is_sequence and len(shape) > 3:
                yield self.finding(
                    message=f"The input {tensor.name} is {shown_shape(shape)}, channels first: its batch is fixed at"
                    f" {shape[0]}, and axis {named[0]} is named {shape[named[0]]}.",
                    evidence={"batch": shape[0], "axis": named[0]},
                    advice=_advice(tensor.name),
                    subject=tensor.name,
                )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            off_by_one (float[1, batch, 8, 8] x) => (float[1, 2, 8, 8] y) <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}> {
                y = Conv (x, kernel)
            }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            height (float[1, 2, batch, 8] x) => (float[1, 2, batch, 8] y) <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}> {
                y = Conv (x, kernel)
            }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            open (float[1, 2, height, width] x) => (float[1, 2, height, width] y)
            <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}> {
                y = Conv (x, kernel)
            }
            """
        ),
    )


def _reader(context: Context, tensor: Tensor) -> tuple[Conv | None, int]:
    """Return a convolution that reads `tensor`, and how many channels its kernel has."""
    for layer in context.graph.consumers(tensor):
        if isinstance(layer, Conv) and (channels := layer.in_channels) is not None:
            return layer, channels
    return None, 0


def _advice(name: str) -> Advice:
    return Advice(
        text="Leave the first axis open, and fix the channels",
        pytorch=f'torch.onnx.export(model, example, path, dynamic_axes={{"{name}": {{0: "batch"}}}})',
    )

"""Transposed convolutions whose kernel is smaller than their strides, which tf2onnx gives negative padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def mend_padding(graph: onnx.GraphProto) -> None:
    """Turn negative padding, which ONNX does not have, into output padding.

    With "same" padding TensorFlow then adds rows and columns at the end alone; tf2onnx splits them over both sides.
    """
    from onnx import helper

    for node in graph.node:
        pads = next((item for item in node.attribute if item.name == "pads"), None)
        if node.op_type != "ConvTranspose" or pads is None or min(pads.ints, default=0) >= 0:
            continue
        half = len(pads.ints) // 2
        missing = [before + after for before, after in zip(pads.ints[:half], pads.ints[half:], strict=True)]
        ends = [max(total, 0) for total in missing]
        given = next((list(item.ints) for item in node.attribute if item.name == "output_padding"), [0] * half)
        kept = [item for item in node.attribute if item.name not in ("pads", "output_padding")]
        added = [more + max(-total, 0) for more, total in zip(given, missing, strict=True)]
        # An axis whose kernel is larger than its stride keeps its padding as TensorFlow splits it.
        starts = [total // 2 for total in ends]
        mended = [
            helper.make_attribute("pads", starts + [end - start for start, end in zip(starts, ends, strict=True)]),
            helper.make_attribute("output_padding", added),
        ]
        copies = [type(item).FromString(item.SerializeToString()) for item in kept]
        del node.attribute[:]
        node.attribute.extend([*copies, *mended])

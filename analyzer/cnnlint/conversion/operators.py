"""Operators that tf2onnx cannot translate or translates wrongly: handlers, fixes, and a list of what is left."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def translate_erfc(ctx: Any, node: Any, name: str, args: Any) -> None:  # noqa: ARG001 - tf2onnx's own signature
    """Translate the complementary error function of TensorFlow's gelu: erfc(x) = 1 - erf(x)."""
    import numpy as np
    from onnx import helper

    result = node.output[0]
    shape, dtype = ctx.get_shape(result), ctx.get_dtype(result)
    ctx.remove_node(node.name)
    erf = ctx.make_node("Erf", [node.input[0]], name=f"{name}/Erf", shapes=[shape], dtypes=[dtype])
    one = ctx.make_const(f"{name}/one", np.ones((), helper.tensor_dtype_to_np_dtype(dtype)))
    ctx.make_node("Sub", [one.output[0], erf.output[0]], outputs=[result], name=name, shapes=[shape], dtypes=[dtype])


def translate_conv3d(ctx: Any, node: Any, name: str, args: Any) -> None:  # noqa: ARG001 - tf2onnx's own signature
    """Translate a 3-D convolution with its groups, which tf2onnx 1.17 drops."""
    nn: Any = import_module("tf2onnx.onnx_opset.nn")
    first = node.get_attr_str("data_format").startswith("NC")
    channels: int = ctx.get_shape(node.input[0])[1 if first else -1]
    of_a_group: int = ctx.get_shape(node.input[1])[-2]
    nn.ConvOp.any_version(ctx.opset, ctx, node)
    node.set_attr("group", channels // of_a_group)


HANDLERS: dict[str, Any] = {"Conv3D": (translate_conv3d, []), "Erfc": (translate_erfc, [])}
"""The argument `custom_op_handlers` of tf2onnx."""


@contextmanager
def numbers_are_no_biases() -> Generator[None]:
    """Let tf2onnx move Transposes past a sum of a convolution and one number while the block runs.

    tf2onnx 1.17 takes the number for the bias that the convolution lacks, as the 3 in relu6(x + 3) / 6, and fails.
    """
    optimizers: Any = import_module("tf2onnx.optimizer")._optimizers  # noqa: SLF001 - no public way leads there
    name = "optimize_transpose"
    before: Any = optimizers[name]

    def add_handler(optimizer: Any, trans: Any, node: Any) -> Any:
        added = node.inputs[1]
        is_number = added.is_const() and not added.get_tensor_value(as_list=False).shape
        handler = optimizer._handle_node_having_branches if is_number else before._add_handler.__get__(optimizer)  # noqa: SLF001 - as above
        return handler(trans, node)

    optimizers[name] = type("Optimizer", (before,), {"_add_handler": add_handler})
    try:
        yield
    finally:
        optimizers[name] = before


def fix_padding(graph: onnx.GraphProto) -> None:
    """Turn negative padding, which ONNX does not allow, into output padding.

    For "same" padding TensorFlow adds rows and columns only at the end; tf2onnx splits them between both sides.
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
        # An axis whose kernel is larger than its stride keeps TensorFlow's split.
        starts = [total // 2 for total in ends]
        mended = [
            helper.make_attribute("pads", starts + [end - start for start, end in zip(starts, ends, strict=True)]),
            helper.make_attribute("output_padding", added),
        ]
        copies = [type(item).FromString(item.SerializeToString()) for item in kept]
        del node.attribute[:]
        node.attribute.extend([*copies, *mended])


def leftover_operators(model: onnx.ModelProto) -> list[str]:
    """Return the nodes that no operator set of `model` defines, as "type (name)", the first of each type."""
    from onnx import defs

    opsets = {item.domain: item.version for item in model.opset_import}
    found: dict[str, str] = {}
    for node in _all_nodes(model.graph):
        if not (node.domain in opsets and defs.has(node.op_type, opsets[node.domain], node.domain)):
            found.setdefault(node.op_type, node.name)
    return [f"{kind} ({name})" for kind, name in found.items()]


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)

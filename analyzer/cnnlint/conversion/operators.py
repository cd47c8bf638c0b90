"""TensorFlow operations that tf2onnx has no translation for, or a wrong one."""

from __future__ import annotations

from importlib import import_module
from typing import Any


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
    """Translate a convolution over volumes, of which tf2onnx 1.17 forgets the groups."""
    nn: Any = import_module("tf2onnx.onnx_opset.nn")
    first = node.get_attr_str("data_format").startswith("NC")
    channels: int = ctx.get_shape(node.input[0])[1 if first else -1]
    of_a_group: int = ctx.get_shape(node.input[1])[-2]
    nn.ConvOp.any_version(ctx.opset, ctx, node)
    node.set_attr("group", channels // of_a_group)


HANDLERS: dict[str, Any] = {"Conv3D": (translate_conv3d, []), "Erfc": (translate_erfc, [])}
"""What `custom_op_handlers` of tf2onnx takes."""

"""TensorFlow operations that tf2onnx has no translation for, in terms of ONNX operators that it has."""

from __future__ import annotations

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


HANDLERS: dict[str, Any] = {"Erfc": (translate_erfc, [])}
"""What `custom_op_handlers` of tf2onnx takes."""

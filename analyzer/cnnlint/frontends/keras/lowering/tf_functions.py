"""Functions of TensorFlow that Keras 2 wrote into Functional models as TFOpLambda layers."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.functions import PRODUCTS, lower_function
from cnnlint.frontends.keras.lowering.operators import add_declared, add_opaques
from cnnlint.frontends.raising.view import View

FUNCTIONS = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "truediv": "Divide", "divide": "Divide",
    "pow": "Power", "maximum": "Maximum", "minimum": "Minimum", "abs": "Abs", "negative": "Negative", "exp": "Exp",
    "log": "Log", "sqrt": "Sqrt", "rsqrt": "Rsqrt", "square": "Square", "relu": "Relu", "relu6": "Relu6",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "softmax": "Softmax", "softplus": "Softplus", "silu": "Silu",
    "swish": "Silu", "gelu": "Gelu", "elu": "Elu", "leaky_relu": "LeakyRelu", "reduce_mean": "Mean",
    "reduce_max": "Max", "reduce_sum": "Sum", "reduce_min": "Min", "reshape": "Reshape", "transpose": "Transpose",
    "expand_dims": "ExpandDims", "squeeze": "Squeeze", "matmul": "Matmul", "cast": "Cast", "clip_by_value": "Clip",
    "identity": "StopGradient", "stop_gradient": "StopGradient",
}  # fmt: skip
"""Last part of the function's name in TensorFlow -> name of the same function in `keras.ops`."""

MULTIPLYING = frozenset({"conv1d", "conv2d", "conv3d", "depthwise_conv2d", "conv2d_transpose", "tensordot", "einsum"})


def lower_tf_function(call: Call) -> list[View]:
    """Add what the function becomes, and return its outputs."""
    function = str(call.config.get("function") or call.layer.class_name)
    name = function.rpartition(".")[2]
    same = FUNCTIONS.get(name)
    if same is not None:
        return lower_function(Call(
            replace(call.layer, class_name=same, module="keras.ops", config={}),
            call.args, call.kwargs, call.draft, declared=call.declared, layout=call.layout,
        ))  # fmt: skip
    if name in MULTIPLYING or name in PRODUCTS or call.layer.class_name == "TensorFlowOpLayer":
        return add_opaques(call, f"the TensorFlow function {function}")
    return add_declared(call)

"""A small network as code: what one would write for it in Keras and in PyTorch.

A network in which each layer feeds the next becomes a `Sequential`; one with branches names what several layers read.
Both writers are a table from kinds of layer to calls, and a network that holds a kind without an entry has no code.
"""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    MaxPool,
    Multiply,
    Pad,
    Resize,
)
from cnnlint.graph.tensor import Tensor
from cnnlint.report.training_code import keras_compile, keras_initializers, torch_training

Call = Callable[[Layer], str | None]

Pads = tuple[tuple[int, int], ...]

KERAS_ACTIVATIONS = frozenset({
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_swish", "leaky_relu", "linear", "log_softmax", "mish", "relu",
    "relu6", "selu", "sigmoid", "softmax", "softplus", "softsign", "swish", "tanh",
})  # fmt: skip

TORCH_ACTIVATIONS = {
    "elu": "ELU()", "gelu": "GELU()", "hard_sigmoid": "Hardsigmoid()", "hard_swish": "Hardswish()",
    "leaky_relu": "LeakyReLU()", "mish": "Mish()", "relu": "ReLU()", "relu6": "ReLU6()", "selu": "SELU()",
    "sigmoid": "Sigmoid()", "softplus": "Softplus()", "softsign": "Softsign()", "swish": "SiLU()", "tanh": "Tanh()",
    "log_softmax": "LogSoftmax(1)", "softmax": "Softmax(1)",
}  # fmt: skip

JOINS = (Add, Multiply, Concat)
"""Layers of several inputs."""


def keras_code(graph: Graph) -> str | None:
    """Return the network in Keras; None if it holds what has no words here."""
    if len(graph.inputs) != 1 or not graph.inputs[0].sample_extents:
        return None
    channels, *spatial = graph.inputs[0].sample_extents
    shape = ", ".join(map(str, (*spatial, channels)))
    calls = _calls(graph, lambda layer: _begun(graph, layer, _keras(layer)))
    if calls is None:
        return None
    start = f"keras.Input(({shape}{'' if spatial else ','}))"
    compiled = keras_compile(graph.training)
    if _is_chain(graph):
        name = "model = " if compiled else ""
        chain = [f"{name}keras.Sequential([", f"    {start},", *(f"    {call}," for call in calls), "])"]
        return "\n".join([*chain, *([compiled] if compiled else [])])
    lines, names = [f"x = {start}"], _names(graph)
    for layer, call in zip(graph.layers, calls, strict=True):
        fed = ", ".join(names[tensor.name] for tensor in layer.inputs)
        fed = f"[{fed}]" if isinstance(layer, JOINS) else fed
        lines.append(f"{names[layer.output.name]} = {call}({fed})")
    if compiled:
        lines += [f"model = keras.Model(x, {names[graph.outputs[0].name]})", compiled]
    return "\n".join(lines)


def pytorch_code(graph: Graph) -> str | None:
    """Return the network in PyTorch; None if it holds what has no words here."""
    if len(graph.inputs) != 1:
        return None
    calls = _calls(graph, _torch)
    if calls is None:
        return None
    trained = torch_training(graph.training)
    if _is_chain(graph):
        name = "model = " if trained else ""
        parts = [f"    {part}," for call in calls for part in call.split("\n")]
        return "\n".join([f"{name}nn.Sequential(", *parts, ")", *trained])
    modules, steps, names = list[str](), list[str](), _names(graph)
    for layer, call in zip(graph.layers, calls, strict=True):
        fed = [names[tensor.name] for tensor in layer.inputs]
        if isinstance(layer, JOINS):
            steps.append(f"{names[layer.output.name]} = {call.format(*fed, all=', '.join(fed))}")
            continue
        parts = call.split("\n")
        module = parts[0] if len(parts) == 1 else f"nn.Sequential({', '.join(parts)})"
        modules.append(f"self.{layer.name} = {module}")
        steps.append(f"{names[layer.output.name]} = self.{layer.name}({fed[0]})")
    results = ", ".join(names[tensor.name] for tensor in graph.outputs)
    lines = ["class Network(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {module}" for module in modules]
    lines += ["", "    def forward(self, x):", *(f"        {step}" for step in steps), f"        return {results}"]
    return "\n".join([*lines, *(["", "model = Network()", *trained] if trained else [])])


def _begun(graph: Graph, layer: Layer, call: str | None) -> str | None:
    """Return a call with the initializers that the network says, where they are not Keras's own."""
    initializers = keras_initializers(graph, layer)
    return call if call is None or not initializers else f"{call[:-1]}{initializers})"


def _calls(graph: Graph, write: Call) -> list[str] | None:
    if any(layer.input.rank != 2 for layer in graph.of_kind(Dense)):
        return None  # frameworks take it along other axes
    calls = [write(layer) for layer in graph.layers]
    return [call for call in calls if call is not None] if None not in calls else None


def _is_chain(graph: Graph) -> bool:
    """Return whether each layer reads what the one before it made, and nothing else reads it."""
    before: Tensor = graph.inputs[0]
    for layer in graph.layers:
        if [tensor.name for tensor in layer.inputs] != [before.name]:
            return False
        before = layer.output
    return True


def _names(graph: Graph) -> dict[str, str]:
    """Return a variable for each tensor: x for the input, else one called as the layer that makes it."""
    made = {layer.output.name: layer.name.replace("/", "_") for layer in graph.layers}
    return {graph.inputs[0].name: "x", **made}


def _keras(layer: Layer) -> str | None:
    rank = max((layer.input.rank or 2) - 2, 0)
    match layer:
        case Conv():
            return _keras_conv(layer, rank)
        case ConvTranspose():
            return _keras_transposed(layer, rank)
        case Resize() if (factor := _factor(layer)) is not None:
            linear = ', interpolation="bilinear"' if layer.interpolation == "linear" else ""
            return f"layers.UpSampling{rank}D({factor}{linear})"
        case Dense():
            return f"layers.Dense({layer.units}{_off('use_bias', layer.use_bias)})"
        case BatchNorm() if not layer.folded and layer.axis == 1:
            return f"layers.BatchNormalization({_moving(layer, 1)})"
        case MaxPool() | AvgPool():
            padding = _keras_padding(layer.pads)
            kind = "MaxPooling" if isinstance(layer, MaxPool) else "AveragePooling"
            strides = "" if layer.strides == layer.pool_size else f", strides={_square(layer.strides)}"
            plain = padding is not None and not layer.ceil_mode and set(layer.dilation) == {1}
            return f"layers.{kind}{rank}D({_square(layer.pool_size)}{strides}{padding})" if plain else None
        case GlobalPool() if layer.mode in ("avg", "max"):
            kind = "Average" if layer.mode == "avg" else "Max"
            return f"layers.Global{kind}Pooling{rank}D({'keepdims=True' if layer.keepdims else ''})"
        case Activation() if layer.function in KERAS_ACTIVATIONS and layer.axis in (None, 1, -1):
            return f'layers.Activation("{layer.function}")'
        case Flatten():
            return "layers.Flatten()"
        case Dropout():
            return f"layers.Dropout({layer.rate or 0.5:g})"
        case Pad() if layer.mode == "constant" and layer.value == 0 and rank:
            return f"layers.ZeroPadding{rank}D({_square(tuple(layer.amounts[2:]))})"
        case Add():
            return "layers.Add()"
        case Multiply():
            return "layers.Multiply()"
        case Concat() if layer.axis == 1:
            return "layers.Concatenate()"
        case _:
            return None


def _moving(norm: BatchNorm, sign: int) -> str:
    """Return the momentum as an argument, which PyTorch counts from the other end; "" if it is ONNX's default."""
    if norm.momentum is None or round(norm.momentum, 6) == 0.9:
        return ""
    return f"momentum={norm.momentum if sign > 0 else 1 - norm.momentum:.4g}"


def _keras_conv(conv: Conv, rank: int) -> str | None:
    padding = _keras_padding(conv.pads)
    if padding is None:
        return None
    strides = "" if set(conv.strides) == {1} else f", strides={_square(conv.strides)}"
    dilation = "" if set(conv.dilation) == {1} else f", dilation_rate={_square(conv.dilation)}"
    groups = "" if conv.groups == 1 else f", groups={conv.groups}"
    return (
        f"layers.Conv{rank}D({conv.filters}, {_square(conv.kernel_size)}{strides}{padding}{dilation}{groups}"
        f"{_off('use_bias', conv.use_bias)})"
    )


def _keras_transposed(conv: ConvTranspose, rank: int) -> str | None:
    multiplied = _is_multiplied(conv)
    if conv.groups != 1 or not (multiplied or _cuts_nothing(conv)):
        return None
    padding = ', padding="same"' if multiplied else ""
    dilation = "" if set(conv.dilation) == {1} else f", dilation_rate={_square(conv.dilation)}"
    return (
        f"layers.Conv{rank}DTranspose({conv.filters}, {_square(conv.kernel_size)}, strides={_square(conv.strides)}"
        f"{padding}{dilation}{_off('use_bias', conv.use_bias)})"
    )


def _is_multiplied(conv: ConvTranspose) -> bool:
    """Return whether each extent is multiplied by the stride, as by "same"."""
    before, after = conv.input.spatial, conv.output.spatial
    if isinstance(conv.padding, str) or before is None or after is None:
        return isinstance(conv.padding, str)
    pairs = zip(before, after, conv.strides, strict=True)
    return all(isinstance(small, int) and large == small * stride for small, large, stride in pairs)


def _cuts_nothing(conv: ConvTranspose) -> bool:
    return not isinstance(conv.padding, str) and not any(map(any, conv.padding)) and not any(conv.output_padding)


def _factor(resize: Resize) -> int | None:
    """Return the whole number by which all extents of a map are multiplied, if frameworks have a layer for that."""
    before, after = resize.input.spatial or (), resize.output.spatial or ()
    factors = {
        large // small if isinstance(small, int) and isinstance(large, int) and small and large % small == 0 else None
        for small, large in zip(before, after, strict=True)
    }
    written = resize.interpolation == "nearest" or (resize.interpolation == "linear" and len(before) == 2)
    return factors.pop() if len(factors) == 1 and written else None


def _keras_padding(pads: Pads | None) -> str | None:
    """Return the padding as an argument; "same" puts the odd zero after, as the notation does."""
    if pads is None:
        return None
    if not any(map(any, pads)):
        return ""
    return ', padding="same"' if all(0 <= after - before <= 1 for before, after in pads) else None


def _torch(layer: Layer) -> str | None:
    rank = max((layer.input.rank or 2) - 2, 0)
    match layer:
        case Conv():
            return _torch_conv(layer, rank)
        case ConvTranspose() if layer.in_channels is not None:
            return _torch_transposed(layer, layer.in_channels, rank)
        case Resize() if (factor := _factor(layer)) is not None:
            linear = ', mode="bilinear"' if layer.interpolation == "linear" else ""
            return f"nn.Upsample(scale_factor={factor}{linear})"
        case Dense() if layer.in_features is not None:
            return f"nn.Linear({layer.in_features}, {layer.units}{_off('bias', layer.use_bias)})"
        case BatchNorm() if not layer.folded and layer.axis == 1:
            momentum = _moving(layer, -1)
            return f"nn.BatchNorm{max(rank, 1)}d({layer.input.channels}{f', {momentum}' if momentum else ''})"
        case MaxPool() | AvgPool() if layer.pads is not None and all(before == after for before, after in layer.pads):
            return _torch_pool(layer, layer.pads, rank)
        case GlobalPool() if layer.mode in ("avg", "max"):
            pool = f"nn.Adaptive{'Avg' if layer.mode == 'avg' else 'Max'}Pool{rank}d(1)"
            return pool if layer.keepdims else f"{pool}\nnn.Flatten()"
        case Activation() if layer.function in TORCH_ACTIVATIONS and layer.axis in (None, 1, -1):
            return f"nn.{TORCH_ACTIVATIONS[layer.function]}"
        case Flatten():
            return "nn.Flatten()"
        case Dropout():
            return f"nn.Dropout({layer.rate or 0.5:g})"
        case Pad() if layer.mode == "constant" and layer.value == 0 and rank:
            return _torch_pad(tuple(layer.amounts[2:]), rank)
        case Add():
            return " + ".join("{}" for _ in layer.inputs)
        case Multiply():
            return " * ".join("{}" for _ in layer.inputs)
        case Concat() if layer.axis == 1:
            return "torch.cat([{all}], 1)"
        case _:
            return None


def _torch_conv(conv: Conv, rank: int) -> str | None:
    if conv.pads is None or conv.in_channels is None:
        return None
    even = all(before == after for before, after in conv.pads)
    arguments = [str(conv.in_channels), str(conv.filters), _square(conv.kernel_size)]
    if set(conv.strides) != {1}:
        arguments.append(f"stride={_square(conv.strides)}")
    if even and any(map(any, conv.pads)):
        arguments.append(f"padding={_square(tuple(before for before, _ in conv.pads))}")
    if set(conv.dilation) != {1}:
        arguments.append(f"dilation={_square(conv.dilation)}")
    if conv.groups != 1:
        arguments.append(f"groups={conv.groups}")
    call = f"nn.Conv{rank}d({', '.join(arguments)}{_off('bias', conv.use_bias)})"
    return call if even else f"{_torch_pad(conv.pads, rank)}\n{call}"


def _torch_transposed(conv: ConvTranspose, channels: int, rank: int) -> str | None:
    """Return the call; of an odd number of rows cut off the full output, PyTorch cuts the odd one off the front."""
    reach = [dilation * (taps - 1) + 1 for taps, dilation in zip(conv.kernel_size, conv.dilation, strict=True)]
    if _is_multiplied(conv):
        cut = [taps - stride for taps, stride in zip(reach, conv.strides, strict=True)]
    elif _cuts_nothing(conv):
        cut = [0] * rank
    else:
        return None
    padding = tuple(max(-(-rows // 2), 0) for rows in cut)
    more = tuple(2 * ahead - rows for ahead, rows in zip(padding, cut, strict=True))
    arguments = [str(channels), str(conv.filters), _square(conv.kernel_size), f"stride={_square(conv.strides)}"]
    arguments += [f"padding={_square(padding)}"] if any(padding) else []
    arguments += [f"output_padding={_square(more)}"] if any(more) else []
    arguments += [f"groups={conv.groups}"] if conv.groups != 1 else []
    arguments += [f"dilation={_square(conv.dilation)}"] if set(conv.dilation) != {1} else []
    return f"nn.ConvTranspose{rank}d({', '.join(arguments)}{_off('bias', conv.use_bias)})"


def _torch_pool(pool: MaxPool | AvgPool, pads: Pads, rank: int) -> str:
    arguments = [_square(pool.pool_size)]
    if pool.strides != pool.pool_size:
        arguments.append(f"stride={_square(pool.strides)}")
    if any(map(any, pads)):
        arguments.append(f"padding={_square(tuple(before for before, _ in pads))}")
    if set(pool.dilation) != {1}:
        arguments.append(f"dilation={_square(pool.dilation)}")
    if pool.ceil_mode:
        arguments.append("ceil_mode=True")
    if isinstance(pool, AvgPool) and any(map(any, pads)) and not pool.count_include_pad:
        arguments.append("count_include_pad=False")
    return f"nn.{'Max' if isinstance(pool, MaxPool) else 'Avg'}Pool{rank}d({', '.join(arguments)})"


def _torch_pad(pads: Pads, rank: int) -> str:
    """Return the padding as PyTorch wants it: the last axis first."""
    return f"nn.ZeroPad{rank}d(({', '.join(str(amount) for pair in pads[::-1] for amount in pair)}))"


def _square(extents: tuple[object, ...]) -> str:
    """Return extents that are all the same as one."""
    return str(extents[0]) if len(set(extents)) == 1 else str(tuple(extents))


def _off(name: str, value: bool) -> str:
    return "" if value else f", {name}=False"

"""What a layer is called when its name may be another one at the next export."""

from __future__ import annotations

from collections.abc import Iterable

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.results import digest

KERAS_NAMES = frozenset({
    "conv1d", "conv2d", "conv3d", "conv1d_transpose", "conv2d_transpose", "conv3d_transpose", "depthwise_conv1d",
    "depthwise_conv2d", "separable_conv1d", "separable_conv2d", "dense", "embedding", "attention",
    "multi_head_attention", "batch_normalization", "layer_normalization", "group_normalization", "activation",
    "re_lu", "leaky_re_lu", "p_re_lu", "elu", "softmax", "max_pooling1d", "max_pooling2d", "max_pooling3d",
    "average_pooling1d", "average_pooling2d", "average_pooling3d", "global_max_pooling1d", "global_max_pooling2d",
    "global_max_pooling3d", "global_average_pooling1d", "global_average_pooling2d", "global_average_pooling3d",
    "flatten", "reshape", "permute", "dropout", "spatial_dropout1d", "spatial_dropout2d", "spatial_dropout3d",
    "zero_padding1d", "zero_padding2d", "zero_padding3d", "cropping1d", "cropping2d", "cropping3d", "up_sampling1d",
    "up_sampling2d", "up_sampling3d", "rescaling", "add", "subtract", "multiply", "average", "maximum", "minimum",
    "concatenate", "dot", "input", "input_layer",
})  # fmt: skip
"""Names that Keras gives by class and a counter of the process, which another model built first moves on."""


def is_generated(name: str) -> bool:
    """Return whether a tool and not a person seems to have chosen the name's last part."""
    if name.startswith("/"):  # PyTorch's module path
        return False
    last = name.rpartition("/")[2]
    stem, _, counter = last.rpartition("_")
    if not counter.isdecimal():
        return last in KERAS_NAMES or not last
    if not stem:  # Caffe2, and TorchScript without scopes: 137
        return True
    return (
        stem in KERAS_NAMES
        or stem.endswith("_")  # tf2onnx: Conv__1814
        or stem.startswith(("node_", "onnx::"))  # PyTorch: node_Conv_12, onnx::Conv_137
        or (stem[0].isupper() and stem.isalnum())  # TorchScript without scopes: Conv_12
    )


def structural_identities(graph: Graph, names: Iterable[str]) -> dict[str, str]:
    """Return, for those of `names` that are generated, what identifies the layer instead of its name.

    That is its scope, its kind, the shapes of its weights and its rank among the layers that are equal in these.
    """
    wanted = {name for name in names if is_generated(name)}
    if not wanted:
        return {}
    identities = dict[str, str]()
    ranks = dict[str, int]()
    for layer in graph.layers:
        shape = _shape(layer)
        ranks[shape] = rank = ranks.get(shape, 0) + 1
        if layer.name in wanted:
            identities[layer.name] = f"{shape}#{rank}"
    return identities


def structure(graph: Graph) -> str:
    """Return a hash of the network without its names and values: of layers, in order, and the shapes of weights."""
    return digest("\n".join(f"{layer.label} {_weights(layer)}" for layer in graph.layers), size=8)


def _shape(layer: Layer) -> str:
    scope = layer.name.rpartition("/")[0] if is_generated(layer.name) else layer.name
    return f"{scope}/{layer.kind}({_weights(layer)})"


def _weights(layer: Layer) -> str:
    return ",".join("?" if weight.shape is None else "x".join(map(str, weight.shape)) for weight in layer.weights)

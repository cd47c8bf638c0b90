"""What a layer is called when its name may be another one at the next export."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer

EXPORTER_NAME = re.compile(
    r"""
    \d*                                   # Caffe2, and TorchScript without scopes
    | \w+__\d+                            # tf2onnx: Conv__1814, const_fold_opt__12
    | (node_|onnx::)\w+_\d+               # PyTorch: node_Conv_12, onnx::Conv_137
    | [A-Z][A-Za-z0-9]*_\d+               # TorchScript without scopes: Conv_12
    """,
    re.VERBOSE,
)

KERAS_NAME = re.compile(
    r"""
    ( (depthwise_|separable_)?conv[123]d(_transpose)? | dense | embedding | (multi_head_)?attention
    | batch_normalization | layer_normalization | group_normalization
    | activation | re_lu | leaky_re_lu | p_re_lu | elu | softmax
    | (global_)?(max|average)_pooling[123]d | flatten | reshape | permute | (spatial_)?dropout([123]d)?
    | zero_padding[123]d | cropping[123]d | up_sampling[123]d | rescaling
    | add | subtract | multiply | average | maximum | minimum | concatenate | dot | input(_layer)?
    ) (_\d+)?
    """,
    re.VERBOSE,
)
"""Names that Keras gives by class and a counter of the process, which another model built first moves on."""


def is_generated(name: str) -> bool:
    """Return whether a tool and not a person seems to have chosen the name's last part."""
    if name.startswith("/"):  # PyTorch's module path
        return False
    last = name.rpartition("/")[2]
    return EXPORTER_NAME.fullmatch(last) is not None or KERAS_NAME.fullmatch(last) is not None


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


def _shape(layer: Layer) -> str:
    scope = layer.name.rpartition("/")[0] if is_generated(layer.name) else layer.name
    weights = ",".join("x".join(map(str, weight.shape)) for weight in layer.weights)
    return f"{scope}/{layer.kind}({weights})"

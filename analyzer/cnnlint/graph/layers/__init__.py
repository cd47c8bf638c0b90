"""The kinds of layers, each with its arithmetic."""

from cnnlint.graph.layers.convolution import Conv, ConvTranspose
from cnnlint.graph.layers.opaque import Opaque, Operator
from cnnlint.graph.layers.pointwise import (
    Activation,
    Add,
    BatchNorm,
    Dropout,
    Elementwise,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Multiply,
    Rescale,
)
from cnnlint.graph.layers.pooling import AvgPool, GlobalPool, MaxPool, Reduce
from cnnlint.graph.layers.products import Attention, Dense, Einsum, Embedding, MatMul, Recurrent
from cnnlint.graph.layers.shaping import Concat, Crop, DepthToSpace, Flatten, Pad, Reshape, Resize, Split, Transpose

__all__ = [
    "Activation", "Add", "Attention", "AvgPool", "BatchNorm", "Concat", "Conv", "ConvTranspose", "Crop", "Dense",
    "DepthToSpace", "Dropout", "Einsum", "Elementwise", "Embedding", "Flatten", "GlobalPool", "GroupNorm",
    "InstanceNorm", "LayerNorm", "LocalResponseNorm", "MatMul", "MaxPool", "Multiply", "Opaque", "Operator", "Pad",
    "Recurrent", "Reduce", "Rescale", "Reshape", "Resize", "Split", "Transpose",
]  # fmt: skip

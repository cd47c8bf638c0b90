"""The kinds of layer, each with its arithmetic."""

from cnnlint.graph.layers.activation import Activation
from cnnlint.graph.layers.convolution import Conv, ConvTranspose
from cnnlint.graph.layers.dense import Dense, Einsum, MatMul
from cnnlint.graph.layers.merge import Add, Concat, Elementwise, Multiply
from cnnlint.graph.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
)
from cnnlint.graph.layers.opaque import Opaque, Operator
from cnnlint.graph.layers.pooling import AvgPool, GlobalPool, MaxPool
from cnnlint.graph.layers.reduction import Reduce
from cnnlint.graph.layers.regularization import Dropout
from cnnlint.graph.layers.rescale import Rescale
from cnnlint.graph.layers.sequence import Attention, Embedding, Recurrent
from cnnlint.graph.layers.shaping import Crop, DepthToSpace, Flatten, Pad, Reshape, Resize, Split, Transpose

__all__ = [
    "Activation", "Add", "Attention", "AvgPool", "BatchNorm", "Concat", "Conv", "ConvTranspose", "Crop", "Dense",
    "DepthToSpace", "Dropout", "Einsum", "Elementwise", "Embedding", "Flatten", "GlobalPool", "GroupNorm",
    "InstanceNorm", "LayerNorm", "LocalResponseNorm", "MatMul", "MaxPool", "Multiply", "Opaque", "Operator", "Pad",
    "Recurrent", "Reduce", "Rescale", "Reshape", "Resize", "Split", "Transpose",
]  # fmt: skip

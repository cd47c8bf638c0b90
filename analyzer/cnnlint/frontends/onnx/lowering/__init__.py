"""ONNX operators, one by one, as layers of the vocabulary; a module per family, each with its `HANDLERS`."""

from cnnlint.frontends.onnx.lowering import (
    activation,
    arithmetic,
    constants,
    convolution,
    dense,
    normalization,
    pooling,
    quantized,
    reshaping,
    sequence,
    slicing,
    stretching,
)

FAMILIES = (
    activation,
    arithmetic,
    constants,
    convolution,
    dense,
    normalization,
    pooling,
    quantized,
    reshaping,
    sequence,
    slicing,
    stretching,
)
"""Where operators are looked up; each stands in one family."""

"""Convert a live Keras model as `cnnlint convert` does, and measure how well the result agrees with it."""

from __future__ import annotations

from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any

import parity
from cnnlint.conversion import convert_keras
from cnnlint.errors import ConversionError

if TYPE_CHECKING:
    import keras
    import onnx


def prove(model: keras.Model) -> tuple[dict[str, Any], onnx.ModelProto | None]:
    """Convert `model` and run both before their softmax on one seeded input.

    Returns:
        "way", "seconds", "nodes", "transposes", "folded" and "error" (the largest absolute difference, as a share of
        the largest value), and the model; or "failure", what the ConversionError says, and None. The softmax layers of
        `model` are linear afterward.
    """
    begin = perf_counter()
    try:
        conversion = convert_keras(model)
    except ConversionError as error:
        return {"failure": str(error)}, None
    seconds = perf_counter() - begin
    kinds = Counter(node.op_type for node in conversion.model.graph.node)
    return {
        "way": conversion.way,
        "seconds": round(seconds, 1),
        "nodes": kinds.total(),
        "transposes": kinds["Transpose"],
        "folded": conversion.norms_folded,
        "error": _error(model, conversion.model),
    }, conversion.model


def pixels(model: keras.Model) -> float:
    """Return the standard deviation of inputs that suit `model`: of bytes, where it scales those down itself."""
    return 64 if any(type(layer).__name__ == "Rescaling" for layer in model.layers) else 1


def _error(model: keras.Model, converted: onnx.ModelProto) -> float:
    """Compare before the softmax, and put the softmax back into the ONNX model."""
    graph = converted.graph
    softmax = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Softmax"}
    names = [output.name for output in graph.output]
    for output in graph.output:
        output.name = softmax.get(output.name, output.name)
    errors = parity.relative_errors(parity.drop_softmax(model), converted, batch=1, deviation=pixels(model))
    for output, name in zip(graph.output, names, strict=True):
        output.name = name
    return max(errors)

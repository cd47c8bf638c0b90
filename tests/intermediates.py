"""What onnxruntime really produces at every tensor of a model: the truth about shapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Recurrent

BATCH = 2


def shapes(path: Path | str, names: set[str]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each named tensor, for a batch of two where the batch is open; sequences have none."""
    model = onnx.load(str(path))
    outputs = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in sorted(names - outputs))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    feed = {
        value.name: np.zeros([dim if isinstance(dim, int) else BATCH for dim in value.shape], np.float32)
        for value in session.get_inputs()
    }
    found = session.run(None, feed)
    named = zip(session.get_outputs(), found, strict=True)
    return {value.name: array.shape for value, array in named if isinstance(array, np.ndarray)}


def mismatches(path: Path | str, graph: Graph) -> list[str]:
    """Return the layers whose shape differs from what onnxruntime produces, order and axes of extent 1 aside."""
    tensors = {layer.name: layer.origin[-1].output for layer in graph.layers if layer.origin}
    real = shapes(path, {name for name in tensors.values() if name})
    # Recurrent cells have the steps of a sequence in front of the batch in the file.
    any_first = any(isinstance(layer, Recurrent) for layer in graph.layers)
    wrong = list[str]()
    for layer in graph.layers:
        shape = real.get(tensors.get(layer.name, ""))
        if shape is None:
            continue
        ours = [BATCH if isinstance(dim, str) else dim for dim in layer.output.shape or ()]
        if None in ours or _extents(ours) != _extents(shape) or not (any_first or ours[:1] == list(shape[:1])):
            wrong.append(f"{layer.name}: {layer.output.shape}, onnxruntime has {shape}")
    return wrong


def _extents(shape: Iterable[int | str | None]) -> list[int]:
    return sorted(dim for dim in shape if isinstance(dim, int) and dim != 1)

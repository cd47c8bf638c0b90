"""Shapes from onnx's own inference, for operators outside the vocabulary; the only import of onnx for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint.frontends.onnx.records import ModelRecord, ValueRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


def infer(model: ModelRecord) -> Mapping[str, ValueRecord]:
    """Return what onnx infers of the tensors of `model`, weights left in the file; {} where it cannot."""
    if model.source is None:
        return {}
    import onnx.shape_inference

    from cnnlint.frontends.onnx.skeleton import read_bytes
    from cnnlint.frontends.onnx.strip import shapes_only

    try:
        inferred = onnx.shape_inference.infer_shapes(shapes_only(model.source), strict_mode=False, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        return {}
    graph = read_bytes(inferred.SerializeToString()).graph
    return {**graph.value_infos, **{value.name: value for value in graph.outputs}}

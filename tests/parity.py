"""Compare what Keras and onnxruntime compute from the same seeded inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

TOLERANCE = 1e-5
"""Largest absolute error of float32 outputs, as a share of the largest absolute value of the output."""


def drop_softmax(model: Any) -> Any:
    """Make the softmax layers of a live Keras model linear: probabilities near 1/classes would hide any error."""
    for layer in model.layers:
        if getattr(getattr(layer, "activation", None), "__name__", "") == "softmax":
            layer.activation = _identity
    return model


def _identity(x: Any) -> Any:
    return x


def seeded_inputs(
    model: Any, *, batch: int = 2, open_extent: int = 64, seed: int = 0, deviation: float = 1
) -> list[NDArray[Any]]:
    """Draw one normal array of mean 0 for each input of a Keras model; open extents get `open_extent`."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0, deviation, [batch, *(dim or open_extent for dim in tensor.shape[1:])]).astype(tensor.dtype)
        for tensor in model.inputs
    ]


def run_onnx(proto: onnx.ModelProto | str, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Run a model, in memory or in a file, by onnxruntime without graph optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    source = proto if isinstance(proto, str) else proto.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def relative_errors(model: Any, proto: onnx.ModelProto | str, **draw: Any) -> list[float]:
    """Return for each output the largest absolute difference over the largest absolute value that Keras gives."""
    import keras

    inputs = seeded_inputs(model, **draw)
    structure = keras.tree.pack_sequence_as(model.inputs, inputs) if len(inputs) > 1 else inputs[0]
    expected = [np.asarray(value) for value in keras.tree.flatten(model(structure, training=False))]
    actual = run_onnx(proto, inputs)
    assert [value.shape for value in actual] == [value.shape for value in expected]
    # A constant output would agree with anything that is constant too.
    assert all(value.std() > 0 for value in expected)
    return [
        float(np.abs(got - wanted).max() / np.abs(wanted).max()) for got, wanted in zip(actual, expected, strict=True)
    ]

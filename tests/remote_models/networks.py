"""A network whose weights are large beside its graph, as ONNX with and without external data, and as Keras has it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 256
DEPTH = 8
KERNEL = (WIDTH, WIDTH, 3, 3)
"""2.25 MiB each in float32."""


def chain() -> onnx.ModelProto:
    """Return a chain of convolutions with 18 MiB of weights."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    value = "input"
    for index in range(DEPTH):
        kernel = rng.standard_normal(KERNEL, dtype=np.float32)
        weights += [
            numpy_helper.from_array(kernel, f"conv{index}.weight"),
            numpy_helper.from_array(np.zeros(WIDTH, np.float32), f"conv{index}.bias"),
        ]
        nodes += [
            helper.make_node(
                "Conv",
                [value, f"conv{index}.weight", f"conv{index}.bias"],
                [f"c{index}"],
                name=f"conv{index}",
                pads=[1, 1, 1, 1],
            ),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"], name=f"relu{index}"),
        ]
        value = f"r{index}"
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, WIDTH, 8, 8])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, WIDTH, 8, 8])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save_external(path: Path) -> None:
    """Save the chain with its weights in `weights/data.bin` beside it."""
    path.parent.joinpath("weights").mkdir(parents=True)
    onnx.save(chain(), path, save_as_external_data=True, location="weights/data.bin")


def save_keras(path: Path, *, compression: int = zipfile.ZIP_STORED) -> None:
    """Save a chain of dense layers as `model.save` of Keras 3 lays it out: 4 MiB for each of eight kernels."""
    layers = [
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"batch_shape": [None, 1024], "dtype": "float32", "sparse": False, "name": "input_layer"},
            "registered_name": None,
        }
    ]
    layers += [
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "config": {"name": f"fc{index}", "units": 1024, "activation": "relu", "use_bias": True, "dtype": "float32"},
            "registered_name": None,
            "build_config": {"input_shape": [None, 1024]},
        }
        for index in range(DEPTH)
    ]
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "chain", "layers": layers, "build_input_shape": [None, 1024]},
        "registered_name": None,
        "build_config": {"input_shape": [None, 1024]},
    }
    weights = path.with_suffix(".h5")
    rng = np.random.default_rng(0)
    with h5py.File(weights, "w") as file:
        for index in range(DEPTH):
            group = file.create_group(f"layers/dense{f'_{index}' if index else ''}/vars")
            group["0"] = rng.standard_normal((1024, 1024), dtype=np.float32)
            group["1"] = np.zeros(1024, np.float32)
            group.attrs["name"] = f"fc{index}"
    with zipfile.ZipFile(path, "w", compression=compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.12.0"}))
        archive.writestr("config.json", json.dumps(config))
        archive.write(weights, "model.weights.h5")
    weights.unlink()

"""Builds the models of the benchmarks; a script of its own, so that what measures never holds onnx in memory.

python -m benchmarks.build FOLDER      builds what is missing and prints where everything is, as JSON
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import zoo
from benchmarks import watched

NETS = ("VGG16", "ResNet50", "DenseNet121", "MobileNetV2")
CHAINS = (100, 1_000, 10_000, 50_000)
BRANCHES = (20, 500, 2_000)
EXTERNAL_LAYERS, EXTERNAL_CHANNELS = 88, 1_024
MANY = 500
STAYS = 4_096
"""Bytes from which a stripped model loses the values of a tensor: small ones are shapes and axes."""


def build(folder: Path) -> dict[str, object]:
    """Build every model into `folder`, but for those that are there, and return where each lies."""
    chains = {n: _built(folder / f"chain-{n}.onnx", lambda path, n=n: _chain(n, path)) for n in CHAINS}
    concats = {n: _built(folder / f"concat-{n}.onnx", lambda path, n=n: _concat(n, path)) for n in BRANCHES}
    return {
        "onnx": {net: str(zoo.onnx_path(net)) for net in NETS},
        "keras": {"VGG16": str(zoo.keras_path("VGG16"))},
        "inputs": {net: _input(zoo.onnx_path(net)) for net in NETS},
        "light": str(zoo.light_path("densenet121")),
        "external": str(_built(folder / "external.onnx", _external)),
        "stripped": str(_built(folder / "stripped.onnx", _stripped)),
        "chains": {str(n): str(path) for n, path in chains.items()},
        "code": watched.written(folder / "code"),
        "many": str(_many(folder / f"many-{MANY}")),
        "concats": {str(n): str(path) for n, path in concats.items()},
    }


def _input(path: Path) -> dict[str, object]:
    """Return the name and the shape of the image that the model takes; an open batch is None."""
    value = onnx.load(path).graph.input[0]
    dims = value.type.tensor_type.shape.dim
    return {"name": value.name, "shape": [dim.dim_value or None for dim in dims]}


def _built(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        write(unfinished)
        unfinished.rename(path)
    return path


def _chain(layers: int, path: Path) -> None:
    """A network of convolutions and ReLUs in turn, one behind the other."""
    nodes, weights, tensor = list[onnx.NodeProto](), list[onnx.TensorProto](), "image"
    rng = np.random.default_rng(0)
    for index in range(0, layers, 2):
        name, conv, relu = f"block{index // 2}/conv", f"block{index // 2}/maps", f"block{index // 2}/out"
        weights += _weights(rng, name, (8, 8 if index else 3, 3, 3))
        nodes.append(_conv(name, tensor, conv))
        nodes.append(helper.make_node("Relu", [conv], [relu], name=f"block{index // 2}/relu"))
        tensor = relu
    _save(nodes, weights, tensor, 8, path)


def _concat(branches: int, path: Path) -> None:
    """A network of so many branches of a convolution and a ReLU on one image, joined by one Concat."""
    nodes, weights = list[onnx.NodeProto](), list[onnx.TensorProto]()
    rng = np.random.default_rng(0)
    for index in range(branches):
        name = f"branch{index}/conv"
        weights += _weights(rng, name, (2, 3, 3, 3))
        nodes.append(_conv(name, "image", f"branch{index}/maps"))
        nodes.append(helper.make_node("Relu", [f"branch{index}/maps"], [f"branch{index}/out"]))
    nodes.append(helper.make_node("Concat", [f"branch{index}/out" for index in range(branches)], ["all"], axis=1))
    _save(nodes, weights, "all", 2 * branches, path)


def _many(folder: Path) -> Path:
    """A folder of networks of 10 layers and more, no two alike."""
    folder.mkdir(exist_ok=True)
    for index in range(MANY):
        _built(folder / f"net{index:03}.onnx", lambda path, layers=10 + 2 * (index % 10): _chain(layers, path))
    return folder


def _external(path: Path) -> None:
    """A chain of wide convolutions whose 3.3 GB of weights lie in a second file, all zeros and sparse."""
    nodes, weights, tensor, offset = list[onnx.NodeProto](), list[onnx.TensorProto](), "image", 0
    rng = np.random.default_rng(0)
    weights += _weights(rng, "stem", (EXTERNAL_CHANNELS, 3, 3, 3))
    nodes += [_conv("stem", "image", "stem/maps"), helper.make_node("Relu", ["stem/maps"], ["stem/out"])]
    tensor = "stem/out"
    shape = (EXTERNAL_CHANNELS, EXTERNAL_CHANNELS, 3, 3)
    size = 4 * EXTERNAL_CHANNELS * EXTERNAL_CHANNELS * 9
    for index in range(EXTERNAL_LAYERS):
        name, out = f"layer{index}", f"layer{index}/out"
        kernel = TensorProto(
            name=f"{name}.weight", dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
        )
        for key, value in (("location", "external.onnx.data"), ("offset", offset), ("length", size)):
            kernel.external_data.add(key=key, value=str(value))
        weights += [kernel, _weights(rng, name, shape[:1])[1]]
        nodes += [_conv(name, tensor, f"{name}/maps"), helper.make_node("Relu", [f"{name}/maps"], [out])]
        tensor, offset = out, offset + size
    with open(path.with_name("external.onnx.data"), "wb") as file:
        file.truncate(offset)
    _save(nodes, weights, tensor, EXTERNAL_CHANNELS, path)


def _stripped(path: Path) -> None:
    """VGG16 without the values of its weights: names, dims and types stay."""
    model = onnx.load(zoo.onnx_path("VGG16"))
    for weight in model.graph.initializer:
        if len(weight.raw_data) > STAYS:
            weight.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())


def _weights(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> list[onnx.TensorProto]:
    kernel = (rng.standard_normal(shape) * 0.05).astype(np.float32)
    bias = np.zeros(shape[0], np.float32)
    return [numpy_helper.from_array(kernel, f"{name}.weight"), numpy_helper.from_array(bias, f"{name}.bias")]


def _conv(name: str, tensor: str, output: str) -> onnx.NodeProto:
    inputs = [tensor, f"{name}.weight", f"{name}.bias"]
    return helper.make_node("Conv", inputs, [output], name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def _save(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], output: str, channels: int, path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 32, 32])
    maps = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", channels, 32, 32])
    graph = helper.make_graph(nodes, "network", [image], [maps], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    print(json.dumps(build(where)))

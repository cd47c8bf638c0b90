"""Build one file of the model zoo; run as a script, in a process of its own.

python tests/zoo/build.py keras MobileNetV2 FOLDER/MobileNetV2.keras      (and MobileNetV2.json beside it)
python tests/zoo/build.py h5 MobileNetV2 FOLDER/MobileNetV2.h5
python tests/zoo/build.py onnx MobileNetV2 FOLDER/MobileNetV2.onnx
python tests/zoo/build.py describe MODEL.keras FOLDER/MODEL.json
python tests/zoo/build.py proved NAME[,NAME...] FOLDER        (NAME.keras, NAME.json, NAME.proved.onnx, NAME.proof.json)
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

# tf2onnx guards every optimizer by a deep copy of the graph, weights included: minutes and 24 GB on VGG16.
os.environ.setdefault("TF2ONNX_CATCH_ERRORS", "FALSE")

import keras
import numpy as np

from cnnlint.conversion import convert_keras
from cnnlint.conversion.operators import leftover_operators
from zoo.architectures import SETTLED, make
from zoo.proof import pixels, prove


def seeded_net(name: str) -> keras.Model:
    """Build the net `name` of `zoo.architectures` with weights that depend on nothing but its name."""
    keras.utils.set_random_seed(zlib.crc32(name.encode()))
    model = make(name)
    perturb(model, np.random.default_rng(zlib.crc32(name.encode())))
    if name in SETTLED:
        settle(model, np.random.default_rng(zlib.crc32(name.encode())))
    return model


def settle(model: keras.Model, rng: np.random.Generator) -> None:
    """Give the norms the statistics that two images of noise have where they stand."""
    norms = [layer for layer in flat_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(rng.normal(0, pixels(model), (2, *model.inputs[0].shape[1:])).astype("float32"), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def perturb(model: keras.Model, rng: np.random.Generator) -> None:
    """Move statistics, scales and biases away from 0 and 1, so that a wrong folding changes the outputs."""
    for layer in flat_layers(model):
        for weight in layer.weights:
            value = _perturbed(weight.name, weight.shape, rng)
            if value is not None:
                weight.assign(value.astype(weight.dtype))
        if isinstance(layer, keras.layers.Normalization):
            # What it computes with was worked out when it was built; loading the saved model works it out again.
            layer.finalize_state()


def _perturbed(role: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray | None:
    match role:
        case "gamma" | "moving_variance" | "variance":
            return rng.uniform(0.6, 1.4, shape)
        case "beta" | "moving_mean" | "mean" | "bias":
            return rng.normal(0.0, 0.1, shape)
        case _:
            return None


def flat_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of `model`, those of nested models in their place."""
    return [
        inner for layer in model.layers for inner in (flat_layers(layer) if isinstance(layer, keras.Model) else [layer])
    ]


def description(model: keras.Model) -> dict[str, Any]:
    """Return what Keras says of `model`, as `zoo.describe` documents it."""
    return {
        "name": model.name,
        "class": type(model).__name__,
        "parameters": model.count_params(),
        "trainable_parameters": _elements(model.trainable_weights),
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
        "layers": _layers(model),
    }


def _layers(model: keras.Model) -> list[dict[str, Any]]:
    functional = model._functional if isinstance(model, keras.Sequential) else model
    own_calls = {id(node) for nodes in functional._nodes_by_depth.values() for node in nodes}
    layers: list[dict[str, Any]] = []
    for layer in functional.layers:
        calls = [node for node in layer._inbound_nodes if id(node) in own_calls]
        entry: dict[str, Any] = {
            "name": layer.name,
            "class": type(layer).__name__,
            "output_shapes": [[list(tensor.shape) for tensor in node.output_tensors] for node in calls],
            "parameters": layer.count_params(),
            "trainable_parameters": _elements(layer.trainable_weights),
            "weights": [
                {
                    "name": weight.name,
                    "shape": list(weight.shape),
                    "dtype": keras.backend.standardize_dtype(weight.dtype),
                    "trainable": weight.trainable,
                }
                for weight in layer.weights
            ],
            "config": {
                key: value for key, value in layer.get_config().items() if isinstance(value, int | float | str | list)
            }
            if not isinstance(layer, keras.Model)
            else {},
        }
        if isinstance(layer, keras.Model):
            entry["layers"] = _layers(layer)
        layers.append(entry)
    return layers


def _tensor(tensor: keras.KerasTensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _elements(weights: list[keras.Variable]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def write_json(value: dict[str, Any], target: Path) -> None:
    """Write `value` so that `target` is there whole or not at all."""
    part = target.with_name(f"{os.getpid()}-{target.name}")
    part.write_text(json.dumps(value, indent=1))
    part.replace(target)


def write_model(model: keras.Model, target: Path) -> None:
    """Save `model` so that `target` is there whole or not at all; its ending names the format."""
    part = target.with_name(f"part{os.getpid()}-{target.name}")
    model.save(part)
    part.replace(target)


def write_onnx(model: keras.Model, target: Path) -> None:
    """Convert `model` by plain tf2onnx so that `target` is there whole or not at all.

    Where tf2onnx lacks an operator (gelu's Erfc), cnnlint's own conversion stands in.
    """
    import tf2onnx

    converted, _ = tf2onnx.convert.from_keras(model)
    if leftover_operators(converted):
        converted = convert_keras(model, fold=False).model
    part = target.with_name(f"part{os.getpid()}-{target.name}")
    part.write_bytes(converted.SerializeToString())
    part.replace(target)


def write_proved(name: str, folder: Path) -> None:
    """Build, save, convert and prove one net; the proof is written last, so that where it is, all is."""
    keras.utils.clear_session()
    model = seeded_net(name)
    write_json(description(model), folder / f"{name}.json")
    write_model(model, folder / f"{name}.keras")
    proof, converted = prove(model)
    if converted is not None:
        part = folder / f"part{os.getpid()}-{name}.proved.onnx"
        part.write_bytes(converted.SerializeToString())
        part.replace(folder / f"{name}.proved.onnx")
    write_json({"net": name, "parameters": model.count_params(), **proof}, folder / f"{name}.proof.json")


def main(kind: str, name: str, path: str) -> None:
    """Build what the module's docstring lists."""
    target = Path(path)
    if kind == "proved":
        write_proved(name, target)
        return
    if kind == "describe":
        write_json(description(keras.saving.load_model(name, compile=False)), target)
        return
    source = target.with_suffix(".keras")
    if kind == "keras" or not source.exists():
        model = seeded_net(name)
        write_json(description(model), target.with_suffix(".json"))
        write_model(model, source)
    else:
        model = keras.saving.load_model(source, compile=False)
    if kind == "onnx":
        write_onnx(model, target)
    elif kind == "h5":
        write_model(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:])

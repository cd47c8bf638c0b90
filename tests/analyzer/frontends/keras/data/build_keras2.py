"""Build the committed models of Keras 2 and what Keras 2 says of them; needs `pip install tf_keras`.

python tests/analyzer/frontends/keras/data/build_keras2.py
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import tensorflow as tf
import tf_keras as keras

layers = keras.layers


def functional() -> Any:
    image = keras.Input((10, 10, 3), name="image")
    value = layers.Conv2D(4, 3, padding="same", use_bias=False, name="Conv")(image)
    value = layers.BatchNormalization(name="Conv/BatchNorm")(value)
    value = layers.ReLU(6.0, name="relu6")(value)
    apart = layers.SeparableConv2D(4, 3, padding="same", activation="relu", name="separable")(value)
    joined = tf.nn.relu(value + apart * 0.5)
    twin = layers.Conv2D(2, 1, name="twin")
    both = layers.Concatenate(name="both")([twin(joined), twin(value)])
    inner = keras.Sequential(
        [
            layers.MaxPooling2D(5, name="shrink"),
            layers.Flatten(name="flat"),
            layers.Dense(5, activation="relu", name="hidden"),
        ],
        name="inner",
    )
    inner.build((None, 10, 10, 4))
    vector = keras.Input((5,), name="vector")
    heads = keras.Model(
        vector,
        [layers.Dense(3, name="left")(vector), layers.Dense(2, activation="softmax", name="right")(vector)],
        name="heads",
    )
    model = keras.Model(image, heads(inner(both)), name="functional")
    model.compile("sgd", loss=["mse", keras.losses.CategoricalCrossentropy(from_logits=False)])
    return model


def sequence() -> Any:
    return keras.Sequential(
        [
            layers.TimeDistributed(layers.Conv2D(2, 3, name="inner"), input_shape=(4, 5, 5, 3), name="each"),
            layers.TimeDistributed(layers.Flatten(), name="flat"),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both"),
            layers.GRU(2, name="memory"),
            layers.Dropout(0.3, name="drop"),
            layers.Dense(1, activation="sigmoid", name="head"),
        ],
        name="sequence",
    )


def frozen() -> Any:
    body = keras.Sequential(
        [
            layers.Conv2D(3, 3, name="conv", input_shape=(8, 8, 3)),
            layers.BatchNormalization(name="norm"),
            layers.GlobalMaxPooling2D(name="pool"),
        ],
        name="body",
    )
    body.trainable = False
    return keras.Sequential([body, layers.Dense(2, name="head")], name="frozen")


def describe(model: Any) -> dict[str, Any]:
    """Return totals and layers as `zoo.describe` has them."""
    return {
        "parameters": model.count_params(),
        "trainable_parameters": sum(int(tf.size(weight)) for weight in model.trainable_weights),
        "layers": [_describe_layer(layer) for layer in model.layers],
    }


def _describe_layer(layer: Any) -> dict[str, Any]:
    entry = {"name": layer.name, "class": type(layer).__name__, "parameters": layer.count_params()}
    if isinstance(layer, keras.Model):
        return {**entry, "layers": describe(layer)["layers"]}
    shapes = list[list[tuple[int | None, ...]]]()
    for index in range(len(layer.inbound_nodes)):
        shape = layer.get_output_shape_at(index)
        shapes.append(shape if isinstance(shape, list) else [shape])
    return {**entry, "output_shapes": shapes}


def compress(path: Path) -> None:
    """Write an archive again with compressed members, as repacking it by hand does."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def main() -> None:
    folder = Path(__file__).parent
    for build in (functional, sequence, frozen):
        keras.backend.clear_session()
        model = build()
        model.save(folder / f"keras2_{build.__name__}.h5")
        model.save(folder / f"keras2_{build.__name__}.keras")
        compress(folder / f"keras2_{build.__name__}.keras")
        (folder / f"keras2_{build.__name__}.json").write_text(json.dumps(describe(model)) + "\n")


if __name__ == "__main__":
    main()

"""What a Keras file says of training is what the model was compiled with, in every spelling and in both formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends.keras import load
from cnnlint.frontends.keras.training import initializer_of, read_training
from cnnlint.graph.layers import BatchNorm, Dropout
from cnnlint.graph.training import Initializer, Metric, Optimizer


def optimizer(config: Any) -> Optimizer | None:
    return read_training({"optimizer": config, "loss": "mse"}, {}).optimizer


def metrics(given: Any) -> tuple[Metric, ...]:
    return read_training({"loss": "mse", "metrics": given}, {}).metrics


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Adam", Optimizer("adam")),
        ({"class_name": "Adam", "config": {"lr": 0.1}}, Optimizer("adam", 0.1)),  # Keras 1
        (
            {
                "module": "keras.optimizers",
                "class_name": "SGD",
                "config": {"learning_rate": 0.100000001, "momentum": 0.9},
            },
            Optimizer("sgd", 0.1, 0.9),
        ),
        (
            {"class_name": "RMSprop", "config": {"learning_rate": {"class_name": "CosineDecay", "config": {}}}},
            Optimizer("rmsprop", schedule="CosineDecay"),
        ),
        (
            {
                "class_name": "LossScaleOptimizer",
                "config": {"inner_optimizer": {"class_name": "AdamW", "config": {"learning_rate": -1.0}}},
            },
            Optimizer("adamw", -1.0),
        ),
        ({"module": "acme", "class_name": "Better", "config": {"learning_rate": 5.0}}, Optimizer("", 5.0)),
        (None, None),
    ],
)
def test_an_optimizer_is_read_in_every_form(given: Any, expected: Optimizer | None) -> None:
    assert optimizer(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["acc", "mse"], [Metric("accuracy"), Metric("mean_squared_error")]),
        ("accuracy", [Metric("accuracy")]),
        ([["accuracy"], ["mae"]], [Metric("accuracy", place=0), Metric("mean_absolute_error", place=1)]),
        ({"a": "mae", "b": ["accuracy"]}, [Metric("mean_absolute_error", output="a"), Metric("accuracy", output="b")]),
        ({"a": None}, []),
        ([{"class_name": "Accuracy", "config": {"name": "accuracy"}}], [Metric("exact_accuracy")]),
        ([{"class_name": "BinaryAccuracy", "config": {"threshold": 0.25}}], [Metric("binary_accuracy", 0.25)]),
        ([{"class_name": "AUC", "config": {"from_logits": True}}], [Metric("auc", from_logits=True)]),
        ([{"class_name": "Precision", "config": {"thresholds": 0}}], [Metric("precision", 0.0)]),
        (
            [{"class_name": "MeanMetricWrapper", "config": {"name": "accuracy", "fn": "binary_accuracy"}}],
            [Metric("binary_accuracy")],
        ),
        ([{"module": "acme", "class_name": "function", "config": "accuracy"}], [Metric("")]),
        (None, []),
    ],
)
def test_metrics_are_read_in_every_form(given: Any, expected: list[Metric]) -> None:
    assert list(metrics(given)) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("zeros", Initializer("zeros", 0.0)),
        ({"class_name": "Ones", "config": {}}, Initializer("ones", 1.0)),
        ({"class_name": "Constant", "config": {"value": 0.1}}, Initializer("constant", 0.1)),
        ({"class_name": "Constant", "config": {"value": [1, 2]}}, Initializer("constant")),
        ({"class_name": "GlorotUniform", "config": {"seed": None}}, Initializer("glorot_uniform")),
        ({"module": "acme", "class_name": "Zeros", "config": {}}, Initializer("")),
        (None, None),
    ],
)
def test_an_initializer_is_read_in_every_form(given: Any, expected: Initializer | None) -> None:
    assert initializer_of("kernel", {"kernel_initializer": given}) == expected


@pytest.mark.tf
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_file_says_what_keras_was_told(ending: str, tmp_path: Path) -> None:
    with quiet():
        keras = toolchain().keras
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.Conv2D(4, 3, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(0.1)),
                layers.SeparableConv2D(4, 3, depthwise_initializer="ones"),
                layers.BatchNormalization(momentum=0.25),
                layers.Dropout(0.3, noise_shape=(None, 1, 1, 1)),
                layers.Dropout(0.4, noise_shape=(None, 1, 1, 4)),
                layers.GlobalAveragePooling2D(),
                layers.Dropout(0.5),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile(
            optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=["accuracy", keras.metrics.BinaryAccuracy(threshold=0.5), keras.metrics.Accuracy()],
        )
        path = tmp_path / f"model.{ending}"
        model.save(path)
    graph = load(str(path))
    told = graph.training
    assert told.optimizer == Optimizer("sgd", 0.1, 0.9)
    assert told.metrics == (Metric("accuracy"), Metric("binary_accuracy", 0.5), Metric("exact_accuracy"))
    held = {
        (layer.name, weight.role): told.initializers.get(weight.key)
        for layer in graph.layers
        for weight in layer.weights
    }
    by_role = [held[name, role] for name, role in held if role in ("kernel", "depthwise_kernel", "pointwise_kernel")]
    glorot = Initializer("glorot_uniform")
    assert by_role == [Initializer("zeros", 0.0), Initializer("ones", 1.0), glorot, glorot]
    assert next(value for (_, role), value in held.items() if role == "bias") == Initializer("constant", 0.1)
    assert [norm.momentum for norm in graph.of_kind(BatchNorm)] == [0.25]
    dropped = [(drop.rate, drop.per_sample, drop.spatial) for drop in graph.of_kind(Dropout)]
    assert dropped == [(0.3, True, False), (0.4, False, False), (0.5, False, False)]

"""Files of Keras 2 are read as Keras 2 reads them: calls in lists, counted from 1 for models, no build_config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnnlint.frontends.keras import load
from cnnlint.graph.layers import Activation, Elementwise
from cnnlint.graph.training import Loss
from keras_cases.agreement import disagreements

DATA = Path(__file__).with_name("data")


@pytest.mark.parametrize("ending", ["h5", "keras"])
@pytest.mark.parametrize("name", ["functional", "sequence", "frozen"])
def test_a_model_of_keras_2_agrees_with_keras_2(name: str, ending: str) -> None:
    truth = json.loads((DATA / f"keras2_{name}.json").read_text())
    graph = load(str(DATA / f"keras2_{name}.{ending}"))
    assert disagreements(graph, truth) == []
    assert graph.source.format == ending


def test_functions_of_tensorflow_become_layers_of_the_vocabulary() -> None:
    graph = load(str(DATA / "keras2_functional.h5"))
    functions = [layer.function for layer in graph.of_kind(Elementwise) if layer.function in ("add", "mul")]
    assert functions == ["mul", "add"]
    assert "relu" in [layer.function for layer in graph.of_kind(Activation)]


def test_the_losses_are_read_from_the_training_configuration() -> None:
    graph = load(str(DATA / "keras2_functional.h5"))
    assert graph.training.losses == (
        Loss("mean_squared_error", None),
        Loss("categorical_crossentropy", from_logits=False),
    )


def test_a_layer_whose_name_starts_with_that_of_another_has_its_own_weights() -> None:
    graph = load(str(DATA / "keras2_functional.h5"))
    by_name = {layer.name: layer for layer in graph.layers}
    assert [weight.role for weight in by_name["Conv"].weights] == ["kernel"]
    assert [weight.role for weight in by_name["Conv/BatchNorm"].weights] == [
        "gamma", "beta", "moving_mean", "moving_variance",
    ]  # fmt: skip

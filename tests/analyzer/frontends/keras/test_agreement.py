"""The static reader says of every model what Keras itself says: shapes, parameters, what is trained."""

from __future__ import annotations

import pytest

import keras_cases
import zoo
from cnnlint.frontends.keras import load
from keras_cases.agreement import disagreements
from keras_cases.layers import LAYERS
from keras_cases.networks import NETWORKS, ONLY_ARCHIVE

pytestmark = [pytest.mark.slow, pytest.mark.tf]

PUBLISHED = {
    "VGG16": 138_357_544,
    "ResNet50": 25_636_712,
    "MobileNetV2": 3_538_984,
    "EfficientNetB0": 5_330_571,
    "DenseNet121": 8_062_504,
}


@pytest.mark.parametrize("name", [*LAYERS, *NETWORKS])
def test_a_keras_archive_agrees_with_keras(name: str) -> None:
    graph = load(str(keras_cases.folder() / f"{name}.keras"))
    assert disagreements(graph, keras_cases.truth(name)) == []


@pytest.mark.parametrize("name", [name for name in [*LAYERS, *NETWORKS] if name not in ONLY_ARCHIVE])
def test_a_legacy_h5_file_agrees_with_keras(name: str) -> None:
    graph = load(str(keras_cases.folder() / f"{name}.h5"))
    assert disagreements(graph, keras_cases.truth(name)) == []


@pytest.mark.parametrize("name", [*zoo.LARGE, *zoo.MORE])
def test_a_net_of_keras_applications_agrees_with_keras(name: str) -> None:
    graph = load(str(zoo.keras_path(name)))
    assert disagreements(graph, zoo.truth(name)) == []
    assert graph.parameters == PUBLISHED.get(name, graph.parameters)


@pytest.mark.parametrize("name", ["MobileNetV2", "DenseNet121", "MobileNetV3Small"])
def test_a_net_of_keras_applications_in_h5_agrees_with_keras(name: str) -> None:
    assert disagreements(load(str(zoo.h5_path(name))), zoo.truth(name)) == []

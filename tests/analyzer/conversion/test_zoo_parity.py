"""Large nets of keras.applications compute the same after conversion, looked at before their softmax."""

from __future__ import annotations

from typing import Any

import pytest

import zoo
from cnnlint.conversion import convert_keras
from parity import TOLERANCE, drop_softmax, relative_errors

pytestmark = [pytest.mark.slow, pytest.mark.tf]


@pytest.mark.parametrize("name", [*zoo.LARGE, *zoo.MORE])
def test_a_large_net_gives_what_keras_gives(name: str, keras: Any) -> None:
    model = drop_softmax(keras.saving.load_model(zoo.keras_path(name), compile=False))
    conversion = convert_keras(model)
    assert conversion.way == "weightless"
    assert max(relative_errors(model, conversion.model)) <= TOLERANCE
    keras.backend.clear_session()


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0"])
def test_the_ordinary_way_gives_the_same_operators(name: str, keras: Any) -> None:
    model = drop_softmax(keras.saving.load_model(zoo.keras_path(name), compile=False))
    ordinary, weightless = (convert_keras(model, way=way).model for way in ("ordinary", "weightless"))
    assert max(relative_errors(model, ordinary)) <= TOLERANCE
    kinds = [sorted(node.op_type for node in proto.graph.node) for proto in (ordinary, weightless)]
    assert kinds[0] == kinds[1]
    keras.backend.clear_session()


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "EfficientNetB0"])
def test_no_norm_is_left_behind_a_convolution(name: str) -> None:
    norms = [layer["name"] for layer in zoo.truth(name)["layers"] if layer["class"] == "BatchNormalization"]
    assert len(norms) > 40
    conversion = convert_keras(zoo.keras_path(name))
    scopes = {node.name.split("/")[0] for node in conversion.model.graph.node}
    assert not scopes & set(norms)
